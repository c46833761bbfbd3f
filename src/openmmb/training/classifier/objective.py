"""Training a classifier of what may be said, from a recipe to a folder that the guard can ask.

Its labels are those of ``tasks.labelled``. Data sets ask different questions, so what is learnt is
that a text has one of the labels that its data set leaves open.

Sizes: B texts, L tokens, C labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from openmmb.checkpoint import find_checkpoint, load_checkpoint
from openmmb.data.draw import take_evenly
from openmmb.data.sampler import Sampler, Window
from openmmb.distributed import full_state_dict, is_main
from openmmb.errors import ConfigError
from openmmb.eval.classification import measure
from openmmb.model.classifier import Classifier
from openmmb.safety.reading import collate, read
from openmmb.safety.trained import ClassifierConfig, TrainedClassifier, save_classifier
from openmmb.tasks.labelled import LABELS, SAFE, Labelled
from openmmb.training.classifier.calibration import (
    apply_to_head,
    calibrate,
    choose_threshold,
    label_loss,
)
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.noise import add_noise
from openmmb.training.classifier.start import begin_from, learn_words
from openmmb.training.classifier.texts import (
    Source,
    read_conversation,
    read_listed,
    read_neutral,
    read_source,
    with_context,
)
from openmmb.training.run.log import Record, Watch
from openmmb.training.run.loop import opened, run_opened
from openmmb.training.run.objective import Scores
from openmmb.training.run.precision import autocast

UNSAFE = tuple(label for label in LABELS if label != SAFE)
"""What the classifier refuses."""


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Texts side by side.

    Attributes:
        ids: (B, L) int64, padded on the right.
        mask: (B, L) bool, True at real tokens.
        judged: (B, L) bool, True at the tokens of the text, without its context.
        allowed: (B, C) bool, True at the labels that the text may have.
    """

    ids: Tensor
    mask: Tensor
    judged: Tensor
    allowed: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Self:
        """Copy every tensor to ``device``."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        return type(self)(**moved)


def train_classifier(recipe: ClassifierRecipe, *, watch: Watch = lambda _: None) -> Path:
    """Run a recipe to its end, or on to its end, and return the folder of its best classifier.

    Args:
        recipe: What to do.
        watch: Sees every record of the log as it is written.

    Raises:
        ConfigError: The recipe does not fit the run that is in its folder, or its own parts do
            not fit each other.
        DataError: A data set is missing or malformed.
        CheckpointError: ``recipe.start`` is not a checkpoint, or no state of the run is whole.
        TrainingError: Loss or gradient were not finite ten times in a row, or the disk is full.
    """
    with opened(recipe):
        return run_opened(prepare_verdicts(recipe), recipe, watch=watch)


def prepare_verdicts(recipe: ClassifierRecipe) -> "Verdicts":
    """Read the data, learn the vocabulary, and build the network.

    Raises:
        ConfigError: The recipe's parts do not fit each other.
        DataError: A data set is missing or malformed.
        CheckpointError: ``recipe.start`` is not a checkpoint.
    """
    root, share = Path(recipe.root), recipe.calibrate
    talk = [read_conversation(part, root, calibrate=share) for part in recipe.conversations]
    sources = (
        *(read_source(part.name, part.weight, root, calibrate=share) for part in recipe.labelled),
        *talk,
        read_neutral(recipe.neutral_weight),
        read_listed(recipe.listed_weight, talk[0].train),
    )
    tokenizer = learn_words(recipe, sources)
    shape = replace(recipe.shape, num_labels=len(LABELS), vocab_size=tokenizer.vocab_size)
    try:
        settings = ClassifierConfig(
            name=recipe.name, labels=LABELS, unsafe=UNSAFE, shape=shape, read=recipe.read
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    torch.manual_seed(recipe.seed)
    model = Classifier(shape)
    if recipe.start is not None:
        start = load_checkpoint(find_checkpoint(recipe.start))
        begin_from(model, tokenizer, start.model, start.tokenizer, recipe.start)
    sampler = Sampler(
        examples=tuple(source.train for source in sources),
        weights=tuple(source.weight for source in sources),
        batch_size=recipe.batch_size,
        seed=recipe.seed,
    )
    return Verdicts(recipe, sources, sampler, TrainedClassifier(settings, model, tokenizer))


@dataclass(frozen=True)
class Verdicts:
    """To say what a text is: minus the log of the probability of the labels it may have.

    Attributes:
        recipe: What to do.
        sources: The texts.
        sampler: Which of them make which batch.
        trained: The network, its vocabulary, its settings.
    """

    recipe: ClassifierRecipe
    sources: tuple[Source, ...]
    sampler: Sampler
    trained: TrainedClassifier

    @property
    def model(self) -> Classifier:
        """The network."""
        return self.trained.model

    def batches(self, step: int) -> list[TextBatch]:
        """Return the batch of update ``step``."""
        seed, talk = self.recipe.seed, self._talk()
        window = self.sampler.window_of(step)
        order = np.random.default_rng([seed, window.number]).permutation(window.size)
        size = self.recipe.batch_size
        start = int(order[step - window.start]) * size
        texts = []
        for row in self._sorted(window)[start : start + size]:
            source, index, epoch = (int(number) for number in row)
            key = (seed, epoch, source, index)
            text = with_context(self.sources[source].train[index], talk, *key)
            texts.append(replace(text, text=add_noise(text.text, self.recipe.noise, *key)))
        return [self._batch(texts)]

    def loss(self, batch: TextBatch) -> tuple[Tensor, int]:
        """Return the summed loss of a batch, and the number of its texts."""
        logits = self.model(batch.ids, batch.mask, batch.judged)
        return label_loss(logits, batch.allowed).sum(), len(batch)

    def validate(self) -> Scores:
        """Score by 1 minus the mean AUC of the labelled sources.

        F1 is for people: it hangs on the threshold, which a few ordinary texts move. That is chosen
        as for the classifier that is saved, on other texts.
        """
        aside = self._aside()
        threshold = self._threshold(aside, chances(aside.logits))
        numbers = {"threshold": threshold}
        found = []
        for source in self.sources:
            texts = take_evenly(source.valid, self.recipe.valid.max_examples)
            if not texts:
                continue
            scores = chances(self._logits(texts)).tolist()
            refused = [score >= threshold for score in scores]
            if source.ordinary:
                numbers[f"refused/{source.name}"] = sum(refused) / len(refused)
                continue
            quality = measure(scores, [not text.safe for text in texts], refused)
            found.append(quality)
            numbers |= {f"f1/{source.name}": quality.f1, f"auc/{source.name}": quality.auc}
        auc = sum(quality.auc for quality in found) / len(found)
        f1 = sum(quality.f1 for quality in found) / len(found)
        return Scores(score=1 - auc, numbers={"auc": auc, "f1": f1, **numbers})

    def save(self, folder: Path) -> None:
        """Calibrate, choose the threshold, and write the classifier."""
        weights = full_state_dict(self.model)
        aside = self._aside()
        if not is_main():
            return
        safe = torch.tensor([label not in UNSAFE for label in LABELS])
        found = calibrate(aside.logits, aside.allowed, aside.shares, safe)
        changed = aside.logits / found.temperature + found.shift * safe
        config = replace(self.trained.config, threshold=self._threshold(aside, chances(changed)))
        with torch.device("meta"):
            model = Classifier(self.model.shape)
        model.load_state_dict(weights, assign=True)
        model.head = apply_to_head(model.head, found, safe)
        trained = TrainedClassifier(config, model, self.trained.tokenizer)
        save_classifier(trained, folder, precision=self.recipe.save_precision)

    def sizes(self) -> Record:
        """Count weights and texts."""
        sizes: Record = {
            "steps_per_epoch": self.sampler.steps_per_epoch,
            "parameters": self.model.num_parameters(),
        }
        for source in self.sources:
            sizes[f"texts/{source.name}"] = len(source.train)
            sizes[f"valid/{source.name}"] = len(source.valid)
        return sizes

    def _sorted(self, window: Window) -> npt.NDArray[np.int64]:
        """Return a window's draws by the length of their texts, so that a batch pads little."""
        draws = self.sampler.draws(window)
        lengths = [len(self.sources[source].train[index].text) for source, index, _ in draws]
        return draws[np.argsort(lengths, kind="stable")]

    def _talk(self) -> Sequence[Labelled]:
        """Return ordinary texts, whose contexts are lent to texts that have none."""
        return next(source.train for source in self.sources if source.ordinary)

    def _batch(self, texts: Sequence[Labelled]) -> TextBatch:
        tokenizer, config = self.trained.tokenizer, self.recipe.read
        rows = [read(text.text, text.context, tokenizer, config)[0] for text in texts]
        allowed = torch.tensor([[label in text.labels for label in LABELS] for text in texts])
        return TextBatch(*collate(rows, pad_id=tokenizer.pad_id), allowed)

    @torch.no_grad()
    def _logits(self, texts: Sequence[Labelled]) -> Tensor:
        """Return logits (B, C) of texts as they are."""
        order = sorted(range(len(texts)), key=lambda at: len(texts[at].text))
        logits = torch.empty(len(texts), len(LABELS))
        device = self.model.embeddings.weight.device
        for start in range(0, len(order), 128):
            part = order[start : start + 128]
            batch = self._batch([texts[at] for at in part]).to(device)
            with autocast(device, self.recipe.precision):
                found = self.model(batch.ids, batch.mask, batch.judged)
            logits[part] = found.float().cpu()
        return logits

    def _aside(self) -> "Aside":
        """Run the network over what was kept for calibration."""
        logits, allowed, shares, places, talk = [], [], [], [], []
        for place, source in enumerate(self.sources):
            texts = take_evenly(source.calibrate, self.recipe.valid.max_examples)
            if texts:
                size = len(texts)
                share = source.weight * len(source.train) / size
                logits.append(self._logits(texts))
                allowed.append(self._batch(texts).allowed)
                shares.append(torch.full((size,), share, dtype=torch.float64))
                places.append(torch.full((size,), place))
                talk.append(torch.full((size,), source.ordinary))
        parts = (logits, allowed, shares, places, talk)
        return Aside(*(torch.cat(part) for part in parts))

    def _threshold(self, aside: "Aside", scores: Tensor) -> float:
        unsafe = ~aside.allowed[:, LABELS.index(SAFE)]
        share = self.recipe.false_alarms
        return choose_threshold(scores, unsafe, aside.source, aside.talk, share=share)


@dataclass(frozen=True)
class Aside:
    """What was kept for calibration, as the network sees it.

    Attributes:
        logits: (B, C).
        allowed: (B, C) bool, True at the labels that a text may have.
        shares: (B,), how much it counts; a source counts as much as in training.
        source: (B,) int64, place of its source.
        talk: (B,) bool, whether it is ordinary talk.
    """

    logits: Tensor
    allowed: Tensor
    shares: Tensor
    source: Tensor
    talk: Tensor


def chances(logits: Tensor) -> Tensor:
    """Return how likely each text is unsafe: (B, C) -> (B,)."""
    return 1 - logits.softmax(-1)[:, LABELS.index(SAFE)]
