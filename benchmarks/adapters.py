"""How fast adapters learn over a frozen base, beside `transformers` with `peft`.

    python benchmarks/adapters.py [--threads 1] [--rounds 5]

Both train rank-32 adapters on every linear layer of a network of SmolLM2-135M's shape (random
weights, frozen in bfloat16, products in bfloat16), on the same rows: conversations of uneven length
of which every fourth token is learnt, as packed conversations have them, padded on the right. An
update is forward, backward, clipping and AdamW over eight rows; the two take turns, so that a busy
moment of the machine meets both. Needs `transformers`, `peft` and `accelerate`.
"""

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from openmmb.checkpoint import new_network
from openmmb.model.adapter import AdapterConfig, adapt
from openmmb.model.causal import CausalLM
from openmmb.model.causal_config import CausalConfig
from openmmb.model.loss import reply_loss

RANK, ALPHA, LR = 32, 64.0, 8e-4
SHAPE = CausalConfig(
    vocab_size=49152,
    embed_dim=576,
    ffn_dim=1536,
    num_heads=9,
    num_kv_heads=3,
    head_dim=64,
    num_layers=30,
    num_positions=8192,
    rotary_base=100_000.0,
    image_vectors=1,
    image_dim=1,
)
ROWS, PREFIX, LEARNT = 8, 8, 4
"""Rows of a batch; tokens before the conversation; every so many-th token of it is learnt."""


def batches(count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Draw prefixes (B, 8), conversations (B, T), and which of their tokens are learnt (B, T)."""
    generator = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(count):
        lengths = torch.randint(60, 400, (ROWS,), generator=generator).sort().values
        longest = int(lengths.max())
        inside = torch.arange(longest)[None] < lengths[:, None]
        tokens = torch.randint(20, SHAPE.vocab_size, (ROWS, longest), generator=generator)
        prefix = torch.randint(20, SHAPE.vocab_size, (ROWS, PREFIX), generator=generator)
        learnt = inside & (torch.arange(longest)[None] // 16 % LEARNT == 0)
        drawn.append((prefix, tokens, learnt))
    return drawn


def stepper(loss: Callable[..., Tensor], network: nn.Module) -> Callable[..., None]:
    """Return what makes one update from a batch."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LR, betas=(0.9, 0.98), fused=True)

    def step(batch: tuple[Tensor, Tensor, Tensor]) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(*batch)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()

    return step


def ours() -> Callable[..., None]:
    """Set up this project's network."""
    network = new_network(SHAPE)
    assert isinstance(network, CausalLM)
    network.initialise()
    network.to(torch.bfloat16)
    adapt(network, AdapterConfig(rank=RANK, alpha=ALPHA, num_tokens=0))
    network.train()

    def loss(prefix: Tensor, tokens: Tensor, learnt: Tensor) -> Tensor:
        hidden = network(prefix, torch.ones_like(prefix, dtype=torch.bool), None, None, tokens, 1)
        total, count = reply_loss(network.logits, hidden, tokens, learnt)
        return total / count

    return stepper(loss, network)


def peers() -> Callable[..., None]:
    """Set up transformers' network with peft's adapters."""
    config = LlamaConfig(
        vocab_size=SHAPE.vocab_size,
        hidden_size=SHAPE.embed_dim,
        intermediate_size=SHAPE.ffn_dim,
        num_hidden_layers=SHAPE.num_layers,
        num_attention_heads=SHAPE.num_heads,
        num_key_value_heads=SHAPE.num_kv_heads,
        tie_word_embeddings=True,
    )
    plain = LlamaForCausalLM(config).to(torch.bfloat16)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    network = get_peft_model(plain, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets))
    network.train()

    def loss(prefix: Tensor, tokens: Tensor, learnt: Tensor) -> Tensor:
        whole = torch.cat([prefix, tokens], dim=1)
        nothing = torch.full_like(prefix, -100)
        labels = torch.cat([nothing, tokens.masked_fill(~learnt, -100)], dim=1)
        value: Tensor = network(input_ids=whole, labels=labels).loss
        return value

    return stepper(loss, network)


def main() -> None:
    """Let both take turns and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    steps = {"openmmb": ours(), "transformers + peft": peers()}
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for number, batch in enumerate(batches(args.rounds + 1)):
        positions = batch[1].numel() + batch[0].numel()
        for name, step in steps.items():
            began = time.perf_counter()
            step(batch)
            if number:  # the first one warms up
                rates[name].append(positions / (time.perf_counter() - began))
    print(f"{args.threads} threads, {args.rounds} rounds, positions a second\n")
    print("| engine | median | lowest, highest | times |\n|---|---:|---:|---:|")
    base = median(rates["transformers + peft"])
    for name, values in rates.items():
        spread = f"{min(values):,.0f}, {max(values):,.0f}"
        print(f"| {name} | {median(values):,.0f} | {spread} | {median(values) / base:.2f} |")


if __name__ == "__main__":
    main()
