"""Every weight has its name everywhere, and no two weights share one."""

import pytest
import torch

from openmmb.convert.names import HUGGING_FACE, HUGGING_FACE_SMALL, PARLAI, Naming
from openmmb.model.seq2seq import Seq2Seq
from tests.build import tiny_config

with torch.device("meta"):
    WEIGHTS = list(Seq2Seq(tiny_config(image_layers=3)).state_dict())
TEXT = [name for name in WEIGHTS if "image_projector" not in name and "segments" not in name]


@pytest.mark.parametrize(
    ("naming", "names"), [(PARLAI, WEIGHTS), (HUGGING_FACE, TEXT), (HUGGING_FACE_SMALL, TEXT)]
)
def test_names_are_different(naming: Naming, names: list[str]) -> None:
    found = [source for name in names for source in naming.sources(name)]
    assert len(found) == len(set(found)) > len(names)
    assert not {*found} & {*naming.copies, *naming.ignored}


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        ("encoder.image_projector.layers.3.bias", ("encoder.image_encoder.3.bias",)),
        ("encoder.segments.weight", ("encoder.segment_embeddings.weight",)),
        ("decoder.layers.1.ffn_norm.bias", ("decoder.layers.1.norm3.bias",)),
        ("encoder.layers.1.ffn_norm.bias", ("encoder.layers.1.norm2.bias",)),
        (
            "decoder.layers.0.cross.kv.weight",
            (
                "decoder.layers.0.encoder_attention.k_lin.weight",
                "decoder.layers.0.encoder_attention.v_lin.weight",
            ),
        ),
    ],
)
def test_parlai(name: str, sources: tuple[str, ...]) -> None:
    assert PARLAI.sources(name) == sources


def test_what_has_no_name_there_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"encoder\.segments\.weight"):
        HUGGING_FACE.sources("encoder.segments.weight")
