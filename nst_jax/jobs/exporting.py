"""A trained network into files for other programs."""

import json
import os
from pathlib import Path
from typing import get_args

import nst_jax
from nst_jax import files
from nst_jax.export.onnx_graph import Storage
from nst_jax.export.requirements import require_library
from nst_jax.stylizers import FollowingStylizer, Stylizer, load_stylizer

EXTENSIONS = (".onnx", ".stablehlo")
"""What OUT may end in, by which the format is chosen."""


def export_model(
    model: str | os.PathLike[str] | Stylizer,
    out: str | os.PathLike[str],
    *,
    storage: Storage = "float",
    overwrite: bool = False,
) -> list[Path]:
    """Write a network for other programs and return the files.

    OUT.onnx is the network that paints; of one that takes any painting OUT_style.onnx is the one
    that reads the painting. OUT.stablehlo is a zip archive of both, transformer.bin and style.bin,
    which jax.export.deserialize reads, and of card.json. ONNX files have the card in their
    metadata. See nst_jax.export for what goes in and out.

    Args:
        model: A name, a file, or a network that is loaded.
        out: Where to; ends in .onnx or .stablehlo.
        storage: How kernels are kept in ONNX files: "float", as they are; or "int8", 8 bits with a
            scale for each channel, a half to a quarter of the size.
        overwrite: Whether files that exist may be replaced.

    Raises:
        ValueError: There is no such model, format or storage.
        FileExistsError: A file exists, and overwrite is false.
        OSError: A file cannot be read or written.
        ExportLibraryMissingError: The library that writes the format is not installed.
    """
    path = Path(out)
    if storage not in get_args(Storage):
        raise ValueError(f"storage: wanted one of {', '.join(get_args(Storage))}, got {storage!r}")
    files.check_output(path, overwrite=overwrite, extensions=EXTENSIONS)
    if path.suffix.lower() == EXTENSIONS[0]:
        require_library("onnx")
        files.check_output(_style_path(path), overwrite=overwrite, extensions=EXTENSIONS)
    elif storage != "float":
        raise ValueError("storage: int8 is for ONNX files, got a StableHLO one; leave it out")
    else:
        require_library("flatbuffers")
    stylizer = model if isinstance(model, Stylizer) else load_stylizer(model)
    if isinstance(stylizer, FollowingStylizer):
        raise ValueError(
            f"model: wanted a network of pictures, got {stylizer.name}, which takes its last "
            "picture and optical flow too; choose another"
        )
    about = {
        "nst_jax": nst_jax.__version__,
        "network": stylizer.architecture,
        "styles": json.dumps(list(stylizer.styles), ensure_ascii=False),
        "card": json.dumps(dict(stylizer.card), ensure_ascii=False),
    }
    if path.suffix.lower() == EXTENSIONS[0]:
        return _write_onnx(stylizer, path, about, storage=storage, overwrite=overwrite)
    return _write_stablehlo(stylizer, path, about, overwrite=overwrite)


def _style_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}_style{path.suffix}")


def _write_onnx(
    stylizer: Stylizer, path: Path, about: dict[str, str], *, storage: Storage, overwrite: bool
) -> list[Path]:
    from nst_jax.export.onnx_networks import export_onnx

    parts, written = export_onnx(stylizer, about=about, storage=storage), []
    for name, content in parts.items():
        place = path if name == "transformer" else _style_path(path)
        files.write_bytes(place, content, overwrite=overwrite)
        written.append(place)
    return written


def _write_stablehlo(
    stylizer: Stylizer, path: Path, about: dict[str, str], *, overwrite: bool
) -> list[Path]:
    from nst_jax.export.stablehlo import export_stablehlo

    card = json.dumps(about, indent=2, ensure_ascii=False)
    parts = {f"{name}.bin": content for name, content in export_stablehlo(stylizer).items()}
    files.write_archive(path, {**parts, "card.json": card}, overwrite=overwrite)
    return [path]
