"""ParlAI's options mean here what they mean there, those of old models too."""

from pathlib import Path
from typing import Any

import pytest

from openmmb.convert.options import BYTES, PIECES, REQUIRED, Options
from openmmb.errors import CheckpointError
from openmmb.search.config import SearchConfig

CARD: dict[str, Any] = {
    "model": "projects.multimodal_blenderbot.agents:BiasAgent",
    "bias_class": "f0m0",
    "image_mode": "faster_r_cnn_152_32x8d",
    "embedding_size": 2560,
    "ffn_size": 10240,
    "n_layers": 8,
    "n_encoder_layers": 2,
    "n_decoder_layers": 24,
    "n_heads": 32,
    "variant": "prelayernorm",
    "activation": "gelu",
    "embeddings_scale": True,
    "dropout": 0.1,
    "n_segments": 2,
    "image_fusion_type": "early",
    "n_image_channels": 100,
    "image_features_dim": 2048,
    "dict_tokenizer": "bytelevelbpe",
    "truncate": 128,
    "text_truncate": 128,
    "label_truncate": 128,
    "delimiter": "\n",
    "history_add_global_end_token": "end",
    "inference": "beam",
    "beam_size": 10,
    "beam_min_length": 20,
    "beam_block_ngram": 3,
    "beam_context_block_ngram": 3,
    "beam_block_full_context": False,
}
"""Multi-Modal BlenderBot's, as its model card has them."""
OLD: dict[str, Any] = {
    "model": "transformer/generator",
    "embedding_size": 300,
    "ffn_size": 300,
    "n_heads": 2,
    "n_layers": 2,
    "beam_size": 5,
}
"""A model of before most options were there."""


def options(values: dict[str, Any], **changes: Any) -> Options:
    return Options(values | changes, Path("model.opt"), num_positions=128, vocab_size=8008)


def test_the_model_card_is_what_the_defaults_are() -> None:
    card = options(CARD)
    card.check()
    config = card.checkpoint("mmb", encoder=None)
    assert config.model == type(config.model)()
    assert config.search == SearchConfig()
    assert (config.encoder, config.gender) == ("faster_rcnn_x152", "f0m0")
    assert (config.encode.layout, config.encode.delimiter) == ("parlai", "\n")
    assert (config.encode.max_context, config.encode.max_reply) == (128, 128)
    assert config.encode.end_context
    assert card.notes() == ()


def test_what_old_options_lack_is_as_it_was_then() -> None:
    old = options(OLD)
    old.check()
    config = old.checkpoint("old", encoder=None)
    model, search = config.seq2seq, config.search
    assert (model.variant, model.activation, model.scale_embeddings) == ("aiayn", "relu", True)
    assert (model.num_encoder_layers, model.num_decoder_layers) == (2, 2)
    assert (search.method, search.beam_size, search.min_length) == ("beam", 5, 1)
    assert (search.block_ngram, search.block_context_ngram) == (0, 0)
    assert search.max_length == config.encode.max_reply == config.encode.max_context == 128
    assert not config.encode.end_context
    assert config.gender is None
    assert options(OLD, beam_size=1).checkpoint("old", encoder=None).search.method == "greedy"


@pytest.mark.parametrize(
    ("changes", "context", "reply"),
    [
        ({"text_truncate": None}, 64, 32),
        ({"text_truncate": 0}, 64, 32),
        ({"truncate": -1, "text_truncate": None, "label_truncate": None}, 128, 128),
        ({"text_truncate": -1}, 128, 32),
        ({"text_truncate": 1024, "label_truncate": 10**9}, 128, 128),
        ({"truncate": 1024, "text_truncate": None}, 128, 32),
    ],
)
def test_limits(changes: dict[str, Any], context: int, reply: int) -> None:
    limited = CARD | {"truncate": 64, "label_truncate": 32} | changes
    encode = options(limited).checkpoint("mmb", encoder=None).encode
    assert (encode.max_context, encode.max_reply) == (context, reply)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("topk", "topk"), ("nucleus", "nucleus"), ("delayedbeam", "delayed_beam")],
)
def test_methods(theirs: str, ours: str) -> None:
    found = options(CARD, inference=theirs).checkpoint("mmb", encoder=None)
    assert found.search.method == ours


@pytest.mark.parametrize(
    "unread", [{"topk": 0}, {"topk": -1}, {"topp": 0.0}, {"topp": 2}, {"beam_delay": -1}]
)
def test_what_only_other_searches_read_may_be_anything(unread: dict[str, Any]) -> None:
    for method in ("beam", "greedy"):
        found = options(CARD, inference=method, **unread).checkpoint("mmb", encoder=None).search
        assert (found.top_k, found.top_p, found.beam_delay) == (10, 0.9, 30)
    reads = "nucleus" if "topp" in unread else "delayedbeam"
    with pytest.raises(CheckpointError, match=r"model\.opt: (top_k|top_p|beam_delay) must be"):
        options(CARD, inference=reads, **unread).checkpoint("mmb", encoder=None)


def test_what_means_none_or_without_bound_does_here_too() -> None:
    search = options(CARD, beam_min_length=-1, beam_block_ngram=10**9).checkpoint(
        "mmb", encoder=None
    )
    assert (search.search.min_length, search.search.block_ngram) == (0, 32768)
    text = options(OLD, n_segments=-1).checkpoint("old", encoder=None)
    assert (
        text.seq2seq.num_segments
        == options(OLD).checkpoint("old", encoder=None).seq2seq.num_segments
    )


@pytest.mark.parametrize("full", [False, True])
def test_how_much_of_the_context_is_blocked_is_kept(full: bool) -> None:
    changed = options(CARD, beam_block_full_context=full)
    found = changed.checkpoint("mmb", encoder=None)
    assert found.search.block_full_context == full
    assert changed.notes() == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("beam_block_list_filename", "words.txt"),
        ("inference", "factual_nucleus"),
        ("text_truncate", 1024),
    ],
)
def test_what_is_not_carried_over_is_said(key: str, value: Any) -> None:
    changed = options(CARD, **{key: value})
    [note] = changed.notes()
    assert note.startswith(f"{key}: ")
    changed.checkpoint("mmb", encoder=None)


SMALL: dict[str, Any] = OLD | {"dict_tokenizer": "bpe", "dict_lower": True}
"""With a dictionary of words and pieces."""


@pytest.mark.parametrize(
    ("values", "key"),
    [(CARD, key) for key in (*REQUIRED, *BYTES)] + [(SMALL, key) for key in PIECES],
)
def test_an_option_that_would_change_the_contexts_or_the_network_is_refused(
    values: dict[str, Any], key: str
) -> None:
    options(values).check()
    with pytest.raises(CheckpointError, match=f"model.opt: {key} is 'other'; expected "):
        options(values, **{key: "other"}).check()


def test_words_and_pieces_must_be_said_to_be_in_lower_case() -> None:
    """Where the option is missing, ParlAI keeps capitals."""
    with pytest.raises(CheckpointError, match=r"dict_lower is None; expected True"):
        options(SMALL, dict_lower=None).check()


def test_another_agent_is_refused_with_those_that_can_be_converted() -> None:
    with pytest.raises(CheckpointError, match="model is None; expected one of transformer"):
        options(CARD, model=None).check()
