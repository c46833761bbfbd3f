"""The server under load, beside a plain FastAPI loop with the same weights, and ``transformers``.

python benchmarks/serve.py [--checkpoint tiny] [--seconds 10] [--clients 1 2 4 8 16 32 64]

Each runs in a process of its own on this machine; so does the load, which takes a little of it.
Each client asks, waits for the reply, and asks again. ``--kinds ray --replicas 2`` measures so many
copies of one thread each, with Ray Serve's proxy before them. ``--kinds transformers
--transformers FOLDER`` measures ``transformers serve`` with a model of its form, which is asked for
replies of ``--tokens`` tokens from a search with as many beams; it has no guard.
"""

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import uvicorn
from callers import QUESTIONS
from fastapi import FastAPI

import openmmb
from openmmb.checkpoint import find_checkpoint, open_checkpoint
from openmmb.serve.app import create_app
from openmmb.serve.config import ServeConfig
from openmmb.serve.server import settings

KINDS: Final = ("plain", "openmmb", "ray", "transformers")


def plain_app(checkpoint: str) -> FastAPI:
    """Answer one request at a time, as a first attempt would."""
    bot, app, lock = openmmb.load(checkpoint), FastAPI(), asyncio.Lock()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/chat/completions")
    async def complete(asked: dict[str, Any]) -> dict[str, Any]:
        text = asked["messages"][-1]["content"]
        async with lock:
            reply = await asyncio.to_thread(bot.reply, text)
        return {"choices": [{"message": {"role": "assistant", "content": reply.text}}]}

    return app


def run(kind: str, checkpoint: str, port: int) -> None:
    """Serve until killed."""
    if kind == "plain":
        uvicorn.run(plain_app(checkpoint), port=port, log_level="warning")
        return
    config = ServeConfig(max_waiting=128)
    app = create_app(lambda: openmmb.load(checkpoint), config)
    uvicorn.Server(settings(app, config)).run(sockets=[socket.create_server(("127.0.0.1", port))])


def command(kind: str, options: argparse.Namespace, port: int) -> list[str]:
    """Return how a server of another program is started."""
    if kind == "transformers":
        folder = options.transformers
        return ["transformers", "serve", folder, "--port", str(port), "--dtype", "bfloat16"]
    copies = str(options.replicas)
    flags = ["--ray", "--port", str(port), "--replicas", copies, "--max-replicas", copies]
    return [sys.executable, "-m", "openmmb", "serve", options.checkpoint, *flags]


@contextmanager
def serving(kind: str, options: argparse.Namespace, port: int) -> Iterator[None]:
    """Serve meanwhile."""
    if kind in ("ray", "transformers"):
        with subprocess.Popen(
            command(kind, options, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as peer:
            try:
                yield
            finally:
                peer.terminate()
        return
    arguments = (kind, options.checkpoint, port)
    server = multiprocessing.get_context("spawn").Process(target=run, args=arguments)
    server.start()
    try:
        yield
    finally:
        server.terminate()
        server.join()


Fields = dict[str, Any]


async def ask_on(
    client: httpx.AsyncClient, fields: Fields, first: int, until: float, times: list[float]
) -> None:
    """Ask until it is time to stop."""
    number = first
    while time.perf_counter() < until:
        question = QUESTIONS[number % len(QUESTIONS)]
        started = time.perf_counter()
        body = {"messages": [{"role": "user", "content": question}]}
        response = await client.post("/v1/chat/completions", json=body | fields)
        response.raise_for_status()
        times.append(time.perf_counter() - started)
        number += 1


async def load(url: str, fields: Fields, clients: int, seconds: float) -> list[float]:
    """Return how long each reply took."""
    times: list[float] = []
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as client:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(ask_on(client, fields, n, until, times) for n in range(clients)))
    return times


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def measure(kind: str, options: argparse.Namespace) -> None:
    """Print a row for each number of clients."""
    port, fields = free_port(), dict[str, Any]()
    if kind == "transformers":
        search = find_search(options.checkpoint, options.tokens)
        fields = {"model": options.transformers, "generation_config": json.dumps(search)}
    with serving(kind, options, port):
        url = f"http://127.0.0.1:{port}"
        while True:
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        asyncio.run(load(url, fields, 1, 1))  # warm
        for count in options.clients:
            started = time.perf_counter()
            times = sorted(asyncio.run(load(url, fields, count, options.seconds)))
            rate = len(times) / (time.perf_counter() - started)
            late = times[min(len(times) - 1, int(0.95 * len(times)))]
            middle = statistics.median(times)
            print(f"| {kind} | {count} | {rate:.2f} | {middle:.2f} | {late:.2f} |", flush=True)


def find_search(checkpoint: str, tokens: int) -> dict[str, Any]:
    """Return the search of a checkpoint as ``transformers`` has it, for replies of one length."""
    search = open_checkpoint(find_checkpoint(checkpoint)).config.search
    return {
        "num_beams": search.num_beams,
        "no_repeat_ngram_size": search.block_ngram,
        "do_sample": False,
        "min_new_tokens": tokens,
        "max_new_tokens": tokens,
    }


def main() -> None:
    """Measure all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="tiny")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS[:2])
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--transformers", default="", metavar="FOLDER")
    parser.add_argument("--tokens", type=int, default=14)
    options = parser.parse_args()
    print("| server | clients | replies/s | median s | p95 s |\n|---|---:|---:|---:|---:|")
    for kind in options.kinds:
        measure(kind, options)


if __name__ == "__main__":
    main()
