"""Trained networks from the Hugging Face Hub: one .safetensors file of a repository, and its hash.

The package huggingface_hub fetches and keeps the files. It is loaded when a repository is named.
"""

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from nst_jax.files import HashMismatchError, sha256_of

_NAME = re.compile(
    r"(?P<repository>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})"
    r"(@(?P<revision>[\w][\w./-]{0,99}))?"
)
_EXTENSION = ".safetensors"
_USUAL_FILE = f"model{_EXTENSION}"
_MAX_BYTES = 1 << 30


class HubFile(NamedTuple):
    """A file that came from the hub.

    Attributes:
        path: Where it lies on this machine.
        repository: Its owner and name.
        revision: The commit.
        file: Its name there.
        sha256: Of what lies on this machine.
    """

    path: Path
    repository: str
    revision: str
    file: str
    sha256: str

    def describe(self) -> dict[str, str]:
        """Return what a model's card says of it."""
        return {name: str(value) for name, value in self._asdict().items() if name != "path"}


def is_hub_name(name: str) -> bool:
    """Return whether a model's name is a repository's: "owner/name" or "owner/name@revision".

    Args:
        name: The name.
    """
    return not name.endswith(_EXTENSION) and _NAME.fullmatch(name) is not None


def fetch_model(name: str) -> HubFile:
    """Return the network's file of a repository, fetched where it is not at hand.

    It is the one .safetensors file at the repository's top, or of several the one that is called
    model.safetensors. Files of other kinds are never fetched.

    Args:
        name: "owner/name" or "owner/name@revision"; see is_hub_name.

    Raises:
        ValueError: The repository has no such file, or one of more than a gigabyte.
        OSError: huggingface_hub is not installed, or the hub cannot be reached or refuses.
        HashMismatchError: What came is not what the hub names.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"model: wanted owner/name or owner/name@revision, got {name!r}")
    library, repository = _library(name), found["repository"]
    try:
        info = library.HfApi().model_info(
            repository, revision=found["revision"], files_metadata=True
        )
    except Exception as error:
        raise _unreachable(name, error) from error
    sibling = _choose(name, info.siblings or ())
    size = sibling.size
    if not isinstance(size, int) or not 0 < size <= _MAX_BYTES:
        raise ValueError(
            f"model: wanted a file of at most {_MAX_BYTES} bytes, and {sibling.rfilename} of "
            f"{name} has {size}; choose another"
        )
    try:
        path = library.hf_hub_download(repository, sibling.rfilename, revision=info.sha)
    except Exception as error:
        raise _unreachable(name, error) from error
    sha256, wanted = sha256_of(path), getattr(sibling.lfs, "sha256", None)
    if wanted is not None and sha256 != wanted:
        raise HashMismatchError(
            f"{sibling.rfilename} of {name} has the SHA-256 {sha256}, and the hub names {wanted}; "
            "delete it from the hub's cache and fetch it again"
        )
    return HubFile(Path(path), repository, str(info.sha), sibling.rfilename, sha256)


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise OSError(
            f"model: {name!r} is neither a model of ours nor a file that ends in {_EXTENSION}; to "
            "fetch the repository of that name from the Hugging Face Hub: pip install "
            "huggingface_hub"
        ) from error


def _choose(name: str, siblings: Any) -> Any:
    files = {
        sibling.rfilename: sibling
        for sibling in siblings
        if sibling.rfilename.endswith(_EXTENSION) and "/" not in sibling.rfilename
    }
    if len(files) == 1:
        return next(iter(files.values()))
    if _USUAL_FILE in files:
        return files[_USUAL_FILE]
    there = ", ".join(sorted(files)[:10]) or "none"
    raise ValueError(
        f"model: wanted a repository with one {_EXTENSION} file, or one called {_USUAL_FILE}, got "
        f"{name} with {there}; download the file that you mean and name its path"
    )


def _unreachable(name: str, error: Exception) -> OSError:
    # The library's messages are of many lines, of which the first says what happened.
    text = (str(error).strip().splitlines() or [""])[0][:200]
    return OSError(
        f"cannot fetch {name} from the Hugging Face Hub: {text or type(error).__name__} "
        f"({type(error).__name__}); check the name and the connection, or name a file"
    )
