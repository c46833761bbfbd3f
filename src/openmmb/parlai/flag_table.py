"""ParlAI's flags and what each becomes here. To understand one more, add its line to FLAGS.

Defaults and meanings are those of ParlAI 1.7.2: ``core/params.py``, ``core/torch_agent.py``,
``core/torch_generator_agent.py``, ``agents/transformer``, ``agents/image_seq2seq``,
``scripts/train_model.py``, ``scripts/safe_interactive.py``, ``nn/lr_scheduler.py`` and the teachers
of the recipe's tasks.
"""

from dataclasses import dataclass
from typing import Any

from openmmb.convert.options import METHODS
from openmmb.parlai.values import (
    Read,
    counted,
    encoder,
    nothing_or,
    number,
    numbers,
    one_of,
    precision,
    shares,
    spaced,
    text,
    truth,
    whole,
)


@dataclass(frozen=True, slots=True)
class Flag:
    """What a flag becomes.

    Attributes:
        read: Reads its value.
        key: The setting that it decides alone, a dotted key of a recipe; or empty.
        why: Why it can have only the ``allowed`` values, or what it decides together with others.
        idle: Why it means nothing here; said to whoever gives it.
        allowed: The values that it can have; None: all that can be read.
        switch: Whether it stands alone, without a value.
    """

    read: Read
    key: str = ""
    why: str = ""
    idle: str = ""
    allowed: tuple[Any, ...] | None = None
    switch: bool = False


def to(key: str, read: Read) -> Flag:
    """Make a flag that decides one setting."""
    return Flag(read, key=key)


def jointly(of: str, read: Read) -> Flag:
    """Make a flag that decides ``of`` together with others."""
    return Flag(read, why=of)


def only(*values: Any, read: Read, why: str) -> Flag:
    """Make a flag that can have only these values."""
    return Flag(read, why=why, allowed=values)


def on(why: str) -> Flag:
    """Make a flag that can only be True."""
    return Flag(truth, why=why, allowed=(True,))


def off(why: str) -> Flag:
    """Make a flag that can only be False."""
    return Flag(truth, why=why, allowed=(False,))


def idle(why: str) -> Flag:
    """Make a flag that means nothing here."""
    return Flag(text, idle=why)


def refused(why: str) -> Flag:
    """Make a flag that asks for what there is not."""
    return Flag(text, why=why, allowed=())


SCHEDULES = {
    "reduceonplateau": "plateau",
    "none": "constant",
    "invsqrt": "inverse_sqrt",
    "cosine": "cosine",
    "linear": "linear",
}
"""ParlAI's learning rate schedules, by the names that they have here."""
OPTIMIZERS = {"adam": "adam", "mem_eff_adam": "adam", "adamw": "adamw", "adafactor": "adafactor"}
"""ParlAI's optimisers, by the names that they have here."""

SAFETY = {name: name for name in ("all", "string_matcher", "classifier", "none")}
"""What judges both sides of a chat."""

_CONTEXT = "contexts are made in one way here"
_NETWORK = "the network is made in one way here"
_DATA = "the published recipe's examples are made so"
_LOG = "every tenth update and every validation are in the run's log.jsonl"
_SAVED = "each better validation is saved, and the run's state every save_every_steps updates"
_VOCABULARY = "the vocabulary comes with --init-model"
_SCREEN = "the chat shows what is said"
_MACHINE = "recipes name the device; CUDA_VISIBLE_DEVICES names the card"

FLAGS: dict[str, Flag] = {
    # What is learnt, from what, and where it goes
    "task": jointly("tasks", text),
    "multitask-weights": jointly("tasks: weight", shares),
    "include-rest-val": jointly("tasks: coco_captions", truth),
    "init-model": jointly("start: a checkpoint of this project's", text),
    "model-file": jointly("out; in a chat, the checkpoint", text),
    "model": jointly("only image_seq2seq, transformer/generator and, in a chat, BiasAgent", text),
    "datapath": to("data.root", text),
    "features": to("data.features", text),  # not ParlAI's, which computes image vectors itself
    "image-mode": to("data.encoder", encoder),
    "seed": to("seed", whole),
    # Batches
    "batchsize": to("data.batch_size", whole),
    "update-freq": to("data.accumulate", whole),
    # The optimiser
    "optimizer": to("optim.name", one_of(OPTIMIZERS)),
    "learningrate": to("optim.lr", number),
    "betas": to("optim.betas", numbers),
    "adam-eps": to("optim.eps", number),
    "weight-decay": to("optim.weight_decay", number),
    "gradient-clip": to("optim.max_grad_norm", number),
    "fp16": to("precision", precision),
    "fp16-impl": jointly("memory_efficient", one_of({"mem_efficient": True, "safe": False})),
    # The course of the run
    "lr-scheduler": to("schedule.kind", one_of(SCHEDULES)),
    "lr-scheduler-patience": to("schedule.patience", whole),
    "lr-scheduler-decay": to("schedule.decay", number),
    "warmup-updates": to("schedule.warmup_steps", counted),
    "num-epochs": jointly("schedule.max_steps", number),
    "max-train-steps": jointly("schedule.max_steps", whole),
    "max-train-time": jointly("schedule.max_seconds", number),
    # Validation
    "validation-every-n-secs": jointly("valid.every_seconds", number),
    "validation-every-n-steps": jointly("valid.every_steps", whole),
    "validation-every-n-epochs": jointly("valid.every_epochs", number),
    "validation-max-exs": jointly("valid.max_examples, which counts each task alone", whole),
    "validation-patience": to("valid.patience", whole),
    "validation-metric": only("ppl", read=text, why="a run is judged by its perplexity"),
    "validation-metric-mode": only("min", read=text, why="a run is judged by its perplexity"),
    "validation-cutoff": only(1.0, read=number, why="a run ends by patience, steps or time"),
    "aggregate-micro": off("the perplexities of the tasks count alike"),
    # The network; with --init-model, flags of its shape only say again what it is
    "embedding-size": to("model.embed_dim", whole),
    "ffn-size": to("model.ffn_dim", whole),
    "n-heads": to("model.num_heads", whole),
    "n-layers": jointly("model.num_encoder_layers, model.num_decoder_layers", whole),
    "n-encoder-layers": jointly("model.num_encoder_layers", whole),
    "n-decoder-layers": jointly("model.num_decoder_layers", whole),
    "n-positions": to("model.num_positions", whole),
    "n-segments": to("model.num_segments", whole),
    "variant": to("model.variant", text),
    "activation": to("model.activation", text),
    "output-scaling": to("model.output_scaling", number),
    "embeddings-scale": to("model.scale_embeddings", truth),
    "learn-positional-embeddings": to("model.learned_positions", truth),
    "image-fusion-type": to("model.fusion", text),
    "n-image-channels": to("model.image_vectors", whole),
    "image-features-dim": to("model.image_dim", whole),
    "image-encoder-num-layers": to("model.image_layers", whole),
    "n-image-tokens": to("model.image_tokens", whole),
    "dropout": to("model.dropout", number),
    "attention-dropout": to("model.attention_dropout", number),
    "relu-dropout": to("model.activation_dropout", number),
    "model-parallel": jointly("activation_checkpointing", truth),
    "checkpoint-activations": jointly("activation_checkpointing", truth),
    "share-word-embeddings": on(_NETWORK),
    "embedding-type": only("random", read=text, why=_NETWORK),
    # Words to ids
    "truncate": jointly("encode.max_context, encode.max_reply", whole),
    "text-truncate": jointly("encode.max_context", whole),
    "label-truncate": jointly("encode.max_reply", whole),
    "delimiter": to("encode.delimiter", spaced),
    "flatten-delimiter": jointly("encode.delimiter, the same as --delimiter", spaced),
    "history-add-global-end-token": jointly("encode.end_context", nothing_or),
    "include-image-token": off(_CONTEXT),
    "history-size": only(-1, read=whole, why=_CONTEXT),
    "history-reversed": off(_CONTEXT),
    "person-tokens": off(_CONTEXT),
    "add-p1-after-newln": off(_CONTEXT),
    "split-lines": off(_CONTEXT),
    "use-reply": only("label", read=text, why=_CONTEXT),
    "dict-tokenizer": only("bytelevelbpe", "bpe", read=text, why="no other can be converted"),
    "dict-lower": idle(_VOCABULARY),
    # What a teacher makes of its data set
    "category-frac": to("controls.category_frac", number),
    "prepend-personality": on(_DATA),
    "include-personality": on(_DATA),
    "include-image": on(_DATA),
    "include-dialogue-history": on(_DATA),
    "flatten-include-labels": on(_DATA),
    "flatten-max-context-length": only(-1, read=whole, why=_DATA),
    "max-examples": only(-1, read=whole, why=_DATA),
    "fixed-control": only("", read=text, why=_DATA),
    "train-experiencer-only": off(_DATA),
    "label-type": only("response", read=text, why=_DATA),
    "add-missing-turns": only("none", read=text, why=_DATA),
    "chosen-topic-delimiter": only("\n", read=spaced, why=_DATA),
    "your-persona-first": on(_DATA),
    "max-num-turns": only(-1, read=whole, why=_DATA),
    "use-intro": off(_DATA),
    "mutators": refused("they are not supported"),
    # How a reply is searched for
    "inference": to("search.method", one_of(METHODS)),
    "beam-size": to("search.beam_size", whole),
    "beam-min-length": to("search.min_length", whole),
    "beam-block-ngram": to("search.block_ngram", counted),
    "beam-context-block-ngram": to("search.block_context_ngram", counted),
    "beam-block-full-context": to("search.block_full_context", truth),
    "beam-length-penalty": to("search.length_penalty", number),
    "beam-delay": to("search.beam_delay", whole),
    "temperature": to("search.temperature", number),
    "topk": to("search.top_k", whole),
    "topp": to("search.top_p", number),
    "beam-block-list-filename": refused("it is not supported; the guard has lists of phrases"),
    # The chat
    "safety": jointly(
        "--no-guard where it is none, --classifier where it is lists", one_of(SAFETY)
    ),
    "bias-class": jointly("--gender, with BiasAgent", text),
    "interactive-mode": idle("a chat is one anyway"),
    "interactive-task": idle("a chat draws a persona where -t blended_skill_talk asks for it"),
    "display-examples": idle(_SCREEN),
    "display-prettify": idle(_SCREEN),
    "display-add-fields": idle(_SCREEN),
    "outfile": idle("/save FILE in the chat writes the conversation"),
    "save-format": idle("/save FILE in the chat writes the conversation"),
    "single-turn": idle("/reset in the chat starts over"),
    # What means nothing here
    "no-cuda": Flag(truth, why="device", switch=True),
    "gpu": idle(_MACHINE),
    "distributed-world-size": idle(_MACHINE),
    "ddp-backend": idle(_MACHINE),
    "dict-file": idle(_VOCABULARY),
    "dict-class": idle(_VOCABULARY),
    "dict-maxtokens": idle(_VOCABULARY),
    "dict-minfreq": idle(_VOCABULARY),
    "bpe-vocab": idle(_VOCABULARY),
    "bpe-merge": idle(_VOCABULARY),
    "force-fp16-tokens": idle(_VOCABULARY),
    "init-opt": refused("files of options are not read; give the flags themselves"),
    "datatype": jointly("only train", text),
    "evaltask": idle("each task is validated on its own valid split"),
    "dynamic-batching": idle("examples of like length are batched together anyway"),
    "eval-batchsize": idle("validation has the batches of training"),
    "eval-dynamic-batching": idle("validation has the batches of training"),
    "num-workers": idle("the next batches are made while the last are learnt"),
    "short-final-eval": idle("openmmb evaluate measures a finished model"),
    "skip-generation": idle("validation measures perplexity only"),
    "compute-tokenized-bleu": idle("validation measures perplexity only"),
    "metrics": idle("validation measures perplexity only"),
    "load-from-checkpoint": idle("a run that was stopped goes on by itself"),
    "log-every-n-secs": idle(_LOG),
    "log-every-n-steps": idle(_LOG),
    "tensorboard-log": idle(_LOG),
    "tensorboard-logdir": idle(_LOG),
    "wandb-log": idle(_LOG),
    "wandb-project": idle(_LOG),
    "world-logs": idle(_LOG),
    "loglevel": idle(_LOG),
    "verbose": Flag(truth, idle=_LOG, switch=True),
    "save-after-valid": idle(_SAVED),
    "save-every-n-secs": idle(_SAVED),
    "warmup-rate": idle("the warm-up begins at one step of it"),
    "momentum": idle("it is of other optimisers"),
    "nesterov": idle("it is of other optimisers"),
    "nus": idle("it is of other optimisers"),
    "gpu-beam-blocking": idle("blocking is done where the search runs"),
    "verbose-topk": idle(_SCREEN),
    "invalidate-cache": idle("flattened examples are not cached"),
    "image-path": idle("image vectors are read from --features, which openmmb features writes"),
    "yfcc-path": idle("image vectors are read from --features, which openmmb features writes"),
    "load-images": idle("image vectors are read from --features, which openmmb features writes"),
    "image-size": idle("pictures are prepared by openmmb features"),
    "image-cropsize": idle("pictures are prepared by openmmb features"),
    "num-cands": idle("it is for models that choose among replies"),
    "rank-candidates": idle("it is for models that choose among replies"),
    "include-knowledge": idle("what the wizard read is in no context"),
    "include-checked-sentence": idle("what the wizard read is in no context"),
    "include-knowledge-separator": idle("what the wizard read is in no context"),
    "num-topics": idle("it is for interactive worlds"),
}
"""Long name -> what it becomes."""

SHORT: dict[str, str] = {
    "t": "task",
    "mtw": "multitask-weights",
    "m": "model",
    "mf": "model-file",
    "dp": "datapath",
    "bs": "batchsize",
    "opt": "optimizer",
    "lr": "learningrate",
    "beta": "betas",
    "wdecay": "weight-decay",
    "clip": "gradient-clip",
    "eps": "num-epochs",
    "tstep": "max-train-steps",
    "max-lr-steps": "max-train-steps",
    "ttim": "max-train-time",
    "vtim": "validation-every-n-secs",
    "vstep": "validation-every-n-steps",
    "veps": "validation-every-n-epochs",
    "vme": "validation-max-exs",
    "vp": "validation-patience",
    "vmt": "validation-metric",
    "vmm": "validation-metric-mode",
    "vcut": "validation-cutoff",
    "micro": "aggregate-micro",
    "esz": "embedding-size",
    "hid": "ffn-size",
    "nl": "n-layers",
    "nel": "n-encoder-layers",
    "ndl": "n-decoder-layers",
    "emb": "embedding-type",
    "tr": "truncate",
    "histsz": "history-size",
    "pt": "person-tokens",
    "tok": "dict-tokenizer",
    "df": "dict-file",
    "mut": "mutators",
    "i": "interactive-mode",
    "it": "interactive-task",
    "d": "display-examples",
    "o": "init-opt",
    "dt": "datatype",
    "et": "evaltask",
    "dynb": "dynamic-batching",
    "ltim": "log-every-n-secs",
    "lstep": "log-every-n-steps",
    "tblog": "tensorboard-log",
    "wblog": "wandb-log",
    "stim": "save-every-n-secs",
    "sval": "save-after-valid",
    "lfc": "load-from-checkpoint",
    "mcs": "metrics",
    "mom": "momentum",
    "nu": "nus",
    "rc": "rank-candidates",
    "v": "verbose",
}
"""ParlAI's short names, and its second long ones."""
