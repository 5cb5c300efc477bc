"""The libraries that write files for other programs, which are extras."""

import importlib.util
from typing import Literal


class ExportLibraryMissingError(Exception):
    """A library that writes the file is not installed."""


_WRITES = {"onnx": "ONNX files", "flatbuffers": "StableHLO files"}


def require_library(name: Literal["onnx", "flatbuffers"]) -> None:
    """Raise where a file cannot be written.

    Args:
        name: As it is imported and installed.

    Raises:
        ExportLibraryMissingError: It tells what to install.
    """
    if importlib.util.find_spec(name) is None:
        raise ExportLibraryMissingError(
            f"{_WRITES[name]} need one package more: pip install {name}"
        )
