"""Threads that share one bot: replies a second against how many ask at a time.

python benchmarks/callers.py [--checkpoint tiny] [--seconds 8] [--callers 1 2 4 16]

Each caller is a thread that asks, waits for the reply, and asks again. Beside it stands what as
many requests in one call of ``reply_many`` give, over and over: callers can do no better.
"""

import argparse
import statistics
import threading
import time

import openmmb

QUESTIONS = (
    "Hello! How was your day?",
    "Do you have any pets?",
    "I went hiking with my dog yesterday.",
    "What do you like to eat?",
    "My sister is moving to another town.",
    "Have you read anything good lately?",
)


def ask_on(bot: openmmb.Bot, first: int, until: float, times: list[float]) -> None:
    """Ask until it is time to stop."""
    number = first
    while time.perf_counter() < until:
        started = time.perf_counter()
        bot.reply(QUESTIONS[number % len(QUESTIONS)], seed=number)
        times.append(time.perf_counter() - started)
        number += 1


def in_threads(bot: openmmb.Bot, callers: int, seconds: float) -> tuple[float, float]:
    """Return replies a second and the median of their seconds."""
    times, started = list[float](), time.perf_counter()
    arguments = [(bot, number, started + seconds, times) for number in range(callers)]
    threads = [threading.Thread(target=ask_on, args=each) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) / (time.perf_counter() - started), statistics.median(times)


def in_batches(bot: openmmb.Bot, callers: int, seconds: float) -> float:
    """Return replies a second where all ask in one call."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        texts = [QUESTIONS[(count + n) % len(QUESTIONS)] for n in range(callers)]
        bot.reply_many([openmmb.Request(text, seed=count) for text in texts])
        count += callers
    return count / (time.perf_counter() - started)


def main() -> None:
    """Print a row for each number of callers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="tiny")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 2, 4, 16])
    options = parser.parse_args()
    bot = openmmb.load(options.checkpoint)
    bot.reply(QUESTIONS[0])
    print("| callers | replies/s | median s | in one call: replies/s |\n|---:|---:|---:|---:|")
    for callers in options.callers:
        rate, middle = in_threads(bot, callers, options.seconds)
        together = in_batches(bot, callers, options.seconds / 2)
        print(f"| {callers} | {rate:.1f} | {middle:.2f} | {together:.1f} |", flush=True)


if __name__ == "__main__":
    main()
