"""The pictures that a pixel optimisation works with: checked, recoloured, and told from others."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nst_jax.array_types import ImageOfAnySize
from nst_jax.ops import color as colors
from nst_jax.ops.color import Color, When
from nst_jax.regions.run_regions import Regions, Size


class RunPictures(NamedTuple):
    """The pictures of a run, and the regions that masks give them.

    Attributes:
        content: The content image.
        styles: The style images, at least one.
        initial: Where the run begins if not at one of the others, or at noise.
        regions: Where in them each style goes; None where there are no masks.
    """

    content: ImageOfAnySize
    styles: tuple[ImageOfAnySize, ...]
    initial: ImageOfAnySize | None
    regions: Regions | None

    def recolored(self, *, color: Color, when: When) -> "RunPictures":
        """Return what is optimised for, with the colours that are asked for."""
        content = partial(colors.prepare_content, color=color, when=when)
        style = partial(colors.prepare_style, color=color, when=when)
        return self._replace(
            content=content(self.content),
            styles=tuple(style(each, self.content) for each in self.styles),
            initial=None if self.initial is None else content(self.initial),
        )

    def fingerprint(self) -> str:
        """Return a hash by which a resumed run knows its pictures and their masks."""
        digest = hashlib.sha256()
        for picture in (self.content, *self.styles, self.initial):
            digest.update(b"-" if picture is None else np.ascontiguousarray(picture).tobytes())
        digest.update(b"" if self.regions is None else self.regions.digest())
        return digest.hexdigest()


def check_pictures(content: ImageOfAnySize, style: Any) -> tuple[ImageOfAnySize, ...]:
    """Return the style images, one or a sequence, as a tuple.

    Raises:
        ValueError: There is none, or one of all pictures is a batch of several.
    """
    styles: Sequence[ImageOfAnySize] = (style,) if hasattr(style, "shape") else tuple(style)
    if not styles:
        raise ValueError("style: wanted at least one picture, got none")
    for name, picture in (("content", content), *(("style", picture) for picture in styles)):
        if picture.shape[0] != 1:
            raise ValueError(f"{name}: wanted one picture, (1, H, W, 3), got {picture.shape}")
    return tuple(styles)


def size_of(image: ImageOfAnySize) -> Size:
    """Return a picture's height and width."""
    return image.shape[1], image.shape[2]
