"""The pictures that a pixel optimisation works with: checked, recoloured, and told from others."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nst_jax.array_types import ImageOfAnySize, check_picture
from nst_jax.ops import color as colors
from nst_jax.ops.color import Color, When
from nst_jax.pixels.config import Config
from nst_jax.regions.run_regions import Regions, Size, check_regions


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


def check_run_pictures(
    content: Any,
    style: Any,
    initial_image: Any,
    config: Config,
    *,
    masks: Any = None,
    style_masks: Any = None,
) -> RunPictures:
    """Return the pictures of a run as float32, with the regions that masks give them.

    Args:
        content: One picture.
        style: One painting, or a sequence of some.
        initial_image: Where to begin if config.init is a file's path; else it is not used.
        config: Of the run.
        masks: As for stylize.
        style_masks: As for stylize.

    Raises:
        ValueError: A picture is none that can be painted, or they do not fit together.
    """
    if not isinstance(config, Config):
        raise ValueError(
            f"config: wanted a Config, got {type(config).__name__}; choose one of PRESETS"
        )
    if style_masks is not None and (
        isinstance(style_masks, str | bytes) or not isinstance(style_masks, Sequence)
    ):
        raise ValueError(
            "style_masks: wanted a sequence with an array or None for each style, got "
            f"{type(style_masks).__name__}; for one style give [mask]"
        )
    several = isinstance(style, Sequence) and not isinstance(style, str | bytes)
    styles = [*style] if several else [style]
    if not styles:
        raise ValueError("style: wanted at least one picture, got none")
    content = check_picture("content", content)
    styles = [check_picture("style", each) for each in styles]
    if initial_image is not None:
        initial_image = check_picture("initial_image", initial_image)
    if config.begins_with_file and initial_image is None:
        raise ValueError(
            f"init: {config.init!r} is not content, noise or style; "
            "for a picture of your own give it as initial_image"
        )
    if config.style_blend is not None and len(config.style_blend) != len(styles):
        raise ValueError(
            f"style_blend: wanted a weight for each style, {len(styles)} in all, "
            f"got {config.style_blend}"
        )
    if masks is not None and config.style_blend is not None:
        raise ValueError("masks: wanted without style_blend, which mixes styles everywhere")
    some_masks = masks is not None or any(mask is not None for mask in style_masks or ())
    if some_masks:
        config.loss.require_guided()
    regions = check_regions(
        masks,
        style_masks,
        size=size_of(content),
        style_sizes=[size_of(style) for style in styles],
        mode=config.mask_mode,
        growth=config.mask_growth,
    )
    return RunPictures(content, tuple(styles), initial_image, regions)


def size_of(image: ImageOfAnySize) -> Size:
    """Return a picture's height and width."""
    return image.shape[1], image.shape[2]
