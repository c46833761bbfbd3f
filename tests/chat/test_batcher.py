"""Threads that wait together are answered together, and none harms or waits for another."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import torch

from openmmb.chat.batcher import Batcher
from openmmb.chat.bot import Bot
from openmmb.chat.request import Request
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig

DRAWN = SearchConfig(method="topk", top_k=20, beam_size=2, min_length=4, max_length=12)
NARROW = SearchConfig(method="greedy", min_length=0, max_length=8)


class Gated:
    """Answers each time only when it is let; remembers who asked together, and who answered."""

    def __init__(self) -> None:
        self.batches, self.threads = list[list[str]](), list[str]()
        self.asked, self.let = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        self.batches.append(list(texts))
        self.threads.append(threading.current_thread().name)
        self.asked.release()
        self.let.acquire()
        if "poison" in texts:
            raise ArithmeticError("no such number")
        if "end" in texts:
            raise KeyboardInterrupt
        return [text.upper() for text in texts]


class Callers:
    """Threads that ask one batcher."""

    def __init__(self, pool: ThreadPoolExecutor, answer: Gated, max_rows: int = 8) -> None:
        self.batcher, self.pool, self.answer = Batcher(max_rows), pool, answer

    def ask(self, *texts: str, kind: str = "a", rows: int = 1) -> "Future[list[str]]":
        """Ask in a thread; return once the texts wait or are being answered."""
        before, begun = len(self.batcher), len(self.answer.batches)

        def run() -> list[str]:
            threading.current_thread().name = texts[0]
            return self.batcher.ask(texts, self.answer, kind=kind, rows=rows)

        future = self.pool.submit(run)
        while len(self.batcher) == before and len(self.answer.batches) == begun:
            pass
        return future


@pytest.fixture
def answer() -> Gated:
    return Gated()


@pytest.fixture
def callers(answer: Gated) -> "Callers":
    return Callers(ThreadPoolExecutor(16), answer)


def test_who_waits_while_one_is_answered_is_answered_by_the_next(
    callers: Callers, answer: Gated
) -> None:
    first = callers.ask("first")
    answer.asked.acquire()
    rest = [callers.ask(text) for text in "bcdef"]
    twins = callers.ask("g", "h")
    answer.let.release(2)
    assert first.result() == ["FIRST"]
    assert [future.result() for future in rest] == [[text] for text in "BCDEF"]
    assert twins.result() == ["G", "H"]
    assert answer.batches == [["first"], ["b", "c", "d", "e", "f", "g", "h"]]
    assert answer.threads == ["first", "b"]
    assert len(callers.batcher) == 0


def test_as_many_are_answered_together_as_fit_and_are_alike(
    callers: Callers, answer: Gated
) -> None:
    futures = [callers.ask("first")]
    answer.asked.acquire()
    for text, kind, rows in [
        ("p", "a", 4), ("q", "b", 1), ("r", "a", 4), ("s", "a", 1), ("t", "b", 1), ("u", "a", 20)
    ]:  # fmt: skip
        futures.append(callers.ask(text, kind=kind, rows=rows))
    answer.let.release(10)
    assert [future.result()[0] for future in futures] == ["FIRST", *"PQRSTU"]
    assert answer.batches == [["first"], ["p", "r"], ["q", "t"], ["s"], ["u"]]


def test_an_answer_that_fails_is_one_callers_alone(callers: Callers, answer: Gated) -> None:
    futures = {"first": callers.ask("first")}
    answer.asked.acquire()
    for text in ("one", "poison", "two"):
        futures[text] = callers.ask(text)
    answer.let.release(10)
    for text, future in futures.items():
        if text != "poison":
            assert future.result() == [text.upper()]
    with pytest.raises(ArithmeticError, match="no such number"):
        futures["poison"].result()
    assert answer.batches[1] == ["one", "poison", "two"]
    assert sorted(answer.batches[2:]) == [["one"], ["poison"], ["two"]]
    assert callers.ask("after").result() == ["AFTER"]


def test_a_thread_that_is_ended_while_it_answers_others_ends_alone(
    callers: Callers, answer: Gated
) -> None:
    first = callers.ask("first")
    answer.asked.acquire()
    ended, others = callers.ask("end"), [callers.ask(text) for text in ("one", "two")]
    answer.let.release(10)
    with pytest.raises(KeyboardInterrupt):
        ended.result()
    assert [future.result() for future in (first, *others)] == [["FIRST"], ["ONE"], ["TWO"]]
    assert answer.batches[1] == ["end", "one", "two"]


def test_who_leaves_is_not_answered_and_holds_up_nobody(callers: Callers, answer: Gated) -> None:
    first = callers.ask("first")
    answer.asked.acquire()
    left = callers.batcher.enter(["left"], answer, kind="a", rows=1)
    stays = callers.ask("stays")
    callers.batcher.leave(left)
    answer.let.release(10)
    assert (first.result(), stays.result()) == (["FIRST"], ["STAYS"])
    assert answer.batches == [["first"], ["stays"]]


def test_who_comes_alone_is_answered_at_once_in_its_own_thread(answer: Gated) -> None:
    batcher = Batcher()
    answer.let.release(3)
    for text in "abc":
        assert batcher.ask([text], answer, kind="a", rows=1) == [text.upper()]
    assert set(answer.threads) == {threading.current_thread().name}


def test_threads_come_and_go_and_each_gets_its_own_answer(answer: Gated) -> None:
    batcher, answers = Batcher(max_rows=5), dict[str, list[str]]()
    answer.let.release(1000)

    def ask(text: str) -> None:
        answers[text] = batcher.ask([text], answer, kind="a", rows=1)

    threads = [threading.Thread(target=ask, args=(f"t{number}",)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"t{number}": [f"T{number}"] for number in range(200)}
    assert max(map(len, answer.batches)) <= 5


def test_a_seed_gives_the_same_reply_in_any_company_of_threads(bot: Bot) -> None:
    requests = [
        Request(f"I have {number % 3} dogs.", search=DRAWN if number % 4 else NARROW, seed=number)
        for number in range(24)
    ]
    alone = [bot.reply_many([request])[0].text for request in requests]
    assert len(set(alone)) > 1
    with ThreadPoolExecutor(12) as pool:
        replies = pool.map(lambda request: bot.reply_many([request])[0].text, requests)
        assert list(replies) == alone


def test_one_search_answers_all_who_wait_for_a_bot(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, batcher, sizes = Keeper(), Batcher(), list[int]()
    mine = Bot(bot.engine, guard=Guard((keeper,)), search=NARROW, batcher=batcher)
    read = mine.engine.read

    def recording(context: torch.Tensor, *rest: torch.Tensor) -> object:
        sizes.append(len(context))
        return read(context, *rest)

    monkeypatch.setattr(mine.engine, "read", recording)
    with ThreadPoolExecutor(8) as pool:
        held = pool.submit(mine.reply, "hold")
        keeper.held.acquire()
        waiting = [pool.submit(mine.reply, f"I am {number}.") for number in range(4)]
        while len(batcher) < 4:
            pass
        keeper.let.set()
        assert all(future.result().text for future in (held, *waiting))
    assert sizes == [1, 4]


def test_bots_that_share_a_batcher_answer_each_for_themselves(bot: Bot) -> None:
    keeper, batcher = Keeper(), Batcher()
    held = Bot(bot.engine, guard=Guard((keeper,)), search=NARROW, batcher=batcher)
    strict = Bot(bot.engine, guard=Guard((refuse,)), search=NARROW, batcher=batcher)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(held.reply, "hold")
        keeper.held.acquire()
        others = [pool.submit(one.reply, "Hello.") for one in (held, strict)]
        while len(batcher) < 2:
            pass
        keeper.let.set()
        assert [future.result().refused for future in (first, *others)] == [False, False, True]


def refuse(text: str, context: Sequence[str]) -> Verdict:
    """Let nothing be said."""
    return Verdict(safe=False, score=1.0, check="strict")


class Keeper:
    """A check of a guard's that keeps "hold" until it is let."""

    def __init__(self) -> None:
        self.held, self.let = threading.Semaphore(0), threading.Event()

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:
        if text == "hold":
            self.held.release()
            self.let.wait()
        return Verdict(safe=True, check="keeper")


def test_a_guard_may_ask_the_bot_that_it_guards(bot: Bot) -> None:
    asked = list[str]()

    def check(text: str, context: Sequence[str]) -> Verdict:
        if text == "Is that so?":
            asked.append(mine.reply("I wonder.").text)
        return Verdict(safe=True, check="curious")

    mine = Bot(bot.engine, guard=Guard((check,)), search=NARROW)
    assert mine.reply("Is that so?").text
    assert asked == [mine.reply("I wonder.").text]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_copy_of_the_process_waits_for_none_of_its_threads(
    callers: Callers, answer: Gated
) -> None:
    first = callers.ask("first")
    answer.asked.acquire()
    waiting = callers.ask("waits")
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(callers.batcher.ask(["x"], lambda texts: ["y"], kind="a", rows=1) != ["y"])
    assert os.waitpid(child, 0)[1] == 0
    answer.let.release(2)
    assert (first.result(), waiting.result()) == (["FIRST"], ["WAITS"])


FORKED = """
import os, signal, openmmb
bot = openmmb.load("tiny", search=openmmb.SearchConfig(method="greedy", max_length=3))
told = bot.reply("Hello!").text
child = os.fork()
if child == 0:
    signal.alarm(100)
    os._exit(bot.reply("Hello!").text != told)
raise SystemExit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_bot_answers_in_a_copy_of_a_process_that_computed_with_several_threads() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    subprocess.run([sys.executable, "-c", FORKED], env=environment, check=True)
