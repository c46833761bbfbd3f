"""Every error is a branch of one tree, drawn at the top of its file."""

import inspect

import pytest

from openmmb import errors
from openmmb.errors import OpenMMBError

CLASSES: list[type[Exception]] = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Exception)
]


@pytest.mark.parametrize("error", CLASSES)
def test_it_is_in_the_tree(error: type[Exception]) -> None:
    assert issubclass(error, OpenMMBError)
    assert error.__name__ in (errors.__doc__ or "")
    assert error.__doc__


def test_the_tree_has_no_other_names() -> None:
    drawn = [word for word in (errors.__doc__ or "").split() if word.endswith("Error")]
    assert sorted(drawn) == sorted(error.__name__ for error in CLASSES)


def test_a_message_is_what_it_was_given() -> None:
    for error in CLASSES:
        assert str(error("where: what, 1; right")) == "where: what, 1; right"


def test_a_message_does_not_quote_a_book() -> None:
    message = f"config.toml: name: {'a' * 100_000}; expected a text\nconfig.toml: two"
    first, second = str(OpenMMBError(message)).split("\n")
    assert (len(first), second) == (5003, "config.toml: two")
    assert first.startswith("config.toml: name: a")
    assert first.endswith("a; expected a text")
