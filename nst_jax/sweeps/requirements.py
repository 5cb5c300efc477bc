"""What a report is made with and a plain installation lacks: the extra `sweep`."""

import importlib.util

_LIBRARIES = ("jinja2", "matplotlib")


class ReportLibraryMissingError(Exception):
    """A library that a report is made with is not installed."""


def require_libraries() -> None:
    """Raise now what making a report would raise in hours.

    Raises:
        ReportLibraryMissingError: It tells what to install.
    """
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise ReportLibraryMissingError(
            f"a sweep's report needs {' and '.join(missing)}: pip install {' '.join(missing)}"
        )
