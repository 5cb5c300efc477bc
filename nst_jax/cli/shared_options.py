"""Options that several commands have, and how all of them are parsed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import arg

from nst_jax import files
from nst_jax.jobs.color_words import ColorWord
from nst_jax.jobs.masks import WHOLE
from nst_jax.ops.color import When

Options = TypeVar("Options")

FLAG = arg(help_behavior_hint="")
"""For a switch, whose help tells no default."""

_JSON_HELP = (
    "Print one JSON object in place of text: what was written, and seconds. Progress and errors "
    "stay on standard error."
)
JsonOption = Annotated[bool, arg(help=_JSON_HELP, help_behavior_hint="")]
"""The type of an option --json."""

MASK_HELP = (
    "Where in the photograph each style goes: pictures that are white there, or grey for a soft "
    "edge, one for each style in turn, of the photograph's proportions; with one fewer than "
    "styles, the last style gets the rest. Or one picture that has a flat colour for each style, "
    "in the order in which the colours first appear, row by row from the upper left. What is in "
    "none takes no style, nor does what is transparent; where masks overlap, styles share."
)
STYLE_MASK_HELP = (
    "Which part of each painting counts: pictures that are white there, one for each painting in "
    f"turn, of its proportions; '{WHOLE}' for all of it."
)
_COLOR_HELP = (
    "Whose colours. style: the painting's. keep or luminance: light and dark are painted, and "
    "every pixel keeps its hue. pca, cholesky, symmetric: the mean and the spread of the "
    "photograph's colours, by three linear maps, of which symmetric changes colours least. "
    "histogram: its distributions of red, green and blue."
)
_WHEN_HELP = (
    "before: the painting is recoloured before it is used. after: the result is recoloured; models "
    "with styles of their own know only this."
)

ColorOption = Annotated[ColorWord, arg(help=_COLOR_HELP, help_behavior_hint="(default: style)")]
"""The type of an option --color."""

WhenOption = Annotated[
    When, arg(help=_WHEN_HELP, help_behavior_hint="(default: before, where it can be)")
]
"""The type of an option --color-when."""


def parse(
    options: type[Options], arguments: Sequence[str], *, command: str, description: str
) -> Options:
    """Return what the words after a command say.

    Args:
        options: The dataclass of the command's options.
        arguments: The words.
        command: Its name, as users type it after nst-jax.
        description: What the help begins with.

    Raises:
        SystemExit: After help, or where an option is wrong.
    """
    settings: Any = (tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(
        options,
        prog=f"nst-jax {command}",
        description=description,
        args=arguments,
        config=settings,
    )


def print_json(command: str, values: Mapping[str, Any]) -> None:
    """Print what --json prints: {"command": ..., and what the command has to say}.

    Args:
        command: Its name, as users type it after nst-jax.
        values: In types that files.strict_json knows.
    """
    print(files.strict_json({"command": command, **values}), flush=True)


def words_given(arguments: Sequence[str]) -> frozenset[str]:
    """Return the names of the options among words: style_weight for --style-weight 5.

    Args:
        arguments: The words after a command.
    """
    options = (word.partition("=")[0] for word in arguments if word.startswith("--"))
    return frozenset(option[2:].replace("-", "_") for option in options)


def find_value(arguments: Sequence[str], option: str) -> str | None:
    """Return the last value of an option among words; None where it has none.

    Args:
        arguments: The words after a command.
        option: As --preset.
    """
    found = None
    for place, word in enumerate(arguments):
        if word.startswith(f"{option}="):
            found = word.partition("=")[2]
        elif word == option and place + 1 < len(arguments):
            found = arguments[place + 1]
    return found
