"""A classifier is a check like any other; the bundled one lets harmless talk pass."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.errors import CheckpointError, ConfigError
from openmmb.safety.classifier import ClassifierCheck, judge_of, open_classifier
from openmmb.safety.guard import NO_CLASSIFIER, GuardConfig, open_guard
from openmmb.safety.reading import collate, read
from openmmb.safety.trained import save_classifier
from openmmb.safety.verdict import Utterance, Verdict
from tests.safety.build import LABELS, tiny_classifier

DATA = Path(__file__).parent / "data"
HARMLESS = (DATA / "harmless.txt").read_text(encoding="utf-8").splitlines()
FIGURATIVE = (DATA / "figurative.txt").read_text(encoding="utf-8").splitlines()
MILD_INSULTS = (
    "you are so stupid",
    "You stupid idiot, nobody likes you.",
    "what a dumb loser you are",
    "shut up you ugly moron",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def by_length(texts: Sequence[Utterance]) -> Tensor:
    """The longer a text, the more of an insult; a threat never."""
    bad = torch.tensor([min(1.0, len(text) / 10) for text, _ in texts])
    return torch.stack([1 - bad, bad, torch.zeros_like(bad)], dim=1)


def check_by_length(*, threshold: float = 0.5) -> ClassifierCheck:
    return ClassifierCheck(
        labels=LABELS,
        unsafe=LABELS[1:],
        threshold=threshold,
        judge=by_length,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_classifier(tiny_classifier(threshold=0.9), tmp_path / "made", precision="fp32")
    return tmp_path / "made"


@pytest.fixture(scope="module")
def bundled() -> ClassifierCheck:
    return open_classifier("safety")


def test_a_verdict_names_the_likeliest_unsafe_label() -> None:
    check = check_by_length()
    refused = Verdict(safe=False, score=0.5, check="classifier", category="insult", threshold=0.5)
    assert check.judge_side([("1 2 3", ())], "person") == [refused]
    passed = check("1 34")
    assert passed == Verdict(safe=True, score=passed.score, check="classifier", threshold=0.5)
    assert passed.score == pytest.approx(0.4)
    assert check_by_length(threshold=0.6)("1 2 3", ()).safe


def test_labels_that_do_not_exclude_each_other_do_not_add_up() -> None:
    def both(texts: Sequence[Utterance]) -> Tensor:
        return torch.tensor([[0.1, 0.4, 0.3]] * len(texts))

    check = replace(check_by_length(), judge=both)
    assert check("a b c").score == pytest.approx(0.7)
    assert not check("a b c").safe
    assert replace(check, exclusive=False)("a b c").score == pytest.approx(0.4)


def labelled_as(**chances: float) -> ClassifierCheck:
    """A classifier of three labels that says the same of every text."""
    labels = ("insult", "self_harm", "unfit", "sorrow")

    def judge(texts: Sequence[Utterance]) -> Tensor:
        return torch.tensor([[chances.get(label, 0.0) for label in labels]] * len(texts))

    return ClassifierCheck(
        labels=labels,
        unsafe=labels[:3],
        threshold=0.5,
        judge=judge,
        exclusive=False,
        thresholds={
            "person": {"insult": 0.5, "self_harm": 0.3},
            "bot": {"insult": 0.4, "unfit": 0.8},
        },
        sorrow="sorrow",
    )


TEXT = "one two three four"


def test_each_kind_has_its_own_threshold_on_each_side() -> None:
    check = labelled_as(insult=0.45, self_harm=0.2, unfit=0.9)
    assert check(TEXT).safe
    assert check(TEXT).score == pytest.approx(0.45)
    (bot,) = check.judge_side([(TEXT, ())], "bot")
    assert (bot.safe, bot.category, bot.threshold) == (False, "unfit", 0.8)
    refused = labelled_as(insult=0.45, self_harm=0.35)(TEXT)
    assert (refused.safe, refused.category, refused.threshold) == (False, "self_harm", 0.3)


def test_what_is_wrong_with_a_reply_alone_refuses_no_person() -> None:
    check = replace(labelled_as(unfit=0.99), thresholds={})
    assert check(TEXT).safe
    assert not check.judge_side([(TEXT, ())], "bot")[0].safe


@pytest.mark.parametrize("text", ["Hannah", "the kitchen", "USA!", "\u6f22\u5b57"])
def test_one_or_two_words_of_a_person_decide_nothing(text: str) -> None:
    check = labelled_as(insult=0.99)
    assert check(text).safe
    assert check(text, ["What is your name?"]).safe
    assert not check.judge_side([(text, ())], "bot")[0].safe
    assert not check(f"{text} and so on").safe


def test_an_answer_of_one_word_may_still_be_a_cry_for_help() -> None:
    check = labelled_as(self_harm=0.9)
    assert check("Tonight.").safe
    assert not check("Tonight.", ["When do you want to die?"]).safe


def test_labels_that_no_side_asks_about_refuse_nothing() -> None:
    none = replace(labelled_as(insult=0.9), thresholds={"person": {}, "bot": {"unfit": 0.8}})
    assert none(TEXT) == Verdict(safe=True, check="classifier", threshold=0.5)
    of_replies = replace(labelled_as(unfit=0.9), thresholds={"person": {"unfit": 0.5}})
    assert of_replies(TEXT).safe
    assert open_classifier(unsafe=["unfit"])(TEXT).safe


def test_sorrow_is_told_where_there_is_a_label_for_it() -> None:
    assert labelled_as(sorrow=0.7).tells_sorrow(["My dog died.", "?"]) == [True, False]
    assert replace(labelled_as(sorrow=0.7), sorrow=None).tells_sorrow(["My dog died."]) == [False]


@pytest.mark.parametrize("text", ["", "  ", "?!", "...\n"])
def test_a_text_without_a_word_is_safe(text: str) -> None:
    assert check_by_length(threshold=0.01)(text) == Verdict(
        safe=True, check="classifier", threshold=0.01
    )


@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=2)), max_size=5))
def test_texts_together_are_judged_as_each_alone(texts: list[tuple[str, list[str]]]) -> None:
    trained = tiny_classifier()
    check = ClassifierCheck(LABELS, LABELS[1:], 0.5, judge_of(trained))
    together = check.judge_side(texts, "bot", batch_size=2)
    for (text, context), verdict in zip(texts, together, strict=True):
        alone = check.judge_side([(text, context)], "bot")[0]
        assert alone.score == pytest.approx(verdict.score, abs=1e-5)
        assert 0 <= verdict.score <= 1


def test_of_a_long_text_the_worst_part_counts() -> None:
    check = ClassifierCheck(LABELS, LABELS[1:], 0.5, judge_of(tiny_classifier()))
    words = [
        "two",
        "dogs",
        "run",
        "along",
        "the",
        "beach",
        "and",
        "a",
        "girl",
        "looks",
        "at",
        "the",
        "boats",
    ]
    longest = check(" ".join(words)).score
    assert longest == pytest.approx(max(judged_windows(" ".join(words))), abs=1e-5)


def judged_windows(text: str) -> list[float]:
    """Score each window of a text as the network sees it."""
    trained = tiny_classifier()
    windows = read(text, (), trained.tokenizer, trained.config.read)
    assert len(windows) > 1
    with torch.inference_mode():
        logits = trained.model(*collate(windows, pad_id=trained.tokenizer.pad_id))
    unsafe: list[float] = logits.softmax(-1)[:, 1:].sum(1).tolist()
    return unsafe


def test_a_folder_is_opened_with_its_own_threshold_or_another(folder: Path) -> None:
    assert open_classifier(folder).threshold == 0.9
    assert open_classifier(folder, threshold=0.1).threshold == 0.1
    assert open_classifier(folder).unsafe == ("insult", "threat")
    assert open_classifier(folder, unsafe=("threat",)).unsafe == ("threat",)


def test_turns_before_count_as_many_as_asked_for(folder: Path) -> None:
    blind, seeing = open_classifier(folder, context_turns=0), open_classifier(folder)
    assert blind("A girl", ("Two dogs",)).score == pytest.approx(blind("A girl").score)
    assert seeing("A girl", ("Two dogs",)).score != pytest.approx(seeing("A girl").score)


def test_what_cannot_be_opened_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        open_classifier(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no label 'rude'; expected one of insult, safe, threat"):
        open_classifier(folder, unsafe=("rude",))
    with pytest.raises(ConfigError, match=r"threshold must be above 0 and at most 1, got 1\.5"):
        open_classifier(folder, threshold=1.5)
    with pytest.raises(ConfigError, match="context_turns must be at least 0, got -1"):
        open_classifier(folder, context_turns=-1)
    with pytest.raises(ValueError, match=r"threshold must be above 0 and at most 1, got 0\.0"):
        check_by_length(threshold=0.0)


def test_there_are_many_harmless_sentences() -> None:
    assert len(set(HARMLESS)) >= 60


WRONGLY_REFUSED = {
    "The new girl in class is from Nigeria.",
    "Two gay penguins live in the zoo in Berlin.",
}
"""Its card owns up to these."""


def test_the_bundled_classifier_lets_nearly_all_harmless_sentences_pass(
    bundled: ClassifierCheck,
) -> None:
    forms = [(text, text.lower().rstrip(".?!")) for text in HARMLESS]
    refused = [
        text
        for text, typed in forms
        if not (bundled(text, ()).safe and bundled(typed, ("Hi, how are you?",)).safe)
    ]
    assert set(refused) <= WRONGLY_REFUSED


def test_the_bundled_classifier_lets_most_strong_words_without_harm_pass(
    bundled: ClassifierCheck,
) -> None:
    refused = [text for text in FIGURATIVE if not bundled(text, ()).safe]
    assert len(refused) <= len(FIGURATIVE) // 4


@pytest.mark.parametrize("text", MILD_INSULTS)
def test_the_bundled_classifier_refuses_insults(text: str, bundled: ClassifierCheck) -> None:
    verdict = bundled(text, ())
    assert not verdict.safe
    assert verdict.category in bundled.unsafe


def test_the_bundled_classifier_can_stand_behind_the_phrases(bundled: ClassifierCheck) -> None:
    guard = open_guard(GuardConfig(classifier=NO_CLASSIFIER), more=[bundled])
    assert guard.judge("How was your day?").safe
    assert guard.judge("How was your day?").check == "classifier"


def test_the_bundled_classifier_is_small() -> None:
    from openmmb import hub

    files = (hub.BUNDLED / "safety").iterdir()
    assert sum(path.stat().st_size for path in files) < 25e6
