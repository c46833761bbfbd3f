"""Four steps of ParlAI's training come out the same: losses, gradient norms, weights.

``data/README.md`` says what is stored.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.checkpoint import load_checkpoint
from openmmb.convert.names import PARLAI
from openmmb.convert.parlai import convert
from openmmb.data.batch import Batch
from openmmb.eval.perplexity import loss_of
from openmmb.model.network import Network
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.optim import build_optimizer, train_step
from tests.convert.build import DATA as CONVERT_DATA

DATA = Path(__file__).parent / "data"
STEPS = json.loads((DATA / "parlai.json").read_text(encoding="utf-8"))
TENSORS = load_file(DATA / "parlai.safetensors")
START = 1


def batch_of(name: str) -> Batch:
    context, reply = (TENSORS[f"{name}.{key}"].long() for key in ("context", "reply"))
    return Batch(
        context=context,
        context_mask=context != 0,
        reply=reply,
        reply_mask=reply != 0,
        target_mask=reply != 0,
        blocks=torch.zeros_like(reply),
        image=TENSORS[f"{name}.image"],
        has_image=TENSORS[f"{name}.has_image"],
    )


def mean_loss(model: Network, batch: Batch) -> tuple[Tensor, int]:
    """ParlAI's loss: a mean in each batch, and the start token has no probability."""
    loss, tokens = loss_of(model, start_id=START, banned_ids=[START])(batch)
    return loss / tokens, 1


@pytest.mark.parametrize("accumulate", [1, 2])
def test_four_steps_are_those_of_parlai(accumulate: int, tmp_path: Path) -> None:
    convert(CONVERT_DATA / "micro", tmp_path / "micro")
    model = load_checkpoint(tmp_path / "micro").model
    optimizer = build_optimizer(model, OptimConfig(lr=1e-3, amsgrad=True))
    steps = STEPS[str(accumulate)]
    for at in range(0, len(steps), accumulate):
        together = steps[at : at + accumulate]
        update = train_step(
            [batch_of(step["batch"]) for step in together],
            lambda batch: mean_loss(model, batch),
            optimizer,
            max_grad_norm=0.1,
        )
        losses = [step["loss"] for step in together]
        assert update.loss / update.tokens == pytest.approx(sum(losses) / len(losses), abs=1e-5)
        assert update.norm == pytest.approx(together[-1]["gnorm"], abs=1e-5)
    after = {
        name.removeprefix(f"{accumulate}.after."): tensor
        for name, tensor in TENSORS.items()
        if name.startswith(f"{accumulate}.after.")
    }
    compared = 0
    for name, weight in model.state_dict().items():
        sources = PARLAI.sources(name)
        if all(source in after for source in sources):
            wanted = torch.cat([after[source] for source in sources])
            torch.testing.assert_close(weight, wanted, atol=1e-4, rtol=0)
            compared += len(sources)
    assert compared == len(after)
