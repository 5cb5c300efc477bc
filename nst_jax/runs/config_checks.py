"""Checks that every configuration of a run wants: each field against its own type."""

import dataclasses
import functools
import numbers
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


def check_types(config: Any) -> None:
    """Refuse a dataclass with a field that is not of its annotated type, choices included.

    Whole numbers pass for numbers, and NumPy's scalars for Python's.

    Args:
        config: Its annotations may have numbers, text, Literal, None, tuples of these, and classes.

    Raises:
        ValueError: One line that names the field.
    """
    hints = _hints_of(type(config))
    for field in dataclasses.fields(config):
        hint, value = hints[field.name], getattr(config, field.name)
        check(_is_of(value, hint), field.name, _describe(hint), _shown(value))


@functools.cache
def _hints_of(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def check(true: bool, name: str, wanted: str, got: object) -> None:
    """Raise a ValueError that names a field unless what is wanted of it is true."""
    if not true:
        raise ValueError(f"{name}: wanted {wanted}, got {got}")


def _is_of(value: Any, hint: Any) -> bool:
    origin, choices = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str) and value in choices
    if origin in (Union, UnionType):
        return any(_is_of(value, choice) for choice in choices)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if choices[-1] is Ellipsis:
            return all(_is_of(part, choices[0]) for part in value)
        return len(value) == len(choices) and all(map(_is_of, value, choices))
    if isinstance(value, bool) and hint is not bool:
        return False
    return isinstance(value, {int: numbers.Integral, float: numbers.Real}.get(hint, hint))


def _describe(hint: Any) -> str:
    """What is wanted, in words."""
    origin, choices = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(choices)
    if origin in (Union, UnionType):
        return " or ".join(_describe(choice) for choice in choices)
    if origin is tuple and choices[-1] is Ellipsis:
        return f"a tuple of {_describe(choices[0])} each"
    if origin is tuple:
        return f"({', '.join(map(_describe, choices))})"
    if hint is NoneType:
        return "None"
    return _WORDS.get(hint, f"a {getattr(hint, '__name__', hint)}")


def _shown(value: Any) -> str:
    """The value on one line, not too long; text as it is, to read like the choices."""
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
