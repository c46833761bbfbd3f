"""Controls are read off the reply, drawn purely, in the shares that the config names."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.config import parse
from openmmb.data.controls import (
    NEGATIVE,
    POSITIVE,
    Controls,
    ControlsConfig,
    picture_questions,
    with_gender,
)
from openmmb.data.example import Example
from openmmb.errors import ConfigError, DataError
from tests.build import tiny_example

POLARITIES = {"Sweet": POSITIVE, "Formal": POSITIVE, "Angry": NEGATIVE}
MANY = 4000


def controls(config: ControlsConfig, *, seed: int = 0) -> Controls:
    return Controls(config=config, polarities=POLARITIES, seed=seed)


def caption(number: int, *, question: tuple[str, ...] = ()) -> Example:
    return tiny_example(
        context=question,
        reply="Two dogs run.",
        image_id=str(number),
        references=("Dogs on a beach.",),
        conversation=f"train:{number}",
    )


def styled(number: int, style: str) -> Example:
    return tiny_example(image_id=str(number), style=style, conversation=f"train:{number}")


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


@given(st.integers(0, 99), st.integers(0, 9), st.sampled_from(["Sweet", "Angry", None]))
def test_applying_is_pure(number: int, epoch: int, style: str | None) -> None:
    config = ControlsConfig(
        gender=True, category_frac=0.5, question_frac=0.5, picture_style_frac=0.5
    )
    example = caption(number) if style is None else styled(number, style)
    assert controls(config).apply(example, epoch) == controls(config).apply(example, epoch)


def test_styles_become_their_polarity_in_their_share() -> None:
    applied = [
        controls(ControlsConfig()).apply(styled(number, "Angry"), 0).style for number in range(MANY)
    ]
    assert set(applied) == {"Angry", NEGATIVE}
    assert share([style == NEGATIVE for style in applied]) == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(("frac", "style"), [(0.0, "Sweet"), (1.0, POSITIVE)])
def test_none_and_all_are_exact(frac: float, style: str) -> None:
    rule = controls(ControlsConfig(category_frac=frac))
    assert {rule.apply(styled(number, "Sweet"), 0).style for number in range(200)} == {style}


def test_both_speakers_of_a_dialogue_have_polarities_or_neither() -> None:
    rule = controls(ControlsConfig(category_frac=0.5))
    for number in range(200):
        one = rule.apply(styled(number, "Angry"), 0).style
        other = rule.apply(replace(styled(number, "Sweet"), reply="No!"), 0).style
        assert (one, other) in {("Angry", "Sweet"), (NEGATIVE, POSITIVE)}


@given(st.integers(0, 300), st.integers(0, 5), st.integers(0, 3))
def test_a_dialogue_is_drawn_as_one_whatever_else_is_read(
    number: int, seed: int, epoch: int
) -> None:
    """The draw is of the dialogue's name alone: not of its turns, its picture or the order."""
    rule = controls(ControlsConfig(category_frac=0.5), seed=seed)
    turns = [
        replace(styled(number, style), context=context, reply=reply, image_id=image)
        for style, context, reply, image in (
            ("Angry", (), "No!", "a"),
            ("Sweet", ("No!",), "Yes.", "b"),
            ("Formal", ("No!", "Yes."), "Well.", "b"),
        )
    ]
    drawn = {rule.apply(turn, epoch).style in (POSITIVE, NEGATIVE) for turn in turns}
    assert len(drawn) == 1
    assert drawn == {rule.apply(turn, epoch).style in (POSITIVE, NEGATIVE) for turn in turns[::-1]}


def test_another_epoch_and_another_seed_draw_anew() -> None:
    config = ControlsConfig(category_frac=0.5)

    def drawn(seed: int, epoch: int) -> list[str | None]:
        rule = controls(config, seed=seed)
        return [rule.apply(styled(number, "Angry"), epoch).style for number in range(200)]

    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


def test_a_style_of_no_polarity_stays() -> None:
    rule = controls(ControlsConfig(category_frac=1.0))
    assert rule.apply(styled(0, "Mysterious"), 0).style == "Mysterious"


def test_captions_get_questions_and_a_style_in_their_shares() -> None:
    rule = controls(ControlsConfig(question_frac=0.3, picture_style_frac=0.6))
    applied = [rule.apply(caption(number), 0) for number in range(MANY)]
    assert share([bool(e.context) for e in applied]) == pytest.approx(0.3, abs=0.03)
    assert share([e.style is not None for e in applied]) == pytest.approx(0.6, abs=0.03)
    both = share([bool(e.context) and e.style is not None for e in applied])
    assert both == pytest.approx(0.18, abs=0.03)
    assert {e.style for e in applied} == {None, POSITIVE}
    assert {e.context for e in applied} == {(), *((q,) for q in picture_questions())}


def test_talk_about_a_picture_without_a_style_gets_one_in_its_share_and_no_question() -> None:
    rule = controls(ControlsConfig(question_frac=1.0, picture_style_frac=0.6))
    talk = [tiny_example(image_id="lynx", conversation=f"train:{number}") for number in range(MANY)]
    applied = [rule.apply(example, 0) for example in talk]
    assert abs(share([example.style == POSITIVE for example in applied]) - 0.6) < 0.05
    assert all(a.context == e.context for a, e in zip(applied, talk, strict=True))


def test_a_caption_without_a_question_keeps_what_was_said() -> None:
    applied = controls(ControlsConfig()).apply(caption(0, question=("And here?",)), 0)
    assert applied.context == ("And here?",)


def test_a_reply_of_a_conversation_is_left_alone() -> None:
    config = ControlsConfig(category_frac=1.0, question_frac=1.0, picture_style_frac=1.0)
    assert controls(config).apply(tiny_example(), 3) == tiny_example()


@pytest.mark.parametrize(
    ("reply", "token"),
    [
        ("I row.", "f0m0"),
        ("She rows.", "f1m0"),
        ("My father rows.", "f0m1"),
        ("He and she row.", "f1m1"),
    ],
)
def test_the_gender_control_tells_the_words_of_the_reply(reply: str, token: str) -> None:
    example = tiny_example(context=("Does she row? Does he?",), reply=reply)
    assert controls(ControlsConfig(gender=True)).apply(example, 0).gender == token
    assert controls(ControlsConfig()).apply(example, 0).gender is None


def test_the_gender_rule_of_parlai_has_its_quirks() -> None:
    example = tiny_example(reply="a/she rows")
    words, parlai = (ControlsConfig(gender=True, gender_rule=rule) for rule in ("words", "parlai"))
    assert controls(words).apply(example, 0).gender == "f1m0"
    assert controls(parlai).apply(example, 0).gender == "f0m0"


def test_the_lists_of_gendered_words_can_be_others(tmp_path: Path) -> None:
    (tmp_path / "male_word_file.txt").write_text("row\nmr.\n")
    (tmp_path / "female_word_file.txt").write_text("sail\n")
    config = ControlsConfig(gender=True, gender_words=str(tmp_path))
    assert controls(config).apply(tiny_example(reply="She can row."), 0).gender == "f0m1"
    assert controls(config).apply(tiny_example(reply="He can sail."), 0).gender == "f1m0"
    parlai = replace(config, gender_rule="parlai")
    assert controls(parlai).apply(tiny_example(reply="row a boat"), 0).gender == "f0m1"


def test_lists_that_are_not_there_are_named_before_training(tmp_path: Path) -> None:
    config = ControlsConfig(gender=True, gender_words=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere.male_word_file\.txt: No such file"):
        controls(config)


@pytest.mark.parametrize("name", ["category_frac", "question_frac", "picture_style_frac"])
def test_a_share_is_from_0_to_1(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} must be from 0 to 1, got 1\.5"):
        parse(ControlsConfig, {name: 1.5})


def test_another_gender_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="gender_rule must be one of words, parlai, got 'x'"):
        parse(ControlsConfig, {"gender_rule": "x"})


def test_picture_questions_are_questions() -> None:
    questions = picture_questions()
    assert len(set(questions)) == len(questions) > 10
    assert all(question == question.strip() for question in questions)


def test_each_reply_that_is_learnt_beside_another_has_its_own_gender() -> None:
    config = ControlsConfig(gender=True)
    following = ("And who is that?", "She is my sister.", "Oh.", "He is her son.")
    talk = replace(tiny_example(reply="I sail."), following=following)
    steered = controls(config).apply(talk, 0)
    assert (steered.gender, steered.more_genders) == ("f0m0", ("f1m0", "f1m1"))
    captions = replace(caption(1), references=("A girl runs.", "A dog."))
    steered = controls(config).apply(captions, 0)
    assert (steered.gender, steered.more_genders) == ("f0m0", ("f1m0", "f0m0"))
    assert controls(ControlsConfig()).apply(talk, 0).more_genders == ()


def test_one_control_for_all_replies_is_one_for_each() -> None:
    example = replace(tiny_example(), gender="f1m0", more_genders=("f0m0", "f0m1", "f1m1"))
    told = with_gender(example, "f0m0")
    assert (told.gender, told.more_genders) == ("f0m0", ("f0m0",) * 3)
    free = with_gender(example, None)
    assert (free.gender, free.more_genders) == (None, ())
