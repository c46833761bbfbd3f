"""How long one waits for a reply: ``python benchmarks/latency.py [CHECKPOINT]``.

Leads the chats of ``reading.toml`` one message at a time, as a person in a terminal does, guard
included, and prints the median and the longest wait.
"""

import argparse
import os
import time
import tomllib
from pathlib import Path
from statistics import median

import torch

from openmmb import Conversation, load
from openmmb.errors import OpenMMBError

SAYINGS = Path(__file__).with_name("reading.toml")


def main() -> None:
    """Read the flags, talk, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint", nargs="?", default="small")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--chats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    bot = load(args.checkpoint)
    bot.reply("Hello!")  # the first one warms up
    waits = []
    chats = tomllib.loads(SAYINGS.read_text(encoding="utf-8"))["chat"]
    for chat in chats[: args.chats]:
        conversation = Conversation()
        for message in chat["says"]:
            began = time.perf_counter()
            reply = bot.reply(message, conversation=conversation)
            waits.append(time.perf_counter() - began)
            conversation = reply.conversation
    print(
        f"{len(waits)} replies, {args.threads} threads: "
        f"median {median(waits):.2f} s, longest {max(waits):.2f} s"
    )


if __name__ == "__main__":
    try:
        main()
    except OpenMMBError as error:
        raise SystemExit(f"latency.py: {error}") from None
