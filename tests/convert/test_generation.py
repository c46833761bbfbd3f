"""A converted model says what ParlAI recorded of it, token for token, through the whole stack.

``data/README.md`` says what is stored.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch

from openmmb.checkpoint import Checkpoint
from openmmb.data.batch import collate
from openmmb.data.encode import encode
from openmmb.data.example import Example
from openmmb.engine.generate import generate
from openmmb.search.constraints import Constraint, no_phrase
from openmmb.search.decode import search
from tests.build import plain_engine
from tests.convert.build import read, search_config

RECORDED = read("micro/generations.json")
TALK = read("chat/conversations.json")


def rules_of(config: dict[str, Any]) -> list[Constraint]:
    """A reply that may end nowhere, where the shortest is longer than the longest."""
    never = config["inference"] != "greedy" and config["beam_min_length"] >= config["max_ts"]
    return [no_phrase([[2]])] if never else []


@pytest.mark.parametrize("name", RECORDED["configs"])
@pytest.mark.parametrize("batch", RECORDED["batches"])
@torch.inference_mode()
def test_recorded_searches_come_out_token_for_token(
    micro: Checkpoint, batch: str, name: str
) -> None:
    recorded, config = RECORDED["batches"][batch], RECORDED["configs"][name]
    model, tokenizer = micro.model, micro.tokenizer
    examples = [
        Example(
            context=(row["text"],),
            reply="",
            task="",
            conversation="",
            gender=recorded["gender"],
        )
        for row in recorded["rows"]
    ]
    rows = [encode(example, tokenizer, micro.config.encode) for example in examples]
    assert [list(row.context) for row in rows] == [row["context"] for row in recorded["rows"]]
    images = [torch.tensor(row["image"]) if "image" in row else None for row in recorded["rows"]]
    both = collate(rows, images, pad_id=0, image_shape=(4, 16))
    blocked = both.context
    if config["beam_block_full_context"]:  # ParlAI looks at what it cut off too
        uncut = replace(micro.config.encode, max_context=1000)
        whole = [encode(example, tokenizer, uncut) for example in examples]
        blocked = collate(whole, images, pad_id=0, image_shape=(4, 16)).context
    image = both.image if both.image.shape[1] else None
    memory = model.read(both.context, both.context_mask, image, both.has_image)
    settings = search_config(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = search(
            model.stepper(memory, num_beams=settings.num_beams, max_tokens=settings.max_length),
            blocked,
            settings,
            start_id=tokenizer.start_id,
            end_id=tokenizer.end_id,
            banned_ids=[token for token in tokenizer.special_ids() if token != tokenizer.end_id],
            rules=rules_of(config),
        )
    for hypotheses, wanted in zip(found, recorded["generations"][name], strict=True):
        assert len(hypotheses) == wanted["count"]
        for hypothesis, (tokens, score) in zip(hypotheses, wanted["best"], strict=False):
            assert [1, *hypothesis.tokens, 2] == tokens
            assert hypothesis.score == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("name", TALK["conversations"])
def test_recorded_conversations_come_out_word_for_word(chat: Checkpoint, name: str) -> None:
    """Persona, a picture once, at every turn, another picture, a turn without words."""
    talk = TALK["conversations"][name]
    images = [torch.tensor(image) for image in TALK["images"]]
    engine, settings = plain_engine(chat), search_config(talk["opt"])
    said: list[str] = []
    persona: tuple[str, ...] = ()
    for turn in talk["turns"]:
        if turn["kind"] == "ctx":
            lines = turn["text"].split("\n")
            persona = tuple(line.removeprefix("your persona: ") for line in lines)
            continue
        said.append(turn["text"])
        example = Example(
            context=tuple(said),
            reply="",
            task="chat",
            conversation="",
            persona=persona,
            gender="f0m0",
        )
        assert list(encode(example, chat.tokenizer, chat.config.encode).context) == turn["context"]
        image = None if turn["image"] is None else images[turn["image"]]
        [found] = generate(engine, [example], [image], settings)
        assert len(found) == turn["num_beams"]
        assert [reply.text for reply in found[:3]] == [text for text, _ in turn["beams"]]
        assert found[0].text == turn["reply"]
        for reply, (_, score) in zip(found, turn["beams"], strict=False):
            assert reply.score == pytest.approx(score, abs=1e-4)
        said.append(found[0].text)


def test_a_style_that_is_sent_first_is_the_first_turn(chat: Checkpoint) -> None:
    turn = TALK["conversations"]["card.image_once"]["turns"][0]
    assert turn["text"] == "positive/neutral"
    example = Example(
        context=(), reply="", task="", conversation="", style=turn["text"], gender="f0m0"
    )
    assert list(encode(example, chat.tokenizer, chat.config.encode).context) == turn["context"]
