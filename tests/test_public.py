"""What ``import openmmb`` offers, and that it costs nothing until it is used."""

import pkgutil
import subprocess
import sys

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
