"""What a classifier of what may be said learns.

Its labels are those of ``tasks.labelled``; a text has any number of them. Data sets ask different
questions, so of each text only what its data set says is learnt.

Sizes: B texts, C labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from openmmb.data.batch import Shard, shard
from openmmb.data.draw import take_evenly
from openmmb.distributed import full_state_dict, is_main
from openmmb.eval.classification import measure
from openmmb.model.classifier import Classifier
from openmmb.safety.trained import ClassifierConfig, TrainedClassifier, save_classifier
from openmmb.safety.verdict import Side
from openmmb.tasks.labelled import ANSWERABLE, LABELS, Labelled
from openmmb.training.classifier.calibration import SIDES, choose_thresholds, label_loss, macro_f1
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.loader import TextBatch, TextLoader
from openmmb.training.classifier.start import build_classifier
from openmmb.training.run.log import Record
from openmmb.training.run.objective import Scores
from openmmb.training.run.precision import autocast
from openmmb.training.run.seal import digest_texts

UNSAFE = tuple(label for label in LABELS if label in ANSWERABLE)
"""What the classifier refuses."""
BATCH_SIZE = 128
"""Texts that are measured on at once."""
CALIBRATION_TEXTS = 1200
"""Most texts of a source that the thresholds are chosen on."""


@dataclass(frozen=True)
class Verdicts:
    """Minus the log of the probability of what is known of a text.

    Attributes:
        recipe: The run's config.
        settings: What its classifiers are, but for their weights and thresholds.
        loader: Its texts.
    """

    recipe: ClassifierRecipe
    settings: ClassifierConfig
    loader: TextLoader

    def build(self) -> Classifier:
        """Build the network."""
        return build_classifier(self.recipe, self.settings.shape, self.loader.tokenizer)

    def batches(self, step: int, *, rank: int, world_size: int) -> list[Shard[TextBatch]]:
        """Return what process ``rank`` gets of the batch of update ``step``."""
        return [shard(self.loader.batch(step), rank=rank, world_size=world_size)]

    def loss(self, model: Classifier, batch: TextBatch) -> tuple[Tensor, int]:
        """Return the summed loss of a batch, and the number of its texts."""
        logits = model(batch.ids, batch.mask, batch.judged)
        return label_loss(logits, batch.labels, batch.known).sum(), len(batch)

    def validate(self, model: Classifier) -> Scores:
        """Score by 1 minus the mean AUC of the labelled sources.

        F1, the mean of that of unsafe and of safe texts, is for people: it depends on thresholds,
        which are chosen as for the classifier that is saved, on other texts.
        """
        thresholds = self._choose_thresholds(model)
        numbers: dict[str, float] = {}
        qualities, f1s = [], []
        for source in self.loader.sources:
            texts = take_evenly(source.valid, self.recipe.valid.max_examples)
            if not texts:
                continue
            scores = self._logits(model, texts).sigmoid()
            bot = said_by_bot(texts)
            by_person = refuses(scores, thresholds["person"])
            refused = torch.where(bot, refuses(scores, thresholds["bot"]), by_person).tolist()
            unsafe = [not text.safe for text in texts]
            if all(unsafe) or not any(unsafe):
                numbers[f"refused/{source.name}"] = sum(refused) / len(refused)
                continue
            worst = scores[:, [LABELS.index(label) for label in asked(texts)]].amax(1)
            quality = measure(worst.tolist(), unsafe, refused)
            qualities.append(quality)
            f1s.append(macro_f1(refused, unsafe))
            numbers |= {f"f1/{source.name}": f1s[-1], f"auc/{source.name}": quality.auc}
        auc = sum(quality.auc for quality in qualities) / len(qualities)
        return Scores(score=1 - auc, numbers={"auc": auc, "f1": sum(f1s) / len(f1s), **numbers})

    def save(self, model: Classifier, folder: Path) -> None:
        """Choose the thresholds, and write the classifier."""
        weights = full_state_dict(model)
        thresholds = self._choose_thresholds(model)
        if not is_main():
            return
        with torch.device("meta"):
            whole = Classifier(self.settings.shape)
        whole.load_state_dict(weights, assign=True)
        settings = replace(self.settings, thresholds=thresholds)
        trained = TrainedClassifier(settings, whole, self.loader.tokenizer)
        precision = "int8" if self.recipe.compact else self.recipe.save_precision
        save_classifier(trained, folder, precision=precision)

    def notes(self) -> Sequence[str]:
        """Say nothing: a classifier takes weights from its start, and no settings."""
        return ()

    def sizes(self, model: Classifier) -> Record:
        """Count weights and texts, and tell their words from others."""
        sizes: Record = {
            "steps_per_epoch": self.loader.sampler.steps_per_epoch,
            "parameters": model.num_parameters(),
        }
        for source in self.loader.sources:
            sizes[f"texts/{source.name}"] = len(source.train)
            sizes[f"valid/{source.name}"] = len(source.valid)
        texts = (one for source in self.loader.sources for one in (*source.train, *source.valid))
        sizes["data"] = digest_texts(
            f"{one.text}\0{sorted(one.labels)}\0{sorted(one.known)}\0{one.context}" for one in texts
        )
        return sizes

    @torch.no_grad()
    def _logits(self, model: Classifier, texts: Sequence[Labelled]) -> Tensor:
        """Return logits (B, C) of texts as they are."""
        order = sorted(range(len(texts)), key=lambda at: len(texts[at].text))
        logits = torch.empty(len(texts), len(LABELS))
        device = model.device
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            batch = self.loader.collate([texts[at] for at in rows]).to(device)
            with autocast(device, self.recipe.precision):
                predicted = model(batch.ids, batch.mask, batch.judged)
            logits[rows] = predicted.float().cpu()
        return logits

    def _choose_thresholds(self, model: Classifier) -> dict[Side, dict[str, float]]:
        """Run the network over the texts that are kept for it, and choose.

        Ordinary talk is both what the bot says after what was said before, and what a person says.
        """
        texts: list[Labelled] = []
        ordinary: list[bool] = []
        for source in self.loader.sources:
            kept = list(take_evenly(source.calibrate, CALIBRATION_TEXTS))
            if source.ordinary:
                kept += [replace(text, context=(), side="person") for text in kept]
            texts += kept
            ordinary += [source.ordinary] * len(kept)
        batch = self.loader.collate(texts)
        return choose_thresholds(
            self._logits(model, texts).sigmoid(),
            batch.labels,
            batch.known,
            torch.tensor(ordinary),
            said_by_bot(texts),
            share=self.recipe.false_alarms,
        )


def refuses(scores: Tensor, thresholds: Mapping[str, float]) -> Tensor:
    """(B, C) probabilities and thresholds of labels -> (B,) bool, whether a text is refused."""
    columns = [LABELS.index(label) for label in thresholds]
    return (scores[:, columns] >= torch.tensor(list(thresholds.values()))).any(1)


def said_by_bot(texts: Sequence[Labelled]) -> Tensor:
    """Return which of B texts are the bot's, (B,) bool."""
    return torch.tensor([text.side == "bot" for text in texts])


def asked(texts: Sequence[Labelled]) -> list[str]:
    """Return the unsafe labels that a source asks about: those that any of its texts has."""
    has = frozenset().union(*(text.labels for text in texts))
    return [label for label in LABELS if label in has & ANSWERABLE] or list(SIDES["bot"])
