"""The command line and the Python that make what the page has made."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_OUT = "out.png"


class Recipe(NamedTuple):
    """How to make a result again.

    Attributes:
        command: The command line.
        python: The Python.
    """

    command: str
    python: str


def stylize_recipe(
    styles: Sequence[str],
    *,
    model: str | None,
    masks: Sequence[str] = (),
    blend: Sequence[float] = (),
    options: Mapping[str, Any],
) -> Recipe:
    """Return how nst-jax stylize paints a picture.

    Args:
        styles: Paintings or names.
        model: None for the default.
        masks: Files of them.
        blend: Weights of the styles.
        options: What else is said, by name; what is None is left out.
    """
    said = {"model": model, **options}
    command = ["nst-jax", "stylize", "photo.jpg"]
    command += ["--style", *styles] if styles else []
    command += ["--mask", *masks] if masks else []
    command += ["--style-blend", *(f"{weight:g}" for weight in blend)] if blend else []
    arguments = ['"photo.jpg"']
    if styles:
        arguments.append(repr(styles[0]) if len(styles) == 1 else repr(list(styles)))
    arguments += [f"masks={list(masks)!r}"] if masks else []
    arguments += [f"blend={tuple(blend)!r}"] if blend else []
    return _recipe(command, "stylize", arguments, said)


def optimize_recipe(painting: str, *, options: Mapping[str, Any]) -> Recipe:
    """Return how nst-jax optimize paints a picture.

    Args:
        painting: Its file.
        options: As for stylize_recipe.
    """
    command = ["nst-jax", "optimize", "photo.jpg", painting]
    return _recipe(command, "optimize", ['"photo.jpg"', repr(painting)], options)


def video_recipe(styles: Sequence[str], *, model: str | None, options: Mapping[str, Any]) -> Recipe:
    """Return how nst-jax video paints a clip; see stylize_recipe."""
    said = {"model": model, **options}
    style = ["--style", *styles] if styles else []
    command = ["nst-jax", "video", "clip.mp4", *style, *_words(said), "-o", "out.mp4"]
    python = f"import subprocess\n\nsubprocess.run({command!r}, check=True)"
    return Recipe(shlex.join(command), python)


def sheet_recipe(*, size: int) -> Recipe:
    """Return how nst-jax sheet makes a sheet."""
    python = (
        "from nst_jax.jobs.sheet import SheetJob, make_sheet, save_sheet\n\n"
        f'sheet = make_sheet(SheetJob("photo.jpg", size={size}))\n'
        'save_sheet("sheet.png", sheet)'
    )
    return Recipe(f"nst-jax sheet photo.jpg --size {size} -o sheet.png", python)


def _recipe(
    command: list[str], function: str, arguments: list[str], options: Mapping[str, Any]
) -> Recipe:
    arguments += [f"{name}={value!r}" for name, value in options.items() if value is not None]
    python = f"import nst_jax\n\nnst_jax.{function}({', '.join(arguments)}).save({_OUT!r})"
    return Recipe(shlex.join([*command, *_words(options), "-o", _OUT]), python)


def _words(options: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in options.items():
        if value is not None:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    return words
