"""A text's logits are its own: padding, neighbours and weights' names change nothing."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.model.classifier import Classifier, ClassifierShape, Pooling, pool
from openmmb.model.config import Variant
from openmmb.model.initial import initialise
from tests.build import tiny_config, tiny_model

POOLINGS: tuple[Pooling, ...] = ("mean", "max", "first")
VARIANTS: tuple[Variant, ...] = ("prelayernorm", "xlm", "aiayn", "bart")


def tiny_shape(*, variant: Variant = "xlm", pooling: Pooling = "mean") -> ClassifierShape:
    return ClassifierShape(
        num_labels=3,
        vocab_size=40,
        embed_dim=16,
        ffn_dim=32,
        num_heads=2,
        num_layers=2,
        num_positions=24,
        variant=variant,
        pooling=pooling,
        dropout=0.0,
    )


def some_texts(rows: int = 3, length: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and what is judged, of texts of several lengths with one token of context."""
    ids = torch.randint(4, 40, (rows, length))
    mask = torch.arange(length) < torch.arange(length, length - rows, -1)[:, None]
    judged = mask.clone()
    judged[:, 0] = False
    return ids, mask, judged


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_alone_has_the_logits_that_it_has_among_others(
    variant: Variant, pooling: Pooling
) -> None:
    model = initialise(Classifier(tiny_shape(variant=variant, pooling=pooling))).eval()
    ids, mask, judged = some_texts()
    together = model(ids, mask, judged)
    for row in range(len(ids)):
        length = int(mask[row].sum())
        one = slice(row, row + 1)
        alone = model(ids[one, :length], mask[one, :length], judged[one, :length])
        torch.testing.assert_close(together[one], alone, atol=1e-5, rtol=1e-5)


@given(
    st.lists(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=5), min_size=1, max_size=4)
)
def test_pooling_is_that_of_the_plain_way(rows: list[list[float]]) -> None:
    longest = max(map(len, rows)) + 1
    states, judged = torch.full((len(rows), longest, 2), 7.0), torch.zeros(len(rows), longest) > 0
    for place, row in enumerate(rows):
        for at, value in enumerate(row, start=1):  # the first position never counts
            states[place, at] = torch.tensor([value, -value])
            judged[place, at] = True
    for place, row in enumerate(rows):
        mean = sum(row) / len(row)
        expected = {"mean": (mean, -mean), "max": (max(row), -min(row)), "first": (row[0], -row[0])}
        for how in POOLINGS:
            found = pool(states, judged, how)[place]
            torch.testing.assert_close(found, torch.tensor(expected[how]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_states_are_those_of_the_seq2seq_encoder_without_a_picture(variant: Variant) -> None:
    config = tiny_config(variant=variant, learned_positions=True, fusion="late")
    talking = tiny_model(config)
    shape = ClassifierShape(
        vocab_size=config.vocab_size,
        embed_dim=config.embed_dim,
        ffn_dim=config.ffn_dim,
        num_heads=config.num_heads,
        num_layers=config.num_encoder_layers,
        num_positions=config.num_positions,
        scale_embeddings=True,
        variant=variant,
    )
    model = initialise(Classifier(shape)).eval()
    known = {name: w for name, w in talking.state_dict().items() if name in model.state_dict()}
    assert not model.load_state_dict(known, strict=False).unexpected_keys
    ids, mask, _ = some_texts()
    expected = talking.read(ids, mask).states
    states, _ = model.encoder(model.embeddings(ids) * model.scale, mask)
    torch.testing.assert_close(states[mask], expected[mask], atol=1e-5, rtol=1e-5)


def test_every_weight_learns() -> None:
    model = initialise(Classifier(replace(tiny_shape(), num_segments=0)))
    logits = model(*some_texts())
    logits.logsumexp(-1).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert model.num_parameters() == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_labels": 1}, "num_labels must be at least 2, got 1"),
        ({"num_layers": 0}, "num_layers must be from 1 to 1000, got 0"),
        ({"num_heads": 3}, r"embed_dim \(16\) must be a multiple of num_heads \(3\)"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(tiny_shape(), **changes)  # type: ignore[arg-type]
