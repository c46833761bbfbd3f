"""What a classifier of what may be said learns.

Its labels are those of ``tasks.labelled``. Data sets ask different questions, so what is learnt is
that a text has one of the labels that its data set leaves open.

Sizes: B texts, C labels.
"""

from collections.abc import Sequence
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
from openmmb.tasks.labelled import LABELS, SAFE, Labelled
from openmmb.training.classifier.calibration import (
    apply_to_head,
    calibrate,
    choose_threshold,
    label_loss,
)
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.loader import TextBatch, TextLoader
from openmmb.training.classifier.start import build_classifier
from openmmb.training.run.log import Record
from openmmb.training.run.objective import Scores
from openmmb.training.run.precision import autocast
from openmmb.training.run.seal import digest_texts

UNSAFE = tuple(label for label in LABELS if label != SAFE)
"""What the classifier refuses."""
BATCH_SIZE = 128
"""Texts that are measured on at once."""


@dataclass(frozen=True)
class Verdicts:
    """Minus the log of the probability of the labels that a text may have.

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
        return label_loss(logits, batch.allowed).sum(), len(batch)

    def validate(self, model: Classifier) -> Scores:
        """Score by 1 minus the mean AUC of the labelled sources.

        F1 is for people: it depends on the threshold, which a few ordinary texts move. The
        threshold is chosen as for the classifier that is saved, on other texts.
        """
        held_out = self._run_held_out(model)
        threshold = self._choose_threshold(held_out, unsafe_probability(held_out.logits))
        numbers = {"threshold": threshold}
        qualities = []
        for source in self.loader.sources:
            texts = take_evenly(source.valid, self.recipe.valid.max_examples)
            if not texts:
                continue
            scores = unsafe_probability(self._logits(model, texts)).tolist()
            refused = [score >= threshold for score in scores]
            if source.ordinary:
                numbers[f"refused/{source.name}"] = sum(refused) / len(refused)
                continue
            quality = measure(scores, [not text.safe for text in texts], refused)
            qualities.append(quality)
            numbers |= {f"f1/{source.name}": quality.f1, f"auc/{source.name}": quality.auc}
        auc = sum(quality.auc for quality in qualities) / len(qualities)
        f1 = sum(quality.f1 for quality in qualities) / len(qualities)
        return Scores(score=1 - auc, numbers={"auc": auc, "f1": f1, **numbers})

    def save(self, model: Classifier, folder: Path) -> None:
        """Calibrate, choose the threshold, and write the classifier."""
        weights = full_state_dict(model)
        held_out = self._run_held_out(model)
        if not is_main():
            return
        safe = torch.tensor([label not in UNSAFE for label in LABELS])
        calibration = calibrate(held_out.logits, held_out.allowed, held_out.weights, safe)
        logits = held_out.logits / calibration.temperature + calibration.shift * safe
        threshold = self._choose_threshold(held_out, unsafe_probability(logits))
        with torch.device("meta"):
            whole = Classifier(self.settings.shape)
        whole.load_state_dict(weights, assign=True)
        whole.head = apply_to_head(whole.head, calibration, safe)
        settings = replace(self.settings, threshold=threshold)
        trained = TrainedClassifier(settings, whole, self.loader.tokenizer)
        save_classifier(trained, folder, precision=self.recipe.save_precision)

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
            f"{one.text}\0{sorted(one.labels)}\0{one.context}" for one in texts
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

    def _run_held_out(self, model: Classifier) -> "HeldOut":
        """Run the network over the texts that are kept for calibration."""
        logits, allowed, weights, sources, ordinary = [], [], [], [], []
        for number, source in enumerate(self.loader.sources):
            texts = take_evenly(source.calibrate, self.recipe.valid.max_examples)
            if texts:
                size = len(texts)
                weight = source.weight * len(source.train) / size
                logits.append(self._logits(model, texts))
                allowed.append(self.loader.collate(texts).allowed)
                weights.append(torch.full((size,), weight, dtype=torch.float64))
                sources.append(torch.full((size,), number))
                ordinary.append(torch.full((size,), source.ordinary))
        columns = (logits, allowed, weights, sources, ordinary)
        return HeldOut(*(torch.cat(column) for column in columns))

    def _choose_threshold(self, held_out: "HeldOut", scores: Tensor) -> float:
        unsafe = ~held_out.allowed[:, LABELS.index(SAFE)]
        share = self.recipe.false_alarms
        return choose_threshold(scores, unsafe, held_out.source, held_out.ordinary, share=share)


@dataclass(frozen=True)
class HeldOut:
    """The texts that are kept for calibration, as the network sees them.

    Attributes:
        logits: (B, C).
        allowed: (B, C) bool, True at the labels that a text may have.
        weights: (B,), how much a text counts; a source counts as much as in training.
        source: (B,) int64, number of its source.
        ordinary: (B,) bool, whether it is ordinary talk.
    """

    logits: Tensor
    allowed: Tensor
    weights: Tensor
    source: Tensor
    ordinary: Tensor


def unsafe_probability(logits: Tensor) -> Tensor:
    """Return how likely each text is unsafe: (B, C) -> (B,)."""
    return 1 - logits.softmax(-1)[:, LABELS.index(SAFE)]
