"""The server under load, beside a plain FastAPI loop with the same weights.

python benchmarks/serve.py [--checkpoint tiny] [--seconds 10] [--clients 1 2 4 8 16 32 64]

Both run in processes of their own on this machine; so does the load, which takes a little of it.
Each client asks, waits for the reply, and asks again.
"""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import time
from typing import Any

import httpx
import uvicorn
from callers import QUESTIONS
from fastapi import FastAPI

import openmmb
from openmmb.serve.app import create_app
from openmmb.serve.config import ServeConfig
from openmmb.serve.server import settings


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


async def ask_on(client: httpx.AsyncClient, first: int, until: float, times: list[float]) -> None:
    """Ask until it is time to stop."""
    number = first
    while time.perf_counter() < until:
        question = QUESTIONS[number % len(QUESTIONS)]
        started = time.perf_counter()
        body = {"messages": [{"role": "user", "content": question}], "user": str(number)}
        response = await client.post("/v1/chat/completions", json=body)
        response.raise_for_status()
        times.append(time.perf_counter() - started)
        number += 1


async def load(url: str, clients: int, seconds: float) -> list[float]:
    """Return how long each reply took."""
    times: list[float] = []
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as client:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(ask_on(client, n, until, times) for n in range(clients)))
    return times


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def measure(kind: str, checkpoint: str, clients: list[int], seconds: float) -> None:
    """Print a row for each number of clients."""
    port = free_port()
    server = multiprocessing.get_context("spawn").Process(target=run, args=(kind, checkpoint, port))
    server.start()
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        asyncio.run(load(url, 1, 1))  # warm
        for count in clients:
            started = time.perf_counter()
            times = sorted(asyncio.run(load(url, count, seconds)))
            rate = len(times) / (time.perf_counter() - started)
            late = times[min(len(times) - 1, int(0.95 * len(times)))]
            middle = statistics.median(times)
            print(f"| {kind} | {count} | {rate:.2f} | {middle:.2f} | {late:.2f} |", flush=True)
    finally:
        server.terminate()
        server.join()


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="tiny")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    options = parser.parse_args()
    print("| server | clients | replies/s | median s | p95 s |\n|---|---:|---:|---:|---:|")
    for kind in ("plain", "openmmb"):
        measure(kind, options.checkpoint, options.clients, options.seconds)


if __name__ == "__main__":
    main()
