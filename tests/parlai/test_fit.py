"""What flags say about a network has to be true of the checkpoint that a run starts from."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.checkpoint import save_checkpoint
from openmmb.errors import CheckpointError, ConfigError
from openmmb.parlai.arguments import read_flags
from openmmb.parlai.fit import check_shape, check_tokenizer, fit_to_start, read_start
from openmmb.parlai.train_flags import TrainCommand, read_train
from tests.build import TINY_F, TINY_I, tiny_checkpoint
from tests.model.causal import SMOL

WORDS = shlex.split(
    "-t convai2:normalized -m image_seq2seq -mf run -lr 1e-5 -opt adam -tstep 9 --dropout 0.3 "
    "--init-model start"
)
CONFIG = tiny_checkpoint(
    encoder="faster_r_cnn_152_32x8d", image_vectors=TINY_I, image_dim=TINY_F
).config


def command(*flags: str) -> TrainCommand:
    return read_train(read_flags((*WORDS, *flags)))


def test_the_settings_of_a_checkpoint_are_read_without_its_weights(tmp_path: Path) -> None:
    assert read_start(str(tmp_path)) is None
    save_checkpoint(tiny_checkpoint(), tmp_path / "start", precision="fp16")
    (tmp_path / "start" / "model.safetensors").unlink()
    assert read_start(str(tmp_path / "start")) == tiny_checkpoint().config


def test_the_network_is_the_starts_and_the_dropouts_are_the_commands() -> None:
    recipe = fit_to_start(command("-esz", "16"), CONFIG).recipe
    assert (recipe["model"]["embed_dim"], recipe["model"]["ffn_dim"]) == (16, 32)
    assert (recipe["model"]["dropout"], recipe["model"]["attention_dropout"]) == (0.3, 0.0)
    assert recipe["data"]["encoder"] == "faster_rcnn_x152"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-hid", "33"), "--ffn-size 33: start/checkpoint has 32, which stays; leave the flag out"),
        (("-nl", "3"), "--n-encoder-layers 3: start/checkpoint has 2"),
        (("--variant", "xlm"), "--variant 'xlm': start/checkpoint has 'prelayernorm'"),
        (("--image-mode", "efficientnet_lite0"), "--image-mode efficientnet_lite0: start/che"),
    ],
)
def test_a_contradiction_names_flag_and_both_values(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_to_start(command(*flags), CONFIG)


def test_a_decoder_only_network_is_none_of_parlais() -> None:
    config = replace(CONFIG, model=SMOL)
    for flags in ((), ("--variant", "xlm")):
        with pytest.raises(
            CheckpointError, match=r"model\.kind is 'causal'; expected a network with"
        ):
            fit_to_start(command(*flags), config)
    with pytest.raises(CheckpointError, match=r"model\.kind is 'causal'"):
        check_shape({"model.variant": "xlm"}, config, "start")
    check_shape({"encode.delimiter": "\n"}, config, "start")


def test_what_is_true_is_no_contradiction() -> None:
    check_shape({"model.embed_dim": 16, "encode.delimiter": "\n"}, CONFIG, "start")


def test_the_tokenizer_that_is_named_must_be_the_starts(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "start", precision="fp16")
    folder = str(tmp_path / "start")
    for words in ((), ("--dict-tokenizer", "bytelevelbpe")):
        check_tokenizer(read_flags(words), folder)
    asked = read_flags(("--dict-tokenizer", "bpe"))
    with pytest.raises(ConfigError, match=r"^--dict-tokenizer bpe: .*start is bytelevelbpe, which"):
        check_tokenizer(asked, folder)
    check_tokenizer(asked, str(tmp_path / "not there yet"))
