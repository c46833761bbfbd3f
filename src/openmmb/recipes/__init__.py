"""The recipes that come with the package, and any recipe by its path."""

from pathlib import Path

from openmmb.errors import ConfigError, unknown

FOLDER = Path(__file__).parent
"""Where the bundled recipes lie."""


def find_recipe(name: str | Path) -> Path:
    """Return the file of a recipe, given as a path or by the name of a bundled one.

    Raises:
        ConfigError: There is no such recipe.
    """
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        return path
    bundled = {file.stem: file for file in FOLDER.glob("*.toml")}
    if str(name) not in bundled:
        message = unknown("recipe", str(name), bundled)
        files = "" if message.endswith("?") else ", or a file that ends with .toml"
        raise ConfigError(message + files)
    return bundled[str(name)]
