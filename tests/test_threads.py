"""Threads without work sleep soon and small products have one, unless a person says otherwise."""

import os
import subprocess
import sys

import pytest

from openmmb.threads import SHARED, SPINS, THREADS, WAITING


def printed(program: str, **variables: str) -> str:
    """Run a program in a process of its own, with these variables about threads and no others."""
    inherited = {k: v for k, v in os.environ.items() if k not in (*WAITING, *THREADS)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


SPINNING = "import os, openmmb; print(os.environ.get('GOMP_SPINCOUNT'))"


def test_spinning_is_bounded_before_pytorch_is_there() -> None:
    assert printed(SPINNING) == str(SPINS)
    assert printed(f"import torch; {SPINNING}") == "None"  # too late


@pytest.mark.parametrize(
    ("variables", "kept"),
    [({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_how_a_person_lets_threads_wait_stays(variables: dict[str, str], kept: str) -> None:
    assert printed(SPINNING, **variables) == kept


def test_training_spins_as_pytorch_does() -> None:
    allowing = f"import openmmb.threads; openmmb.threads.allow_spinning(); {SPINNING}"
    assert printed(allowing) == "None"
    assert printed(allowing, GOMP_SPINCOUNT="7") == "7"


COUNTING = f"""
import torch
from openmmb.threads import few_threads
torch.set_num_threads(3)
for weights in ({SHARED - 1}, {SHARED}):
    with few_threads(weights):
        print(torch.get_num_threads(), end=" ")
    print(torch.get_num_threads(), end=" ")
"""


def test_small_products_have_one_thread_meanwhile() -> None:
    assert printed(COUNTING) == "1 3 3 3"


@pytest.mark.parametrize("name", THREADS)
def test_how_many_threads_a_person_wants_stays(name: str) -> None:
    assert printed(COUNTING, **{name: "3"}) == "3 3 3 3"


def test_a_reply_of_a_small_model_has_one_thread_and_leaves_the_others() -> None:
    program = """
import torch, openmmb
torch.set_num_threads(3)
bot = openmmb.load("tiny", guard=openmmb.Guard(checks=()))
counts = set()
read = bot.engine.read
def counted(*args):
    counts.add(torch.get_num_threads())
    return read(*args)
bot.engine.read = counted
bot.reply("Hello.")
print(counts, torch.get_num_threads())
"""
    assert printed(program) == "{1} 3"
