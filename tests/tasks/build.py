"""Small data sets in the published forms, two conversations each, one builder a task."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONVAI2 = """\
1 your persona: i keep bees .
2 your persona: i ' m from oslo .
3 hi ! how are you ?\ti am fine . i ' ve a hive .\t\thello|bye
4 nice , honey !\tyes , want some ?
1 your persona: i sing .
2 good evening .\thello there !
"""

CONVAI2_OTHER = """\
1 partner's persona: i bake bread .
2 hi ! how are you ?\ti'm fine . i have a hive .
3 nice , honey !\tyes , want some ?
1 partner's persona: i row .
2 good evening .\thello there !
"""

EMPATHETIC_DIALOGUES = """\
conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags
hit:0_conv:1,1,proud,My cake rose_comma_ at last.,1,My cake rose_comma_ at last.,5|5|5_5|5|5,
hit:0_conv:1,2,proud,My cake rose_comma_ at last.,2,"How did you do it?,5|5|5_5|5|5,
hit:0_conv:1,3,proud,My cake rose_comma_ at last.,1,More  eggs. ,5|5|5_5|5|5,
hit:0_conv:1,4,proud,My cake rose_comma_ at last.,2,Save me a slice!,5|5|5_5|5|5,
hit:1_conv:2,1,lonely,The house is quiet.,3,The house is quiet.,5|5|5_5|5|5,
hit:1_conv:2,2,lonely,The house is quiet.,4,Where is everyone?,5|5|5_5|5|5,,So what?|Really?
"""

BLENDED_SKILL_TALK: list[dict[str, Any]] = [
    {
        "personas": [["i fish.", "i nap."], ["i paint.", "i have  a dog."]],
        "context_dataset": dataset,
        "additional_context": "Lighthouse",
        "free_turker_utterance": "I saw a lighthouse.",
        "guided_turker_utterance": "Was it tall?",
        "dialog": [[0, "Very tall. "], [1, "I would paint it."], [0, "Do."], [1, "I will."]],
        "suggestions": [{}, {}, {}, {}],
    }
    for dataset in ("wizard_of_wikipedia", "convai2")
]

CAPTIONS = [
    ("11_aa.jpg", "A dog runs , fast ."),
    ("11_aa.jpg", "the dog 's ears fly"),
    ("22_bb.jpg", "Two men talk ."),
    ("11_aa.jpg", 'A sign says " no dogs " .'),
]

CHITCHAT = {
    "a1": [["Hello", "Anyone?"], ["asdfasdf", "hey!"], ["how  are you"]],
    "b2": [["a a a a"], ["k", "k"], ["bye"]],
}


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    write(path, json.dumps(content))


def blended_skill_talk(root: Path) -> None:
    write_json(root / "blended_skill_talk" / "train.json", BLENDED_SKILL_TALK)


def chitchat(root: Path) -> None:
    raw = {
        key: {
            "messages": [[{"text": text, "sender": "x"} for text in turn] for turn in turns],
            "start": "2018-05-03T01:38:01Z",
        }
        for key, turns in CHITCHAT.items()
    }
    write_json(root / "chitchat" / "dataset.json", raw)


def convai2(root: Path) -> None:
    write(root / "convai2" / "train_self_original.txt", CONVAI2)


def dailydialog(root: Path) -> None:
    turns = ["good morning , sir .", "Morning ! It ' s cold .", "i 'm leaving ."]
    rows = [{"dialogue": turns, "topic": "weather"}, {"dialogue": turns[:2], "topic": "weather"}]
    write_json(root / "dailydialog" / "train.json", rows)


def empathetic_dialogues(root: Path) -> None:
    write(root / "empathetic_dialogues" / "train.csv", EMPATHETIC_DIALOGUES)


def flickr8k(root: Path) -> None:
    path = root / "flickr8k" / "captions_train.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), *CAPTIONS])


def image_chat(root: Path) -> None:
    rows = [
        {
            "image_hash": "f00d",
            "dialog": [
                ["Sweet", "What a soft cat."],
                ["Formal (Proper)", "It is a lynx."],
                ["Sweet", "A soft lynx!"],
            ],
        },
        {"image_hash": "beef", "dialog": [["Angry", "Who left the tap on?"]]},
    ]
    write_json(root / "image_chat" / "train.json", rows)


def topical_chat(root: Path) -> None:
    said = [("agent_1", "Do you read?"), ("agent_2", "I do."), ("agent_2", "Daily.\n\nYou?")]
    content = [
        {"agent": agent, "message": message, "sentiment": "Happy"} for agent, message in said
    ]
    raw = {key: {"config": "A", "content": content} for key in ("t_1", "t_2")}
    write_json(root / "topical_chat" / "train.json", raw)


def karpathy(root: Path) -> None:
    parts = ("train", "restval", "val", "test")
    images = [
        {
            "filepath": "train2014",
            "filename": f"COCO_train2014_{number:012}.jpg",
            "cocoid": number,
            "split": part,
            "sentences": [
                {"tokens": [], "raw": f"A {part} dog  runs.", "imgid": 0},
                {"tokens": [], "raw": "It is fast.\n", "imgid": 0},
            ],
        }
        for number, part in enumerate(parts)
    ]
    write_json(root / "coco_captions" / "dataset_coco.json", {"images": images, "dataset": "coco"})


def karpathy_small(root: Path) -> None:
    karpathy(root)
    path = root / "coco_captions" / "dataset_coco.json"
    write(path, path.read_text(encoding="utf-8").replace('"restval"', '"train"'))


def coco_2017(root: Path) -> None:
    raw = {
        "info": {"year": 2017},
        "images": [{"id": 7, "file_name": "000000000007.jpg"}, {"id": 8, "file_name": "8.jpg"}],
        "annotations": [
            {"image_id": 7, "id": 1, "caption": "A dog runs."},
            {"image_id": 8, "id": 2, "caption": "A boat. "},
            {"image_id": 7, "id": 3, "caption": "A fast  dog."},
            {"image_id": 7, "id": 4, "caption": "Look, a dog!"},
        ],
    }
    write_json(root / "coco_captions" / "captions_train2017.json", raw)


def wizard_of_wikipedia(root: Path) -> None:
    def dialog(*speakers: str) -> list[dict[str, Any]]:
        return [
            {"speaker": f"{at % 2}_{speaker}", "text": f"Turn {at}. ", "retrieved_passages": []}
            for at, speaker in enumerate(speakers)
        ]

    wizard, apprentice = "Wizard", "Apprentice"
    rows = [
        {
            "chosen_topic": "Kites",
            "persona": "i fly kites.",
            "dialog": dialog(wizard, apprentice, wizard, apprentice, wizard),
            "chosen_topic_passage": ["A kite is tethered."],
        },
        {
            "chosen_topic": "Tea",
            "persona": "i drink tea.",
            "dialog": dialog(apprentice, wizard, apprentice, wizard),
            "chosen_topic_passage": ["Tea is a drink."],
        },
    ]
    write_json(root / "wizard_of_wikipedia" / "train.json", rows)


JSONL = [
    {
        "turns": [
            {"speaker": "ann", "text": "Look at that!"},
            {"speaker": "bo", "text": "A lynx."},
            {"speaker": "bo", "text": "Or a  cat?"},
            {"speaker": "ann", "text": "A lynx."},
        ],
        "image": "photos/lynx.JPG",
        "persona": {"bo": ["I hike.", "I nap."]},
        "style": {"bo": "Curious"},
    },
    {"turns": [{"speaker": "a", "text": "Hi."}, {"speaker": "b", "text": "Ho."}]},
]


def jsonl(root: Path) -> None:
    write(root / "jsonl" / "train.jsonl", "".join(f"{json.dumps(row)}\n" for row in JSONL))


BUILD: dict[str, Callable[[Path], None]] = {
    "blended_skill_talk": blended_skill_talk,
    "chitchat": chitchat,
    "coco_captions": karpathy,
    "coco_captions_2014": karpathy_small,
    "coco_captions_2017": coco_2017,
    "convai2": convai2,
    "dailydialog": dailydialog,
    "empathetic_dialogues": empathetic_dialogues,
    "flickr8k": flickr8k,
    "image_chat": image_chat,
    "jsonl": jsonl,
    "topical_chat": topical_chat,
    "wizard_of_wikipedia": wizard_of_wikipedia,
    "wizard_of_wikipedia_unseen": wizard_of_wikipedia,
}
"""Writes the train split of a task under a root, by name of the task."""
