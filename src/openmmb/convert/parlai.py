"""ParlAI's checkpoints: Multi-Modal BlenderBot and BlenderBot.

``model``                   weights, a pickle of PyTorch
``model.opt``               options, JSON
``model.dict``              tokens, one a line
``model.dict-vocab.json``   the byte-level BPE's tokens
``model.dict-merges.txt``   its merges
``model.dict.codecs``       in BlenderBot 90M instead of these two: the merges of ``subword-nmt``

A model of text alone becomes what the recipe of Multi-Modal BlenderBot starts from: its projection
of pictures is random and its two segments are zero (ParlAI's begin random), so that it says what it
said before.
"""

from pathlib import Path
from typing import Final

import torch

from openmmb.checkpoint import Precision
from openmmb.convert.adopt import (
    adopt_network,
    narrowed,
    table_shape,
    two_segments,
    untrained_pictures,
)
from openmmb.convert.bpe import read_parlai_vocabulary
from openmmb.convert.classifier import AGENT as CLASSIFIER
from openmmb.convert.classifier import ConvertedClassifier, convert_classifier
from openmmb.convert.dictionary import read_parlai_dictionary
from openmmb.convert.names import PARLAI
from openmmb.convert.objects import check_kinds, read_object
from openmmb.convert.options import KINDS, Options
from openmmb.convert.write import Converted, write_checkpoint
from openmmb.errors import CheckpointError
from openmmb.pickles import load_pickle
from openmmb.tensors import pickled_weights

SEGMENTS: Final = "encoder.segment_embeddings.weight"


def convert(
    source: Path,
    out: Path,
    *,
    precision: Precision | None = None,
    encoder: str | None = None,
) -> Converted | ConvertedClassifier:
    """Write ParlAI's checkpoint as this project's, replacing one that is there.

    Args:
        source: A folder with ``model`` in it, or the model file itself, whatever its name.
        out: The folder to write.
        precision: Of the weights; None keeps what is stored.
        encoder: For a model of text alone, the picture encoder that it is prepared for; for one
            whose options do not say, the one whose image vectors it knows. None: the usual one.

    Raises:
        CheckpointError: A file is missing or damaged, the model is of another kind, or its weights
            are not those of its options. A pickle that names code to run is refused.
    """
    path = source / "model" if source.is_dir() else source
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected the weights of a ParlAI model")
    values = read_object(Path(f"{path}.opt"))
    check_kinds(values, Path(f"{path}.opt"), KINDS)
    state = load_pickle(path, mapped=True)
    if not isinstance(state, dict) or "model" not in state:
        raise CheckpointError(f"{path}: no 'model' in it; expected weights as ParlAI saves them")
    weights = narrowed(pickled_weights(state["model"], path))
    doubles = any(tensor.dtype == torch.float64 for tensor in state["model"].values())
    state.clear()  # the optimiser's memory may be as large
    if values.get("model") == CLASSIFIER:
        return convert_classifier(path, values, weights, out, precision=precision)
    vocab_size, _ = table_shape(weights, "embeddings.weight", path)
    num_positions, _ = table_shape(weights, "encoder.position_embeddings.weight", path)
    options = Options(values, Path(f"{path}.opt"), num_positions, vocab_size)
    options.check()
    config = options.checkpoint(_name(path), encoder=encoder)
    read_vocabulary = read_parlai_dictionary if options.has_pieces else read_parlai_vocabulary
    tokenizer = read_vocabulary(Path(f"{path}.dict"), size=vocab_size)
    weights = two_segments(weights, SEGMENTS)
    adopted = adopt_network(
        weights, PARLAI, config.seq2seq, path, precision=precision, fresh=not options.has_image
    )
    write_checkpoint(out, config, tokenizer, adopted)
    pictures = () if options.has_image else (untrained_pictures(config.encoder),)
    widths = ("weights: float64, read as float32, as ParlAI reads them",) if doubles else ()
    return Converted(folder=out, config=config, notes=(*pictures, *widths, *options.notes(encoder)))


def _name(path: Path) -> str:
    """Return the file's name, or its folder's where every model is called ``model``."""
    return path.resolve().parent.name if path.name == "model" else path.name
