"""Topical-Chat yields every turn but the first, and both files of an evaluation split."""

from pathlib import Path

from openmmb.data.example import Example
from openmmb.tasks.topical_chat import TopicalChat
from tests.tasks.build import topical_chat, write_json


def test_messages_of_one_agent_are_one_turn(tmp_path: Path) -> None:
    topical_chat(tmp_path)
    assert list(TopicalChat(tmp_path).examples("train")) == [
        Example(("Do you read?",), "I do. Daily. You?", task="topical_chat", conversation=key)
        for key in ("t_1", "t_2")
    ]


def test_an_evaluation_split_is_its_frequent_then_its_rare_part(tmp_path: Path) -> None:
    for part in ("rare", "freq"):
        content = [{"agent": agent, "message": part} for agent in ("agent_1", "agent_2")]
        path = tmp_path / "topical_chat" / f"test_{part}.json"
        write_json(path, {f"t_{part}": {"content": content}})
    examples = TopicalChat(tmp_path).examples("test")
    assert [example.conversation for example in examples] == ["t_freq", "t_rare"]
