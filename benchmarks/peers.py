"""Searches of other projects over the networks of ``networks.py``, for ``engines.py``.

Each takes the folder with the checkpoint, writes its own form of it beside that once, and returns a
function that searches. Only what a peer needs is imported, in its own environment.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from networks import (
    BEAMS,
    END,
    NGRAM,
    PENALTY,
    SEES,
    SHORTEST,
    START,
    config_of,
    prepare,
    shape_of,
)
from safetensors.torch import load_file
from torch import Tensor

from openmmb.checkpoint import WEIGHTS
from openmmb.convert.adopt import FRESH
from openmmb.convert.names import HUGGING_FACE, PARLAI, Naming
from openmmb.model.config import ModelConfig

Run = Callable[[int], list[list[int]]]
"""Searches for replies of so many tokens; the best of each input, without start and end."""


def blenderbot(size: str) -> ModelConfig:
    """Return the shape of a size that peers have.

    Raises:
        SystemExit: They do not.
    """
    shape = shape_of(size)
    if size == SEES or not isinstance(shape, ModelConfig):
        raise SystemExit(f"the peers have no network of the size {size}")
    return shape


def renamed(checkpoint: Path, naming: Naming) -> dict[str, Tensor]:
    """Return the weights of a checkpoint under another project's names."""
    weights = {}
    for name, weight in load_file(checkpoint / WEIGHTS).items():
        if not name.startswith(FRESH):
            sources = naming.sources(name)
            weights |= dict(zip(sources, weight.chunk(len(sources)), strict=True))
    return weights


def hugging_face(size: str, folder: Path) -> Path:
    """Write Hugging Face's Blenderbot, or BlenderbotSmall for post-norm, and return its folder."""
    import transformers as hf

    written = folder / f"{size}-transformers"
    if (written / "config.json").exists():
        return written
    shape = blenderbot(size)
    kind: Any = hf.BlenderbotForConditionalGeneration
    config: Any = hf.BlenderbotConfig
    norm = "layer_norm"
    if shape.variant == "xlm":
        kind, config = hf.BlenderbotSmallForConditionalGeneration, hf.BlenderbotSmallConfig
        norm = "layernorm_embedding"
    model = kind(
        config(
            vocab_size=shape.vocab_size,
            max_position_embeddings=shape.num_positions,
            d_model=shape.embed_dim,
            encoder_layers=shape.num_encoder_layers,
            decoder_layers=shape.num_decoder_layers,
            encoder_ffn_dim=shape.ffn_dim,
            decoder_ffn_dim=shape.ffn_dim,
            encoder_attention_heads=shape.num_heads,
            decoder_attention_heads=shape.num_heads,
            scale_embedding=shape.scale_embeddings,
            activation_function=shape.activation,
        )
    ).eval()
    names = replace(HUGGING_FACE, outside={"positions": "embed_positions", "norm": norm})
    weights = renamed(prepare(size, folder), names)
    missing, unknown = model.load_state_dict(weights, strict=False)
    if unknown or set(missing) - {*HUGGING_FACE.copies, "final_logits_bias"}:
        raise SystemExit(f"transformers: weights do not fit: {missing} {unknown}")
    model.save_pretrained(written)
    return written


def generate(model: Any, ids: Tensor) -> Run:
    """Return the search of Hugging Face's ``generate``."""
    mask = torch.ones_like(ids)

    @torch.inference_mode()
    def run(steps: int) -> list[list[int]]:
        rows = model.generate(
            input_ids=ids,
            attention_mask=mask,
            num_beams=BEAMS,
            min_length=config_of(steps).min_length,
            max_length=steps + 1,
            no_repeat_ngram_size=NGRAM,
            encoder_no_repeat_ngram_size=NGRAM,
            length_penalty=PENALTY,
            do_sample=False,
        )
        return [between(row.tolist()) for row in rows]

    return run


def transformers(precision: str, size: str, ids: Tensor, folder: Path) -> Run:
    """Return the search of Hugging Face's network on PyTorch."""
    import transformers as hf

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    written = hugging_face(size, folder)
    return generate(hf.AutoModelForSeq2SeqLM.from_pretrained(written, dtype=dtype).eval(), ids)


def openvino(_precision: str, size: str, ids: Tensor, folder: Path) -> Run:
    """Return the same search over OpenVINO's products in int8."""
    from optimum.intel import OVModelForSeq2SeqLM

    written = folder / f"{size}-openvino"
    if not (written / "config.json").exists():
        source = hugging_face(size, folder)
        model = OVModelForSeq2SeqLM.from_pretrained(
            source, export=True, load_in_8bit=True, compile=False
        )
        model.save_pretrained(written)
    options = {"INFERENCE_NUM_THREADS": str(torch.get_num_threads())}
    return generate(OVModelForSeq2SeqLM.from_pretrained(str(written), ov_config=options), ids)


def ctranslate2(precision: str, size: str, ids: Tensor, folder: Path) -> Run:
    """Return the search of CTranslate2, through its loader of BART; it blocks no context."""
    import ctranslate2 as ct2

    written = folder / f"{size}-ctranslate2-{precision}"
    if not (written / "model.bin").exists():
        _convert(size, folder, written, quantization="int8" if precision == "int8" else None)
    translator = ct2.Translator(
        str(written),
        compute_type={"fp32": "float32", "int8": "int8"}[precision],
        inter_threads=1,
        intra_threads=torch.get_num_threads(),
    )
    texts = [[f"w{token}" for token in row] for row in ids.tolist()]

    def run(steps: int) -> list[list[int]]:
        answers = translator.translate_batch(
            texts,
            beam_size=BEAMS,
            min_decoding_length=config_of(steps).min_length,
            max_decoding_length=steps,
            no_repeat_ngram_size=NGRAM,
            length_penalty=PENALTY,
            disable_unk=True,
        )
        return [[int(word[1:]) for word in answer.hypotheses[0]] for answer in answers]

    return run


def _convert(size: str, folder: Path, written: Path, *, quantization: str | None) -> None:
    """Write CTranslate2's form of a network."""
    import transformers as hf
    from ctranslate2.converters.transformers import BartLoader

    model = hf.AutoModelForSeq2SeqLM.from_pretrained(hugging_face(size, folder))
    # What BART's config says of its norms, which Blenderbot's takes for granted.
    model.config.normalize_before = blenderbot(size).variant == "prelayernorm"
    model.config.normalize_embedding = not model.config.normalize_before
    loader = BartLoader()
    spec = loader.get_model_spec(model)
    words = [f"w{token}" for token in range(model.config.vocab_size)]
    loader.set_vocabulary(spec, words)
    spec.config.bos_token = spec.config.decoder_start_token = words[START]
    spec.config.eos_token, spec.config.unk_token = words[END], words[3]
    spec.config.add_source_bos = spec.config.add_source_eos = False
    spec.validate()
    spec.optimize(quantization=quantization)
    written.mkdir()
    spec.save(str(written))


def parlai(_precision: str, size: str, ids: Tensor, folder: Path) -> Run:
    """Return the search of ParlAI's generator agent."""
    from parlai.core.agents import create_agent
    from parlai.core.opt import Opt
    from parlai.core.torch_agent import Batch

    shape = blenderbot(size)
    words = folder / f"{size}.dict"
    specials = ("__null__", "__start__", "__end__", "__unk__")
    lines = [*specials, *(f"w{at}" for at in range(shape.vocab_size - len(specials)))]
    words.write_text("".join(f"{word}\t1\n" for word in lines), encoding="utf-8")
    options: dict[str, Any] = {
        "model": "transformer/generator",
        "dict_file": str(words),
        "dict_tokenizer": "space",
        "datatype": "valid",
        "interactive_mode": True,
        "no_cuda": True,
        "datapath": str(folder),
        "embedding_size": shape.embed_dim,
        "ffn_size": shape.ffn_dim,
        "n_heads": shape.num_heads,
        "n_encoder_layers": shape.num_encoder_layers,
        "n_decoder_layers": shape.num_decoder_layers,
        "n_positions": shape.num_positions,
        "learn_positional_embeddings": shape.learned_positions,
        "embeddings_scale": shape.scale_embeddings,
        "variant": shape.variant,
        "activation": shape.activation,
        "inference": "beam",
        "beam_size": BEAMS,
        "beam_min_length": SHORTEST,
        "beam_block_ngram": NGRAM,
        "beam_context_block_ngram": NGRAM,
        "beam_length_penalty": PENALTY,
        "text_truncate": shape.num_positions,
        "label_truncate": shape.num_positions,
        "skip_generation": False,
    }
    from parlai.agents.transformer.transformer import TransformerGeneratorAgent
    from parlai.core.params import ParlaiParser

    parser = ParlaiParser(add_parlai_args=True, add_model_args=False)
    TransformerGeneratorAgent.add_cmdline_args(parser)
    agent = create_agent(Opt({**parser.parse_args([]), **options}))
    weights = renamed(prepare(size, folder), PARLAI)
    missing, unknown = agent.model.load_state_dict(weights, strict=False)
    if unknown or set(missing) - {*PARLAI.copies, *PARLAI.ignored}:
        raise SystemExit(f"parlai: weights do not fit: {missing} {unknown}")
    batch = Batch(
        batchsize=len(ids),
        text_vec=ids,
        full_text_vec=ids,
        text_lengths=[ids.shape[1]] * len(ids),
    )

    @torch.inference_mode()
    def run(steps: int) -> list[list[int]]:
        agent.beam_min_length = config_of(steps).min_length
        best, _ = agent._generate(batch, BEAMS, steps)
        return [between(tokens.tolist()) for tokens, *_ in best]

    return run


def between(tokens: list[int]) -> list[int]:
    """Drop the start token, and what comes from the end token on."""
    tokens = tokens[1:]
    return tokens[: tokens.index(END)] if END in tokens else tokens
