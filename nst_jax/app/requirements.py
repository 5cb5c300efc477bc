"""The library that draws the page."""

import importlib.util


class AppLibraryMissingError(Exception):
    """Gradio is not installed."""


def require_gradio() -> None:
    """Raise where the page cannot be drawn.

    Raises:
        AppLibraryMissingError: Gradio is not installed.
    """
    if importlib.util.find_spec("gradio") is None:
        raise AppLibraryMissingError("nst-jax app needs Gradio: pip install 'gradio>=6.31,<7'")
