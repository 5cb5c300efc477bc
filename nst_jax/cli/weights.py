"""`nst-jax weights`: list, fetch, convert, verify and normalize the weights of encoders."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import OmitSubcommandPrefixes, Positional, arg, subcommand

from nst_jax.cli.errors import exit_status, one_line
from nst_jax.cli.shared_options import JsonOption, print_json
from nst_jax.cli.tables import print_table
from nst_jax.encoders.weights import pretrained
from nst_jax.progress import follow_parts

_HELP = """\
Find, download, convert and check the pretrained weights of VGG-16 and VGG-19.

Examples:
  nst-jax weights list
  nst-jax weights fetch vgg19-keras
  nst-jax weights convert vgg_conv.pth --to vgg19.safetensors
  nst-jax weights verify
  nst-jax weights normalize vgg19-keras --pictures photos/ --to normalized.safetensors

A set's name or a converted file is what 'nst-jax optimize' takes as --weights."""

_FLAG = arg(help_behavior_hint="")
_NAMES = "NAME [NAME ...]"


@dataclass(frozen=True)
class List:
    """Show every known set of weights and where it lies on this machine."""

    json: JsonOption = False


@dataclass(frozen=True)
class Fetch:
    """Download sets from their publishers, check their hashes and convert them."""

    names: Annotated[Positional[tuple[str, ...]], arg(metavar=_NAMES, help_behavior_hint="")] = ()
    """Sets from 'nst-jax weights list'."""
    url: Annotated[str | None, arg(metavar="URL", help_behavior_hint="")] = None
    """Another address of the same file, such as a mirror."""
    sha256: Annotated[str | None, arg(metavar="HASH", help_behavior_hint="")] = None
    """The SHA-256 to trust instead of the published one: 64 digits, or at least the first 16."""
    allow_unverified: Annotated[bool, _FLAG] = False
    """Take what comes where no hash is published."""
    json: JsonOption = False


@dataclass(frozen=True)
class Convert:
    """Make a file of weights that you have usable: PyTorch's .pth or Keras' .h5."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """The file to convert."""
    to: Annotated[Path, arg(metavar="OUT.safetensors")]
    """The file to write."""
    as_: Annotated[str | None, arg(name="as", metavar="NAME", help_behavior_hint="")] = None
    """Which set the file is. Recognised if left out, where its content tells."""
    overwrite: Annotated[bool, _FLAG] = False
    """Replace OUT.safetensors if it exists."""
    json: JsonOption = False


@dataclass(frozen=True)
class Verify:
    """Check weights on this machine to the last bit: all of them, or those you name."""

    weights: Annotated[
        Positional[tuple[str, ...]],
        arg(metavar="NAME|FILE [NAME|FILE ...]", help_behavior_hint="(default: all)"),
    ] = ()
    """Sets, or converted files."""
    json: JsonOption = False


@dataclass(frozen=True)
class Normalize:
    """Scale every filter to a mean activation of 1 over photographs, as Gatys et al. did."""

    weights: Annotated[Positional[str], arg(metavar="NAME|FILE")]
    """The set or converted file to begin with."""
    pictures: Annotated[Path, arg(metavar="FOLDER")]
    """Photographs to measure on; some hundred of many kinds."""
    to: Annotated[Path, arg(metavar="OUT.safetensors")]
    """The file to write."""
    size: Annotated[int, arg(metavar="PIXELS")] = 256
    """Longer side at which the photographs are measured."""
    overwrite: Annotated[bool, _FLAG] = False
    """Replace OUT.safetensors if it exists."""
    json: JsonOption = False


@dataclass(frozen=True)
class Weights:
    """List, fetch, convert, verify and normalize the weights of encoders."""

    command: OmitSubcommandPrefixes[
        Annotated[List, subcommand("list")]
        | Annotated[Fetch, subcommand("fetch")]
        | Annotated[Convert, subcommand("convert")]
        | Annotated[Verify, subcommand("verify")]
        | Annotated[Normalize, subcommand("normalize")]
    ]


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax weights` say and return the exit status."""
    command = tyro.cli(
        Weights,
        prog="nst-jax weights",
        description=_HELP,
        args=arguments or ["--help"],
        config=(
            tyro.conf.DisallowNone,
            tyro.conf.FlagCreatePairsOff,
            tyro.conf.OmitArgPrefixes,
        ),
    ).command
    began = time.perf_counter()
    match command:
        case List():
            results, status = _list(command), 0
        case Fetch():
            results, status = _fetch(command), 0
        case Convert():
            results, status = [_wrote(_convert(command), command)], 0
        case Verify():
            results, status = _verify(command)
        case Normalize():
            results, status = [_wrote(_normalize(command), command)], 0
    if command.json:
        print_json("weights", {"results": results, "seconds": time.perf_counter() - began})
    return status


def _wrote(path: Path, command: Convert | Normalize) -> dict[str, Any]:
    if not command.json:
        print(f"wrote {path}")
    return {"file": path}


def _convert(command: Convert) -> Path:
    return pretrained.convert(
        command.file, to=command.to, weights=command.as_, overwrite=command.overwrite
    )


def _normalize(command: Normalize) -> Path:
    with follow_parts("measuring", unit="photographs") as on_progress:
        return pretrained.normalize(
            command.weights,
            command.pictures,
            to=command.to,
            size=command.size,
            overwrite=command.overwrite,
            on_progress=on_progress,
        )


def _list(command: List) -> list[pretrained.WeightsListing]:
    listings = pretrained.list_weights()
    if not command.json:
        rows = [
            (
                listing.name,
                listing.architecture,
                "-" if listing.size_bytes is None else f"{listing.size_bytes / 1e6:.0f} MB",
                "yes" if listing.location else "no",
                listing.licence,
            )
            for listing in listings
        ]
        print_table(("name", "network", "size", "here", "licence"), rows)
        print("What is not here: nst-jax weights fetch NAME. Where the rest is: nst-jax info.")
    return list(listings)


def _fetch(command: Fetch) -> list[dict[str, Any]]:
    if not command.names:
        raise ValueError(
            f"names: wanted at least one of {', '.join(pretrained.WEIGHT_SETS)}, got none"
        )
    if len(command.names) > 1 and (command.url or command.sha256):
        raise ValueError("url, sha256: wanted with a single set, got several names; fetch singly")
    results = []
    for name in command.names:
        with follow_parts(name, unit="MB", scale=1e6) as on_progress:
            path = pretrained.fetch(
                name,
                url=command.url,
                sha256=command.sha256,
                allow_unverified=command.allow_unverified,
                on_progress=on_progress,
            )
        results.append({"name": name, "file": path})
        if not command.json:
            print(f"{name}: {path}")
    return results


def _verify(command: Verify) -> tuple[list[dict[str, Any]], int]:
    """Verify all, print a line for each, and return what was found and the worst exit status."""
    here = [listing.name for listing in pretrained.list_weights() if listing.location]
    results, status = [], 0
    for name in command.weights or here:
        try:
            header = pretrained.verify(name)
        except Exception as error:
            status = max(status, exit_status(error))
            results.append({"name": name, "ok": False, "error": one_line(error)})
            print(f"error: {one_line(error)}", file=sys.stderr)
        else:
            architecture, sha256 = header["architecture"], header["arrays_sha256"]
            results.append(
                {"name": name, "ok": True, "network": architecture, "arrays_sha256": sha256}
            )
            if not command.json:
                print(f"{name}: ok, {architecture}, arrays {sha256[:16]}...")
    return results, status
