"""Small classifiers: the real classes, untrained."""

import torch

from openmmb.model.classifier import Classifier, ClassifierShape
from openmmb.model.initial import initialise
from openmmb.safety.reading import ReadConfig
from openmmb.safety.trained import ClassifierConfig, TrainedClassifier
from tests.build import tiny_tokenizer

LABELS = ("safe", "insult", "threat")


def tiny_classifier(*, threshold: float = 0.5, seed: int = 0) -> TrainedClassifier:
    """Two layers, 16 wide; its verdicts are noise, the same every time."""
    shape = ClassifierShape(
        num_labels=3,
        vocab_size=tiny_tokenizer().vocab_size,
        embed_dim=16,
        ffn_dim=32,
        num_heads=2,
        num_layers=2,
        num_positions=24,
        dropout=0.0,
    )
    config = ClassifierConfig(
        name="tiny",
        labels=LABELS,
        unsafe=LABELS[1:],
        threshold=threshold,
        shape=shape,
        read=ReadConfig(max_tokens=16, max_context=8),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TrainedClassifier(config, initialise(Classifier(shape)).eval(), tiny_tokenizer())
