"""Where data sets were published, and what the files there must be.

A digest is ``sha256:`` and the SHA-256 of the file, or ``git:`` and the id that git gives to its
content. The files of parl.ai and gn_glove have the digests that ParlAI's ``build.py`` files name;
those of Topical-Chat are read off its repository, at the commit in the address.
"""

from dataclasses import dataclass

GIB = 2**30
_PARLAI = "http://parl.ai/downloads"
_GN_GLOVE = "https://raw.githubusercontent.com/uclanlp/gn_glove/master/wordlist"
_TOPICAL_CHAT = (
    "https://raw.githubusercontent.com/alexa/Topical-Chat/"
    "7c939229cbcf6f55f6977b341a5a2f2fe982d53f/conversations"
)


@dataclass(frozen=True)
class Source:
    """One published file.

    Attributes:
        url: Where it is.
        digest: What it must be.
        folder: Where it goes, under the folder of all data sets.
        keep: Which files of an archive are kept, by patterns of their names without folders;
            nothing for a file that is none.
        limit: Most bytes of the file, and of what is unpacked from it.
        pictures: Whether it holds pictures, which are only fetched when they are asked for.
    """

    url: str
    digest: str
    folder: str
    keep: tuple[str, ...] = ()
    limit: int = 16 * GIB
    pictures: bool = False

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Photos:
    """Photographs that are published one by one, without digests.

    Attributes:
        url: Where the picture of ``{id}`` is.
        folder: Where they go, under the folder of all data sets.
        flag: The flag by which a person says that they may have them.
        terms: What that person must have done.
    """

    url: str
    folder: str
    flag: str
    terms: str

    def url_of(self, image_id: str) -> str:
        """Return where one picture is."""
        return self.url.format(a=image_id[:3], b=image_id[3:6], id=image_id)


def _coco_pictures(url: str, sha256: str) -> Source:
    name = url.rpartition("/")[2].removesuffix(".zip")
    return Source(
        url=url,
        digest=f"sha256:{sha256}",
        folder=f"coco_captions/{name}",
        keep=("*.jpg",),
        limit=40 * GIB,
        pictures=True,
    )


_COCO_2014 = (
    Source(
        url=f"{_PARLAI}/coco_caption/dataset_coco.tgz",
        digest="sha256:85fac3c266af928bfec5bbd35f24e2371417f8977350e1de86276455643b09d0",
        folder="coco_captions",
        keep=("dataset_coco.json",),
    ),
    _coco_pictures(
        f"{_PARLAI}/COCO-IMG/train2014.zip",
        "f9f102e5336ede4060bb06e1aca438b85f9be18c21960837079c1a88530d498c",
    ),
    _coco_pictures(
        f"{_PARLAI}/COCO-IMG/val2014.zip",
        "e3cb2caf99e37157c48a99883cc8c57eed8ea3942a501c1abf6f7d9c040ddea8",
    ),
)
_COCO_2017 = (
    Source(
        url="http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
        digest="sha256:113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
        folder="coco_captions",
        keep=("captions_train2017.json", "captions_val2017.json"),
    ),
    _coco_pictures(
        f"{_PARLAI}/COCO-IMG/train2017.zip",
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    ),
    _coco_pictures(
        f"{_PARLAI}/COCO-IMG/val2017.zip",
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    ),
)
_WIZARD = (
    Source(
        url=f"{_PARLAI}/wizard_of_wikipedia/wizard_of_wikipedia.tgz",
        digest="sha256:2a549627a83fea745efa2076a41d1c0078ad002ab2b54eae6a4e3d3d66ae24b7",
        folder="wizard_of_wikipedia",
        keep=(
            "train.json",
            "valid_random_split.json",
            "test_random_split.json",
            "valid_topic_split.json",
            "test_topic_split.json",
        ),
    ),
)
_SPLITS = ("train.json", "valid.json", "test.json")

SOURCES: dict[str, tuple[Source, ...]] = {
    "blended_skill_talk": (
        Source(
            url=f"{_PARLAI}/blended_skill_talk/blended_skill_talk.tar.gz",
            digest="sha256:5fbed0068ee89e2d43b93c3ecb341e784617033efa5e8e911a219d4eda6134a6",
            folder="blended_skill_talk",
            keep=_SPLITS,
        ),
    ),
    "coco_captions": _COCO_2014,
    "coco_captions_2014": _COCO_2014,
    "coco_captions_2017": _COCO_2017,
    "convai2": (
        Source(
            url=f"{_PARLAI}/convai2/convai2_fix_723.tgz",
            digest="sha256:d0ae89defe2fd0b0a4221eaa642a457d7d40cef475f54798119c7f3b8dd9361d",
            folder="convai2",
            keep=(
                "train_self_original.txt",
                "valid_self_original.txt",
                "train_other_original*.txt",
                "valid_other_original*.txt",
            ),
        ),
    ),
    "dailydialog": (
        Source(
            url=f"{_PARLAI}/dailydialog/dailydialog.tar.gz",
            digest="sha256:c3adb09bd715b9fa5cd1ac41613b7de61eb5afbe477826a6146abefef573e6bb",
            folder="dailydialog",
            keep=_SPLITS,
        ),
    ),
    "empathetic_dialogues": (
        Source(
            url=f"{_PARLAI}/empatheticdialogues/empatheticdialogues.tar.gz",
            digest="sha256:56f234d77b7dd1f005fd365bb17769cfe346c3c84295b69bc069c8ccb83be03d",
            folder="empathetic_dialogues",
            keep=("train.csv", "valid.csv", "test.csv"),
        ),
    ),
    "gender_words": (
        Source(
            url=f"{_GN_GLOVE}/male_word_file.txt",
            digest="sha256:d431679ce3ef4134647e22cb5fd89e8dbee3f04636f1c7cbae5f28a369acf60f",
            folder="gender_words",
        ),
        Source(
            url=f"{_GN_GLOVE}/female_word_file.txt",
            digest="sha256:5f0803f056de3fbc459589bce26272d3c5453112a3a625fb8ee99c0fbbed5b35",
            folder="gender_words",
        ),
    ),
    "image_chat": (
        Source(
            url=f"{_PARLAI}/image_chat/image_chat.tgz",
            digest="sha256:ad733e181de33f1085166bb7af17fcf228504bd48228ed8cc20c5e7a9fa5d259",
            folder="image_chat",
            keep=(*_SPLITS, "personalities.json"),
        ),
    ),
    "topical_chat": (
        Source(
            url=f"{_TOPICAL_CHAT}/train.json",
            digest="git:b9d7bcbc71ce9a30dd681242c9b849edb3b54055",
            folder="topical_chat",
        ),
        Source(
            url=f"{_TOPICAL_CHAT}/valid_freq.json",
            digest="sha256:d14e8bde94fa5556d4aad8fd3fb666df674e4fef8b4193c8c3c06c72822a366b",
            folder="topical_chat",
        ),
        Source(
            url=f"{_TOPICAL_CHAT}/valid_rare.json",
            digest="sha256:b0f3c59584ea4ed61e368dc94feade6ba499a207a6437573b028d1f3ff918714",
            folder="topical_chat",
        ),
        Source(
            url=f"{_TOPICAL_CHAT}/test_freq.json",
            digest="sha256:3c65693d59e40a1fb58ead35dcfe85fbcc88ea93a4d74557df620996f72c8f08",
            folder="topical_chat",
        ),
        Source(
            url=f"{_TOPICAL_CHAT}/test_rare.json",
            digest="sha256:4f21a18be16e310840280678e7bb4646852573b239b69183ddf8898f40119567",
            folder="topical_chat",
        ),
    ),
    "wizard_of_wikipedia": _WIZARD,
    "wizard_of_wikipedia_unseen": _WIZARD,
}
"""What is fetched for each name; a task without one has to be had in another way."""

PHOTOS: dict[str, Photos] = {
    "image_chat": Photos(
        url="https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images/{a}/{b}/{id}.jpg",
        folder="image_chat/photos",
        flag="--accept-yfcc",
        terms=(
            "the photographs are YFCC100M's, under the Creative Commons licence of each; ask for "
            "leave at https://multimediacommons.wordpress.com/yfcc100m-core-dataset/"
        ),
    ),
}
"""What is fetched picture by picture for each name."""
