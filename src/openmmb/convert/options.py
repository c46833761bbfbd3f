"""What ParlAI writes beside a model, its options, as this project's settings.

Options that are missing mean what they mean to ParlAI when it loads an old model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from openmmb.checkpoint import CheckpointConfig
from openmmb.config import parse
from openmmb.convert.adopt import ENCODER, image_shape
from openmmb.convert.looks import Looks, find_looks
from openmmb.convert.objects import Kind
from openmmb.data.controls import POSITIVE
from openmmb.data.encode import EncodeConfig
from openmmb.errors import CheckpointError, ConfigError, shorten
from openmmb.model.config import ModelConfig
from openmmb.search.config import MOST_TOKENS, SearchConfig
from openmmb.text.tokenizer import END, PAD, START, UNKNOWN
from openmmb.vision.encoders import find_encoder

TEXT_AGENTS = (
    "transformer/generator",
    "parlai.agents.transformer.transformer:TransformerGeneratorAgent",
)
IMAGE_AGENTS = ("image_seq2seq", "parlai.agents.image_seq2seq.image_seq2seq:ImageSeq2seqAgent")
BIAS_AGENTS = ("projects.multimodal_blenderbot.agents:BiasAgent",)
METHODS = {
    "beam": "beam",
    "greedy": "greedy",
    "topk": "topk",
    "nucleus": "nucleus",
    "delayedbeam": "delayed_beam",
}
CONTROLLED = "genderation_bias:controllable_task"
"""In ``task`` of models that were trained with the control of gendered words."""
LONGEST_REPLY = 256
"""Tokens of a reply where nothing limits it."""
REQUIRED: dict[str, tuple[Any, ...]] = {
    "dict_tokenizer": ("bytelevelbpe", "bpe", None),
    "special_tok_lst": ("", None),
    "share_word_embeddings": (True, None),
    "include_image_token": (False, None),
    "person_tokens": (False, None),
    "add_p1_after_newln": (False, None),
    "split_lines": (False, None),
    "history_reversed": (False, None),
    "history_size": (-1, None),
}
"""Options that can be converted only with one of these values; None: or if they are missing. Any
other would make other contexts, or another network, than this project's."""
BYTES: dict[str, tuple[Any, ...]] = {
    "dict_lower": (False, None),
    "bpe_add_prefix_space": (True, None),
}
"""The same for vocabularies that are a byte-level BPE."""
PIECES: dict[str, tuple[Any, ...]] = {
    "dict_lower": (True,),
    "bpe_add_prefix_space": (False, None),
    "dict_nulltoken": (PAD, None),
    "dict_starttoken": (START, None),
    "dict_endtoken": (END, None),
    "dict_unktoken": (UNKNOWN, None),
}
"""The same for dictionaries of words and pieces, ``bpe``."""
KINDS: dict[Kind, tuple[str, ...]] = {
    "a number": (
        *("embedding_size", "ffn_size", "n_heads", "n_layers", "n_encoder_layers"),
        *("n_decoder_layers", "n_segments", "n_image_channels", "n_image_tokens"),
        *("image_features_dim", "image_encoder_num_layers", "output_scaling", "category_frac"),
        *("dropout", "attention_dropout", "relu_dropout", "threshold"),
        *("text_truncate", "label_truncate", "truncate", "beam_size", "beam_min_length"),
        *("beam_block_ngram", "beam_context_block_ngram", "beam_length_penalty", "beam_delay"),
        *("temperature", "topk", "topp"),
    ),
    "text": (
        *("model", "variant", "activation", "inference", "image_mode", "image_fusion_type"),
        *("bias_class", "delimiter", "ref_class", "dict_tokenizer"),
        *("dict_nulltoken", "dict_starttoken", "dict_endtoken", "dict_unktoken"),
    ),
    "a list": ("classes",),
}
"""What kind of value an option has."""
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """The options of a model.

    Attributes:
        values: As in ``model.opt``.
        path: Of that file.
        num_positions: Rows of the table of positions.
        vocab_size: Rows of the table of words.
    """

    values: Mapping[str, Any]
    path: Path
    num_positions: int
    vocab_size: int

    def get(self, key: str, default: Any) -> Any:
        """Return an option; null counts as missing."""
        value = self.values.get(key)
        return default if value is None else value

    @property
    def has_image(self) -> bool:
        """Whether the model was made to look at pictures."""
        return self.values.get("model") not in TEXT_AGENTS

    @property
    def has_pieces(self) -> bool:
        """Whether the vocabulary is a dictionary of words and pieces, as BlenderBot 90M's."""
        return self.values.get("dict_tokenizer") == "bpe"

    def check(self) -> None:
        """See that the model is of a kind that can be converted.

        Raises:
            CheckpointError: It is not; names the option.
        """
        agents = (*TEXT_AGENTS, *IMAGE_AGENTS, *BIAS_AGENTS)
        agent = self.values.get("model")
        if agent not in agents:
            raise CheckpointError(
                f"{self.path}: model is {shorten(repr(agent))}; expected one of {', '.join(agents)}"
            )
        for key, allowed in (REQUIRED | (PIECES if self.has_pieces else BYTES)).items():
            value = self.values.get(key)
            if value not in allowed:
                expected = " or ".join(repr(value) for value in allowed if value is not None)
                raise CheckpointError(
                    f"{self.path}: {key} is {shorten(repr(value))}; expected {expected}"
                )

    def checkpoint(self, name: str, *, encoder: str | None) -> CheckpointConfig:
        """Return the settings of the whole checkpoint.

        Args:
            name: For people.
            encoder: The picture encoder that a model of text alone is prepared for, or whose image
                vectors a model knows whose options do not say; None: the usual one.

        Raises:
            CheckpointError: An option has a value that it cannot have.
        """
        prepared = encoder or ENCODER
        return self.built(
            CheckpointConfig,
            {
                "name": name,
                "encoder": self.looks(encoder).encoder
                if self.has_image
                else find_encoder(prepared),
                "model": self._model(prepared),
                "encode": _encode(self),
                "search": _search(self),
                "gender": self.get("bias_class", "f0m0") if self.has_control else None,
                "image_style": POSITIVE if self.has_style else None,
            },
        )

    @property
    def has_control(self) -> bool:
        """Whether replies get a control of gendered words: by the agent, or as it was trained."""
        is_bias = self.values.get("model") in BIAS_AGENTS
        return is_bias or CONTROLLED in str(self.values.get("task", ""))

    @property
    def has_style(self) -> bool:
        """Whether replies about pictures are to be positive or neutral, as the model card asks."""
        share = self.values.get("category_frac") or 0
        is_bias = self.values.get("model") in BIAS_AGENTS
        return self.has_image and (is_bias or (isinstance(share, int | float) and share > 0))

    def looks(self, asked: str | None) -> Looks:
        """Return which picture encoder's vectors the model knows.

        Args:
            asked: What a person says; None: nobody says anything.

        Raises:
            CheckpointError: That is another one than the options name, or does not fit.
        """
        return find_looks(
            str(self.get("image_mode", "raw")),
            (self.get("n_image_channels", 1), self.get("image_features_dim", 2048)),
            asked,
            self.path,
        )

    def notes(self, encoder: str | None = None) -> tuple[str, ...]:
        """Say what is not carried over, or is other than the options say."""
        notes = list(self.looks(encoder).notes) if self.has_image else []
        if self.has_image and not self.has_style:
            notes.append(
                "image_style: none, since the options have no category_frac; a chat takes --style"
            )
        notes += _length_notes(self)
        if self.get("n_segments", 0) not in (0, 2):
            notes.append(f"n_segments: {self.values['n_segments']}; stored as 2")
        if self.get("beam_block_list_filename", None):
            notes.append("beam_block_list_filename: its phrases are not carried over")
        if self.get("inference", "greedy") not in METHODS:
            notes.append(f"inference: {self.values['inference']!r} is not supported; set to beam")
        return tuple(notes)

    def _model(self, encoder: str) -> ModelConfig:
        return self.built(ModelConfig, {**_network(self), **_picture(self, encoder)})

    def layers(self, key: str) -> Any:
        """Return how many layers ``key`` says there are, or ``n_layers`` where it says none."""
        count = self.get(key, -1)
        return self.values["n_layers"] if isinstance(count, int) and count <= 0 else count

    def limit(self, key: str, unlimited: int) -> Any:
        """Return how many tokens ``key``, or ``truncate`` where that says nothing, lets pass."""
        limit = self.get(key, 0) or self.get("truncate", -1)
        if limit == -1:
            return unlimited
        return min(limit, self.num_positions) if type(limit) is int else limit

    def built(self, cls: type[T], values: dict[str, Any]) -> T:
        """Return a config of these values.

        Raises:
            CheckpointError: They do not fit.
        """
        try:
            return parse(cls, values, source=str(self.path))
        except ConfigError as error:
            raise CheckpointError(str(error)) from error


def _length_notes(options: Options) -> Iterator[str]:
    shortest, longest = options.get("beam_min_length", 1), _longest(options)
    if isinstance(shortest, int) and shortest >= longest:
        yield (
            f"beam_min_length: {shortest} leaves no end within {longest} tokens, so ParlAI cuts "
            f"every reply there; set to {longest - 1}"
        )
    positions = options.num_positions
    for key in ("text_truncate", "label_truncate", "truncate"):
        limit = options.get(key, 0)
        if isinstance(limit, int) and limit > positions:
            yield f"{key}: {limit}, but the network has {positions} positions; set to {positions}"


def _network(options: Options) -> dict[str, Any]:
    for key in ("embedding_size", "ffn_size", "n_heads", "n_layers"):
        if key not in options.values:
            raise CheckpointError(f"{options.path}: {key} is missing")
    return {
        "vocab_size": options.vocab_size,
        "embed_dim": options.values["embedding_size"],
        "ffn_dim": options.values["ffn_size"],
        "num_heads": options.values["n_heads"],
        "num_encoder_layers": options.layers("n_encoder_layers"),
        "num_decoder_layers": options.layers("n_decoder_layers"),
        "num_positions": options.num_positions,
        "learned_positions": options.get("learn_positional_embeddings", False),
        "scale_embeddings": options.get("embeddings_scale", True),
        "variant": options.get("variant", "aiayn"),
        "activation": options.get("activation", "relu"),
        "output_scaling": options.get("output_scaling", 1.0),
        "dropout": options.get("dropout", 0.0),
        "attention_dropout": options.get("attention_dropout", 0.0),
        "activation_dropout": options.get("relu_dropout", 0.0),
    }


def _picture(options: Options, encoder: str) -> dict[str, Any]:
    if options.has_image:
        return {
            "num_segments": _segments(options),
            "fusion": options.get("image_fusion_type", "late"),
            "image_vectors": options.get("n_image_channels", 1),
            "image_dim": options.get("image_features_dim", 2048),
            "image_layers": options.get("image_encoder_num_layers", 1),
            "image_tokens": options.get("n_image_tokens", 1),
        }
    vectors, features = image_shape(encoder)
    shape = {"image_vectors": vectors, "image_dim": features}
    # Early fusion in the variant bart leaves out a norm that the text has without pictures.
    if options.get("variant", "aiayn") == "bart":
        return {"num_segments": _segments(options), "fusion": "late", **shape}
    return {"num_segments": 2, "fusion": "early", **shape}


def _segments(options: Options) -> Any:
    """Return how many segments are stored: text alone uses the first, whatever their number."""
    count = options.get("n_segments", 0)
    return (2 if count > 0 else 0) if type(count) is int else count


def _longest(options: Options) -> Any:
    return min(options.limit("label_truncate", LONGEST_REPLY), options.num_positions)


def _encode(options: Options) -> EncodeConfig:
    return options.built(
        EncodeConfig,
        {
            "layout": "parlai",
            "max_context": options.limit("text_truncate", options.num_positions),
            "max_pinned": 0,
            "max_reply": options.limit("label_truncate", options.num_positions),
            "delimiter": options.get("delimiter", "\n"),
            "end_context": options.values.get("history_add_global_end_token") is not None,
        },
    )


def _search(options: Options) -> SearchConfig:
    longest, shortest = _longest(options), options.get("beam_min_length", 1)
    size = options.get("beam_size", 1)
    method = options.get("inference", "greedy" if size == 1 else "beam")
    values = {
        "method": METHODS.get(method, "beam"),
        "beam_size": size,
        "min_length": max(0, min(shortest, longest - 1)) if type(shortest) is int else shortest,
        "max_length": longest,
        "block_ngram": min(max(0, options.get("beam_block_ngram", -1)), MOST_TOKENS),
        "block_context_ngram": min(
            max(0, options.get("beam_context_block_ngram", -1)), MOST_TOKENS
        ),
        "block_full_context": options.get("beam_block_full_context", False),
        "length_penalty": options.get("beam_length_penalty", 0.65),
        "temperature": options.get("temperature", 1.0),
    }
    draws = {
        "top_k": options.get("topk", 10),
        "top_p": options.get("topp", 0.9),
        "beam_delay": options.get("beam_delay", 30),
    }
    try:
        return options.built(SearchConfig, {**values, **draws})
    except CheckpointError:
        if METHODS.get(method, "beam") not in ("beam", "greedy"):
            raise
        return options.built(SearchConfig, values)  # a search that does not draw reads none
