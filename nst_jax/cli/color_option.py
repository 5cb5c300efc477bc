"""--color and --color-when, as optimize and stylize share them: whose colours a result gets."""

from collections.abc import Mapping
from typing import Annotated, Literal

from tyro.conf import arg

from nst_jax.ops.color import Color, When

ColorWord = Color | Literal["keep"]

KEEP: Mapping[When, Color] = {"before": "pca", "after": "luminance"}
"""What the word keep stands for."""

_COLOR_HELP = (
    "Whose colours. style: the painting's. keep: the photograph's, by the usual means: pca before, "
    "luminance after. luminance: light and dark are painted, and every pixel keeps its hue. pca, "
    "cholesky, symmetric: the mean and the spread of the photograph's colours, by three linear "
    "maps, of which symmetric changes colours least. histogram: its distributions of red, green "
    "and blue."
)
_WHEN_HELP = (
    "before: the painting is recoloured, and then painted after. after: the result is recoloured; "
    "so it must be where a model has styles of its own."
)

ColorOption = Annotated[
    ColorWord | None,
    arg(
        metavar="{style,keep,luminance,cholesky,pca,symmetric,histogram}",
        help=_COLOR_HELP,
        help_behavior_hint="(default: style)",
    ),
]
"""The type of an option --color."""

WhenOption = Annotated[
    When | None, arg(help=_WHEN_HELP, help_behavior_hint="(default: before, where it can be)")
]
"""The type of an option --color-when."""


def choose_color(
    color: ColorWord | None, when: When | None, *, default: When
) -> tuple[Color, When]:
    """Return what the options stand for.

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
    when = when or default
    return (KEEP[when] if color == "keep" else color), when
