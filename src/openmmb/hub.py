"""One door for models by name: a folder, a model that comes with the package, or the hub's.

On the Hugging Face hub a model is ``org/name``, or ``org/name@revision``. It is downloaded once, to
the cache that all programs of Hugging Face share, and opens from there without a network. Only the
files that are read are downloaded, none of which is code.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openmmb.errors import CheckpointError, shorten

BUNDLED: Final = Path(__file__).parent / "bundled"
"""Models that come with the package, a folder each."""


@dataclass(frozen=True)
class Kind:
    """What a folder may hold.

    Attributes:
        what: What it is, for messages.
        marker: The file that tells it from all else.
        files: Patterns of the files that are read, ``marker`` among them.
        instead: Patterns of further files, read where a repository has no safetensors.
    """

    what: str
    marker: str
    files: tuple[str, ...]
    instead: tuple[str, ...] = ()


CHECKPOINT: Final = Kind(
    "an OpenMMB checkpoint",
    "config.toml",
    ("config.toml", "model.safetensors", "tokenizer.json", "README.md"),
)

TRANSFORMERS: Final = Kind(
    "a model of transformers",
    "config.json",
    (
        "config.json",
        "*.safetensors",
        "*.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "*.model",
        "README.md",
    ),
)

_MARKERS: Final = (CHECKPOINT.marker, TRANSFORMERS.marker)
_NAME: Final = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@(\w[\w./-]*))?", re.ASCII)


def find_here(name: Path | str) -> Path:
    """Return the folder of a model, given as a path or by the name of a bundled one; no hub's.

    A folder of that name counts before a bundled model, if it has settings in it: one that only
    happens to be called ``safety`` is no obstacle.
    """
    folder = Path(name).expanduser()
    if any((folder / marker).is_file() for marker in _MARKERS):
        return folder
    bundled = {path.name: path for path in BUNDLED.iterdir() if path.is_dir()}
    return bundled.get(str(name), folder)


def resolve(name: Path | str, *kinds: Kind) -> Path:
    """Return the folder of a model: of ``find_here``, or else the hub's.

    Anything of that name counts before the hub.

    Args:
        name: Path of a folder, which need not exist; name of a bundled model; or name on the hub.
        kinds: What the hub's may be; by default a checkpoint of this project.

    Raises:
        CheckpointError: There is no such folder, and the hub has no such model, lets nobody read
            it, or cannot be reached; or it is of another kind.
    """
    folder = find_here(name)
    match = _NAME.fullmatch(str(name))
    if match is None or folder.exists():
        return folder
    return _download(match[1], match[2], kinds or (CHECKPOINT,))


def resolve_file(repo: str, file: str, problem: str) -> Path:
    """Return one file of a repository on the hub, downloaded unless it was before.

    The hub is asked for nothing if the file is in the cache: whoever calls this knows its hash.

    Args:
        repo: Name of the repository, ``org/name``.
        file: Name of the file in it.
        problem: What is wrong if there is no such file, the beginning of the message.

    Raises:
        CheckpointError: The hub has no such file, lets nobody read it, or cannot be reached.
    """
    from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repo, file)
    if isinstance(cached, str):
        return Path(cached)
    with _one_line(repo, None, problem):
        HfApi().model_info(repo)  # a download would try to reach the hub for half a minute
        return Path(hf_hub_download(repo, file))


def push(folder: Path, repo: str, *, private: bool = False) -> str:
    """Upload a checkpoint, or what is new in it, to the hub; return its address there.

    Only the files of a checkpoint are uploaded, whatever else is in the folder.

    Args:
        folder: The checkpoint.
        repo: Name of the repository, ``org/name``, which is made if it is not there.
        private: Show a new repository to its owner alone.

    Raises:
        CheckpointError: A file is missing, ``repo`` is no name on the hub, or the hub refuses it or
            cannot be reached.
    """
    names = [path.name for path in files_to_push(folder, repo)]
    from huggingface_hub import HfApi

    with _one_line(repo, None, f"{repo}: cannot be written"):
        api = HfApi()
        url = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            allow_patterns=names,
            commit_message="Upload an OpenMMB checkpoint",
        )
    return str(url)


def files_to_push(folder: Path, repo: str) -> list[Path]:
    """Return what ``push`` would upload.

    Raises:
        CheckpointError: A file is missing, or ``repo`` is no name on the hub.
    """
    match = _NAME.fullmatch(repo)
    if match is None or match[2] is not None:
        raise CheckpointError(f"{repo}: expected ORG/NAME, a name on the Hugging Face hub")
    for file in CHECKPOINT.files[:-1]:  # a card is optional
        if not (folder / file).is_file():
            raise CheckpointError(f"{folder}: no {file}; expected a checkpoint folder")
    return [folder / file for file in CHECKPOINT.files if (folder / file).is_file()]


def _download(repo: str, revision: str | None, kinds: Sequence[Kind]) -> Path:
    """Return the folder of a model on the hub, downloaded unless it was before."""
    from huggingface_hub import HfApi, snapshot_download

    with _one_line(repo, revision, f"{repo}: no such folder here"):
        try:
            model = HfApi().model_info(repo, revision=revision)
        except Exception:  # see _one_line; what was downloaded before opens all the same
            folder = _downloaded(repo, revision, kinds)
            if folder is None:
                raise
            return folder
        names = {file.rfilename for file in model.siblings or ()}
        kind = _kind_of(repo, names, kinds)
        patterns = list(kind.files)
        if not any(name.endswith(".safetensors") for name in names):
            patterns += kind.instead
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns))


def _downloaded(repo: str, revision: str | None, kinds: Sequence[Kind]) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for kind in kinds:
        patterns = [*kind.files, *kind.instead]
        try:
            folder = snapshot_download(
                repo, revision=revision, allow_patterns=patterns, local_files_only=True
            )
        except LocalEntryNotFoundError:
            continue
        if Path(folder, kind.marker).is_file():
            return Path(folder)
    return None


def _kind_of(repo: str, files: Collection[str], kinds: Sequence[Kind]) -> Kind:
    for kind in kinds:
        if kind.marker in files:
            return kind
    expected = " or ".join(f"{kind.what}, with {kind.marker}" for kind in kinds)
    raise CheckpointError(f"{repo}: the Hugging Face hub has it, but expected {expected}")


@contextmanager
def _one_line(repo: str, revision: str | None, problem: str) -> Iterator[None]:
    """Say in one line what the hub, or the way to it, does not like."""
    from huggingface_hub import constants, errors

    hub = "the Hugging Face hub"
    log_in = "log in with `hf auth login`"
    try:
        yield
    except CheckpointError:
        raise
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{repo}: access is restricted on {hub}; ask for it at {constants.ENDPOINT}/{repo}, "
            f"then {log_in}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{repo}: no revision {revision!r} on {hub}") from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{problem}, and no such model on {hub}; if it is private, {log_in}"
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise CheckpointError(f"{problem}, and {hub} has no such file in {repo}") from error
    except errors.LocalTokenNotFoundError as error:
        raise CheckpointError(f"{problem}: {hub} wants to know who you are; {log_in}") from error
    except Exception as error:  # its HTTP client, which it changes, has errors of no common class
        if constants.HF_HUB_OFFLINE:
            reason = f"{hub} is not asked while HF_HUB_OFFLINE is set"
        else:
            cause = error.__cause__ or error  # a download hides what went wrong behind its own
            refused = [one for one in (error, cause) if isinstance(one, errors.HfHubHTTPError)]
            if refused:
                reason = _refusal(refused[0].response.status_code, hub, log_in)
            else:
                reason = f"{hub} cannot be reached: {shorten(' '.join(str(cause).split()))}"
        raise CheckpointError(f"{problem}, and {reason}") from error


def _refusal(status: int, hub: str, log_in: str) -> str:
    if status in (401, 403):
        return f"{hub} does not let you (status {status}); {log_in}"
    return f"{hub} answers with status {status}; try again later"
