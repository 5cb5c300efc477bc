"""Whose colours a result gets, in a user's words."""

from typing import Literal

from nst_jax.ops.color import Color, When

ColorWord = Literal["style", "keep", "luminance", "cholesky", "pca", "symmetric", "histogram"]
"""ops.color.Color, and keep."""

KEEP: Color = "luminance"
"""What the word keep stands for: every pixel keeps its hue, whatever is painted after."""


def choose_color(
    color: ColorWord | None, when: When | None, *, default: When
) -> tuple[Color, When]:
    """Return what the words stand for.

    Args:
        color: As the user gave it.
        when: The same.
        default: When colours are changed if the user does not say.

    Raises:
        ValueError: when is given where there are no colours to change.
    """
    if color is None or color == "style":
        if when is not None:
            raise ValueError(
                f"color_when: wanted with --color and more than style, got {when} alone; add "
                "--color keep, or leave out --color-when"
            )
        return "style", default
    return (KEEP if color == "keep" else color), when or default
