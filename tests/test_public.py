"""What ``import openmmb`` offers, and that it costs nothing until it is used."""

import dataclasses
import functools
import inspect
import pkgutil
import re
import subprocess
import sys
from typing import Any

import pytest

import openmmb


def test_the_public_names_are_sorted_and_are_all_there_is() -> None:
    assert openmmb.__all__ == sorted(set(openmmb.__all__))
    assert dir(openmmb) == openmmb.__all__


@pytest.mark.parametrize("name", openmmb.__all__)
def test_each_public_name_can_be_had_and_is_documented(name: str) -> None:
    public = getattr(openmmb, name)
    assert public.__name__ == name
    assert public.__doc__
    assert not public.__doc__.startswith(f"{name}(")  # a dataclass without a docstring of its own


@pytest.mark.parametrize("name", openmmb.__all__)
def test_whatever_a_public_class_offers_is_documented(name: str) -> None:
    """Methods and properties by docstrings of their own, fields in the class's or below them."""
    public = getattr(openmmb, name)
    if not inspect.isclass(public):
        return
    own = [one for one in public.__mro__ if one.__module__.startswith("openmmb.")]
    source = "".join(map(inspect.getsource, own))
    for attribute, value in vars(public).items():
        member = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if attribute.startswith("_") or not (inspect.isroutine(member) or is_property(member)):
            continue
        assert member.__doc__, f"{name}.{attribute}"
    for field in dataclasses.fields(public) if dataclasses.is_dataclass(public) else ():
        told = re.compile(
            rf"^        {field.name}: |^    {field.name}: .*\n    \"\"\"", re.MULTILINE
        )
        assert told.search(source) or told_by_its_type(field), f"{name}.{field.name}"


def is_property(member: object) -> bool:
    return isinstance(member, (property, functools.cached_property))


def told_by_its_type(field: "dataclasses.Field[Any]") -> bool:
    """A table of a recipe is documented by the class that it is of."""
    return dataclasses.is_dataclass(field.default) and bool(type(field.default).__doc__)


def test_no_public_name_is_hidden_by_a_module() -> None:
    """A module of the same name would take its place as soon as anything imports it."""
    modules = {module.name for module in pkgutil.iter_modules(openmmb.__path__)}
    assert not modules & set(openmmb.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'openmmb' has no attribute 'laod'"):
        _ = openmmb.laod


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import openmmb, sys; print({'torch', 'numpy', 'PIL', 'pydantic'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
