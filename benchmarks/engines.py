"""One engine of ``decode.py``: the same random network, each time that it is told to, one search.

Run with the engine's own Python, from ``decode.py``; ``openmmb`` must be importable in each. Reads
lines: ``go`` makes it search once and print the seconds and the token ids as JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmmb.convert.adopt import FRESH
from openmmb.convert.names import HUGGING_FACE, PARLAI, Naming
from openmmb.model.config import SIZES, ModelConfig
from openmmb.model.seq2seq import Seq2Seq

Run = Callable[[], list[list[int]]]
"""Searches once; the best reply of each input, without start and end."""

BEAMS, SHORTEST, NGRAM, PENALTY = 10, 20, 3, 0.65
START, END = 1, 2


def shape_of(size: str) -> ModelConfig:
    """Return the shape of BlenderBot ``size``, without pictures, which the peers do not have."""
    return replace(SIZES[size], num_segments=0, image_vectors=1, image_dim=1)


def random_model(size: str) -> Seq2Seq:
    """Return the network that every engine runs; its replies end when they must.

    Larger embeddings than those of an untrained network, so that next tokens differ in
    probability and the order of two beams is not decided by the last digit.
    """
    torch.manual_seed(0)
    model = Seq2Seq(shape_of(size)).eval()
    model.initialise()
    with torch.no_grad():
        model.embeddings.weight.mul_(4)
    return model


def contexts(size: str, batch: int, length: int) -> Tensor:
    """Return (batch, length) token ids, the same for every engine."""
    vocabulary = shape_of(size).vocab_size
    source = torch.Generator().manual_seed(1)
    ids = torch.randint(4, vocabulary, (batch, length), generator=source)
    ids[:, -1] = END
    return ids


def renamed(model: Seq2Seq, naming: Naming) -> dict[str, Tensor]:
    """Return the weights under another project's names."""
    weights = {}
    for name, weight in model.state_dict().items():
        if not name.startswith(FRESH):
            sources = naming.sources(name)
            weights |= dict(zip(sources, weight.chunk(len(sources)), strict=True))
    return weights


def openmmb(size: str, ids: Tensor, steps: int, _folder: Path) -> Run:
    """Return this project's search."""
    from openmmb.checkpoint import Checkpoint, CheckpointConfig
    from openmmb.data.encode import EncodeConfig
    from openmmb.engine.open import open_engine
    from openmmb.search.config import SearchConfig
    from openmmb.search.decode import search
    from openmmb.text.tokenizer import train_tokenizer

    config = SearchConfig(
        beam_size=BEAMS,
        min_length=SHORTEST,
        max_length=steps,
        block_ngram=NGRAM,
        block_context_ngram=NGRAM,
        length_penalty=PENALTY,
    )
    settings = CheckpointConfig(
        name=size, encoder="none", model=shape_of(size), encode=EncodeConfig(), search=config
    )
    words = train_tokenizer(["ids are all that is searched for"], vocab_size=300)
    engine = open_engine(
        Checkpoint(config=settings, model=random_model(size), tokenizer=words), device="cpu"
    )

    @torch.inference_mode()
    def run() -> list[list[int]]:
        memory = engine.read(ids, torch.ones_like(ids, dtype=torch.bool))
        step = engine.stepper(memory, num_beams=BEAMS, max_tokens=steps)
        found = search(step, ids, config, start_id=START, end_id=END, banned_ids=(START,))
        return [list(hypotheses[0].tokens) for hypotheses in found]

    return run


def transformers(size: str, ids: Tensor, steps: int, _folder: Path) -> Run:
    """Return the search of Hugging Face's Blenderbot, or BlenderbotSmall for post-norm."""
    import transformers as hf

    shape = shape_of(size)
    small = shape.variant == "xlm"
    kind = (
        hf.BlenderbotSmallForConditionalGeneration
        if small
        else (hf.BlenderbotForConditionalGeneration)
    )
    config = (hf.BlenderbotSmallConfig if small else hf.BlenderbotConfig)(
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
    model = kind(config).eval()
    norm = "layernorm_embedding" if small else "layer_norm"
    names = replace(HUGGING_FACE, outside={"positions": "embed_positions", "norm": norm})
    weights = renamed(random_model(size), names)
    missing, unknown = model.load_state_dict(weights, strict=False)
    tied = {*HUGGING_FACE.copies, "final_logits_bias"}
    if unknown or set(missing) - tied:
        raise SystemExit(f"transformers: weights do not fit: {missing} {unknown}")
    mask = torch.ones_like(ids)

    @torch.inference_mode()
    def run() -> list[list[int]]:
        found = model.generate(
            input_ids=ids,
            attention_mask=mask,
            num_beams=BEAMS,
            min_length=SHORTEST,
            max_length=steps + 1,
            no_repeat_ngram_size=NGRAM,
            encoder_no_repeat_ngram_size=NGRAM,
            length_penalty=PENALTY,
            do_sample=False,
        )
        return [_between(row.tolist()) for row in found]

    return run


def parlai(size: str, ids: Tensor, steps: int, folder: Path) -> Run:
    """Return the search of ParlAI's generator agent."""
    from parlai.core.agents import create_agent
    from parlai.core.opt import Opt
    from parlai.core.torch_agent import Batch

    shape = shape_of(size)
    words = folder / "model.dict"
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
        "label_truncate": steps,
        "skip_generation": False,
    }
    from parlai.agents.transformer.transformer import TransformerGeneratorAgent
    from parlai.core.params import ParlaiParser

    parser = ParlaiParser(add_parlai_args=True, add_model_args=False)
    TransformerGeneratorAgent.add_cmdline_args(parser)
    agent = create_agent(Opt({**parser.parse_args([]), **options}))
    weights = renamed(random_model(size), PARLAI)
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
    def run() -> list[list[int]]:
        best, _ = agent._generate(batch, BEAMS, steps)
        return [_between(tokens.tolist()) for tokens, *_ in best]

    return run


def _between(tokens: list[int]) -> list[int]:
    """Drop the start token, and what comes from the end token on."""
    tokens = tokens[1:]
    return tokens[: tokens.index(END)] if END in tokens else tokens


ENGINES = {"openmmb": openmmb, "transformers": transformers, "parlai": parlai}


def main() -> None:
    """Load, search once to warm up, then at every ``go``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print as they like
    ids = contexts(args.size, args.batch, args.context)
    run = ENGINES[args.engine](args.size, ids, args.steps, args.folder)
    for line in chain(["go"], sys.stdin):
        if line.strip() == "go":
            started, cpu = time.perf_counter(), time.process_time()
            tokens = run()
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            json.dump({"seconds": seconds, "cpu": cpu, "tokens": tokens}, answers)
            print(file=answers, flush=True)


if __name__ == "__main__":
    main()
