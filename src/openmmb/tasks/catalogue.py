"""What a person who chooses data wants to know: what it is, its licence, how much was published."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from openmmb.data.example import Split


@dataclass(frozen=True)
class About:
    """One data set.

    Attributes:
        what: What it is, in a few words.
        licence: Of the text, and of the pictures where there are any.
        published: Examples of each split as the original's recipe reads it, where it is known.
        otherwise: How to get it where ``openmmb data fetch`` cannot.
    """

    what: str
    licence: str
    published: Mapping[Split, int] = field(default_factory=dict)
    otherwise: str | None = None


_COCO = "CC BY 4.0; photos: Flickr's"
_COCO_2014: Mapping[Split, int] = {"valid": 5_000, "test": 5_000}

ABOUT: dict[str, About] = {
    "blended_skill_talk": About(
        "a guided worker blends persona, knowledge and empathy",
        "CC BY 4.0",
        {"train": 27_018, "valid": 5_651, "test": 5_482},
    ),
    "chitchat": About(
        "students chat about whatever comes up",
        "MIT",
        otherwise="pip install 'openmmb[train]' brings it along",
    ),
    "coco_captions": About(
        "five captions a picture, 2014, Karpathy's splits with restval",
        _COCO,
        {"train": 113_287, **_COCO_2014},
    ),
    "coco_captions_2014": About(
        "five captions a picture, 2014, Karpathy's splits",
        _COCO,
        {"train": 82_783, **_COCO_2014},
    ),
    "coco_captions_2017": About(
        "five captions a picture, 2017, an example a caption",
        _COCO,
        {"train": 591_753, "valid": 25_014},
    ),
    "convai2": About(
        "two people with invented personas get to know each other",
        "CC BY 4.0",
        {"train": 131_438, "valid": 7_801},
    ),
    "dailydialog": About(
        "everyday conversations for learners of English",
        "CC BY-NC-SA 4.0",
        {"train": 76_052, "valid": 7_069, "test": 6_740},
    ),
    "empathetic_dialogues": About(
        "a speaker tells of a feeling, a listener answers",
        "CC BY-NC 4.0",
        {"train": 64_636, "valid": 5_738, "test": 5_259},
    ),
    "flickr8k": About(
        "five captions a picture",
        "non-commercial research",
        {"train": 6_000, "valid": 1_000, "test": 1_000},
        otherwise="ask for Flickr8k_text.zip and Flickr8k_Dataset.zip where the authors give them",
    ),
    "gender_words": About(
        "gn_glove's 222 male and 222 female words, for controls.gender_words", "Apache 2.0"
    ),
    "image_chat": About(
        "up to three styled turns about a picture",
        "none stated; photos: CC each",
        {"train": 355_862, "valid": 15_000, "test": 29_991},
    ),
    "jsonl": About(
        "your own conversations, with or without pictures",
        "yours",
        otherwise="write {train,valid,test}.jsonl into its folder, as docs/data.md says",
    ),
    "picture_talk": About(
        "dialogues about Flickr8k's photos, friendly and rude",
        "MIT; photos: as flickr8k",
        otherwise="it comes with openmmb; its photographs are flickr8k's",
    ),
    "topical_chat": About(
        "two people talk about what they have just read",
        "CDLA-Sharing 1.0",
        {"train": 179_750, "valid": 22_295, "test": 22_452},
    ),
    "wizard_of_wikipedia": About(
        "one of two reads about the topic; valid and test on seen topics",
        "CC BY 4.0",
        {"train": 74_092, "valid": 3_939, "test": 3_865},
    ),
    "wizard_of_wikipedia_unseen": About(
        "the same; valid and test on topics that training lacks",
        "CC BY 4.0",
        {"train": 74_092},
    ),
    "written": About(
        "dialogues about photos and about life, for the bundled model",
        "MIT; photos: as flickr8k and others",
        otherwise="it comes with openmmb; its photographs are those of other sets",
    ),
}
"""Every task, and what else can be fetched.

The numbers are those that ParlAI's own tests of its teachers record; Image-Chat's are its paper's,
COCO's and Flickr8k's follow from their splits, Topical-Chat's from the table in its repository.
"""


def completeness(count: int, published: int | None) -> str:
    """Say how many examples there are, and whether these are all."""
    if published is None:
        return f"{count:,} examples"
    if count == published:
        return f"complete ({count:,} examples as published)"
    if count < published:
        return f"{count:,} of {published:,} examples as published"
    return f"{count:,} examples, where {published:,} were published"
