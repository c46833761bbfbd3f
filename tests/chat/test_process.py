"""A thread that computed keeps no OpenMP threads from the others once it has its reply."""

import os
import subprocess
import sys

import pytest

COUNTED = """
import os, threading, torch, openmmb
from pathlib import Path
bot = openmmb.load("tiny", search=openmmb.SearchConfig(method="greedy", max_length=3))
count = lambda: len(list(Path("/proc/self/task").iterdir()))
before = count()
told = bot.reply("Hello!").text
assert count() == before, (before, count())
for _ in range(3):
    threading.Thread(target=bot.reply, args=("Hello!",)).start()
stay = threading.Event()
def talk(over):
    assert bot.reply("Hello!").text == told
    over.set()
    stay.wait()
overs = [threading.Event() for _ in range(4)]
for over in overs:
    threading.Thread(target=talk, args=(over,)).start()
for over in overs:
    over.wait()
while threading.active_count() > 5:
    pass
assert count() == before + 4, (before, count())
stay.set()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's OpenMP is Linux's")
def test_a_thread_that_has_its_reply_keeps_no_others() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    subprocess.run([sys.executable, "-c", COUNTED], env=environment, check=True)
