"""`nst-jax export`: a trained network as ONNX or StableHLO."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from nst_jax.cli.shared_options import FLAG, JsonOption, parse, print_json
from nst_jax.jobs.exporting import export_model

_DESCRIPTION = """\
Write a trained network for other programs: as ONNX, or as StableHLO for JAX and XLA.

Examples:
  nst-jax export johnson2016-wave -o wave.onnx
  nst-jax export huang2017 -o any.onnx          # and any_style.onnx, which reads the painting
  nst-jax export ghiasi2017 -o any.onnx --quantize int8
  nst-jax export huang2017 -o any.stablehlo

Pictures go in and out as (1, height, width, 3), RGB in [0, 1]. docs/export.md says more. ONNX needs
one package more, pip install onnx, and StableHLO another, pip install flatbuffers."""


@dataclass(frozen=True)
class Export:
    """Write a trained network as ONNX or StableHLO."""

    model: Annotated[Positional[str], arg(metavar="MODEL", help_behavior_hint="(required)")]
    """A model that comes along (nst-jax stylize --help lists them), a .safetensors file, or
    owner/name of the Hugging Face Hub."""
    out: Annotated[Path, arg(aliases=("-o",), metavar="OUT")]
    """The file to write: .onnx or .stablehlo."""
    quantize: Literal["int8"] | None = None
    """Keep the weights of an ONNX file in 8 bits, with a scale for each channel: half the size."""
    overwrite: Annotated[bool, FLAG] = False
    """Replace files that exist."""
    json: JsonOption = False


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax export` say and return the exit status."""
    options = parse(Export, arguments, command="export", description=_DESCRIPTION)
    began = time.perf_counter()
    written = export_model(
        options.model,
        options.out,
        storage=options.quantize or "float",
        overwrite=options.overwrite,
    )
    if options.json:
        seconds = time.perf_counter() - began
        print_json("export", {"results": [{"file": path} for path in written], "seconds": seconds})
        return 0
    for path in written:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0
