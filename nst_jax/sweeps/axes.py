"""What a sweep varies: a field of gatys_2016.Config and its values, typed in Python or as text.

Text is what a command line gives: 50, none, average, relu1_1,relu2_1 (equal weights that sum to
1), relu1_1:0.2,relu4_1:1 (weights of their own). For layers some words stand for several values.
"""

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nst_jax.losses.layer_text import describe_layers, equal_weights, parse_layers
from nst_jax.papers.gatys_2016 import Config, with_style_loss

RATIO = "ratio"
"""An axis that is no field: the content weight over the style weight (Gatys 2016, fig. 3)."""

LAYER_FIELDS = ("content_layers", "style_layers")

_Names = tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """One thing that is varied.

    Attributes:
        name: A field of Config, or 'ratio'.
        values: As Config has them.
        labels: What a report calls them.
    """

    name: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]


def _single(layers: _Names) -> list[_Names]:
    return [(layer,) for layer in layers]


def _cumulative(layers: _Names) -> list[_Names]:
    return [layers[:count] for count in range(1, len(layers) + 1)]


def _leave_one_out(layers: _Names) -> list[_Names]:
    return [layers[:place] + layers[place + 1 :] for place in range(len(layers))]


def _subsets(layers: _Names) -> list[_Names]:
    return [some for count in range(1, len(layers) + 1) for some in combinations(layers, count)]


LAYER_SETS: Mapping[str, Callable[[_Names], list[_Names]]] = {
    "single": _single,  # each of the base's layers alone
    "cumulative": _cumulative,  # the first, the first two, ...: fig. 3's rows A to E
    "leave_one_out": _leave_one_out,  # all but one
    "subsets": _subsets,  # all that are not empty
}
"""Words that stand for several sets of the base's layers, each set with equal weights."""


def make_axis(name: str, values: Sequence[Any], *, base: Config) -> Axis:
    """Return an axis over a field, or over 'ratio'.

    Args:
        name: A field of Config but seed, or 'ratio'.
        values: As Config has them, or text; layers also as a sequence of names, or as a word of
            LAYER_SETS.
        base: The configuration whose layers those words take.

    Raises:
        ValueError: There is no such field, a value cannot be one of its, or one is given twice.
    """
    fields = {field.name for field in dataclasses.fields(Config)}
    if name == "seed":
        raise ValueError("vary seed: seeds are given apart, as seeds (--seeds 0 1 2)")
    if name not in fields | {RATIO}:
        near = difflib.get_close_matches(name, sorted(fields | {RATIO}), n=1)
        meant = f"did you mean {near[0]}?" if near else f"wanted {', '.join(sorted(fields))}"
        raise ValueError(f"vary: {printable(name)} is no setting; {meant}")
    if not values:
        raise ValueError(f"vary {name}: wanted at least one value, got none")
    found: list[Any] = []
    for value in values:
        if name in LAYER_FIELDS and isinstance(value, str) and value in LAYER_SETS:
            layers = tuple(layer for layer, _ in getattr(base, name))
            found += [equal_weights(some) for some in LAYER_SETS[value](layers) if some]
        else:
            found.append(_as_field(name, value))
    labels = tuple(describe_value(value) for value in found)
    twice = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
    if twice is not None:
        raise ValueError(f"vary {name}: wanted each value once, got {twice} twice")
    return Axis(name, tuple(found), labels)


def apply_axes(base: Config, values: Mapping[str, Any]) -> Config:
    """Return base with a value in place of each field named; a ratio sets the style weight.

    Another style loss than base has brings the layers and the weight that suit it, since those of
    one do not do for another; where these are varied too, they are as given.

    Raises:
        ValueError: The values do not fit together.
    """
    fields = {name: value for name, value in values.items() if name != RATIO}
    if fields.get("style_loss", base.style_loss) != base.style_loss:
        base = with_style_loss(base, fields["style_loss"])
    config = dataclasses.replace(base, **fields)
    if RATIO not in values:
        return config
    return dataclasses.replace(config, style_weight=config.content_weight / values[RATIO])


def describe_value(value: Any) -> str:
    """Return what a report calls a value: what one would type, 'relu1_1,relu2_1' or 'none'."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple) and all(isinstance(pair, tuple) for pair in value):
        if all(isinstance(name, str) for name, _ in value):
            return describe_layers(value)
        return ",".join(f"{factor:.6g}:{share:.6g}" for factor, share in value)
    if isinstance(value, tuple):
        return ",".join(describe_value(part) for part in value)
    return printable(str(value))


def printable(text: str) -> str:
    """Return text on one line, with what cannot be printed, as in some file names, escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def _as_field(name: str, value: Any) -> Any:
    """The value as Config has it."""
    if isinstance(value, str):
        return _parse(name, value.strip())
    if name in LAYER_FIELDS and value and all(isinstance(layer, str) for layer in value):
        return equal_weights(value)
    if isinstance(value, list | tuple) and name in (*LAYER_FIELDS, "scales", "style_blend"):
        return tuple(tuple(part) if isinstance(part, list) else part for part in value)
    if isinstance(value, int) and not isinstance(value, bool) and float in _choices(name):
        value = float(value)
    if type(value) not in _choices(name):
        raise ValueError(f"vary {name}: wanted {_wanted(name)}, got {value!r}")
    return value if name != RATIO else _checked_ratio(value)


def _parse(name: str, text: str) -> Any:
    if name in LAYER_FIELDS:
        try:
            return parse_layers(text)
        except ValueError as error:
            if "each once" in str(error):
                raise
            raise ValueError(f"vary {name}: wanted {_wanted(name)}, got {text!r}") from error
    if name == "scales":
        return tuple(_parse_pair(name, pair) for pair in text.split(","))
    if text == "none" and NoneType in _choices(name):
        return None
    if name == "style_blend":
        return tuple(_parse_number(name, part, float) for part in text.split(","))
    for choice in _choices(name):
        if get_origin(choice) is Literal and text in get_args(choice):
            return text
        if choice is bool and text in ("true", "false"):
            return text == "true"
        if choice in (int, float):
            number = _parse_number(name, text, choice)
            return _checked_ratio(number) if name == RATIO else number
        if choice is str and text:
            return text
    raise ValueError(f"vary {name}: wanted {_wanted(name)}, got {text!r}")


def _checked_ratio(ratio: Any) -> float:
    if not 0 < ratio < float("inf"):
        raise ValueError(f"vary {RATIO}: wanted a finite number above 0, got {ratio:g}")
    return ratio


def _parse_pair(name: str, text: str) -> tuple[float, float]:
    left, _, right = text.partition(":")
    return _parse_number(name, left, float), _parse_number(name, right, float)


def _parse_number(name: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f"vary {name}: wanted {_wanted(name)}, got {text!r}") from error


def _choices(name: str) -> tuple[Any, ...]:
    """The types that a field's value may have."""
    hint = float if name == RATIO else get_type_hints(Config)[name]
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _wanted(name: str) -> str:
    """What a field's value looks like as text."""
    if name in LAYER_FIELDS:
        words = ", ".join(LAYER_SETS)
        return f"layers like relu1_1,relu2_1 or relu1_1:0.2,relu2_1:1, or {words}"
    if name == "scales":
        return "scales and shares like 0.5:0.65,1:0.35"
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if name == "style_blend":
        return "shares like 2,1 or none"
    told = []
    for choice in _choices(name):
        if get_origin(choice) is Literal:
            told += get_args(choice)
        elif choice is NoneType or choice in kinds:
            told.append("none" if choice is NoneType else kinds[choice])
    return " or ".join(told)
