"""Paintings that a user names: found, read and called by names."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax import files
from nst_jax.files.disk import quoted
from nst_jax.jobs import pictures
from nst_jax.jobs.pictures import Pixels
from nst_jax.stylizers import list_models, model_path, read_styles

_ONE_COLOUR = 1 / 255  # what scaling and JPEG may make of one


def load_paintings(given: Sequence[Any], size: int) -> dict[str, Pixels]:
    """Return paintings, by what results are called after them.

    Args:
        given: Pictures as nst_jax.jobs.pictures takes them, or folders of files.
        size: Pixels of their longer side.

    Raises:
        ValueError: Two have one name, or one is no picture or has a single colour.
        OSError: A file cannot be read.
    """
    found: dict[str, Any] = {}
    for number, each in enumerate(given, start=1):
        is_place = isinstance(each, str | os.PathLike)
        if is_place and not os.path.exists(each):
            _refuse_name_of_a_style(str(each))
        for picture in files.list_images(each) if is_place and os.path.isdir(each) else [each]:
            name = pictures.stem_of(picture, number)
            if name in found:
                raise ValueError(
                    f"style: {pictures.name_of(found[name], 'one painting')} and "
                    f"{pictures.name_of(picture, 'another')} have one name, by which results are "
                    "called; rename one"
                )
            found[name] = picture
    loaded = {
        name: pictures.load_pixels(picture, size=size, name="style")
        for name, picture in found.items()
    }
    for name, pixels in loaded.items():
        _refuse_one_colour(pixels, pictures.name_of(found[name], "a painting"))
    return loaded


def _refuse_one_colour(pixels: Pixels, called: str) -> None:
    if np.ptp(pixels, axis=(0, 1)).max() < _ONE_COLOUR:
        raise ValueError(
            f"style: {called} has a single colour, after which nothing can be painted; name a "
            "painting"
        )


def _refuse_name_of_a_style(word: str) -> None:
    """Say whose style it is where a painting's path is none, but a model's style is called so."""
    for model in list_models():
        styles = read_styles(model_path(model))
        near = [word] if word in styles else difflib.get_close_matches(word, styles, 1, 0.8)
        if near and not Path(word).suffix:
            raise ValueError(
                f"style: {quoted(word)} is no picture, but {near[0]} is a style of the model "
                f"{model}; add --model {model}"
            )
