"""Whether what visitors say is within bounds, whatever the page lets them say."""

from typing import Any, get_args

from nst_jax.jobs.color_words import ColorWord


def whole(name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number that a visitor gave.

    Raises:
        ValueError: It is none, or out of bounds.
    """
    return int(number(name, value, least, most))


def number(name: str, value: Any, least: float, most: float) -> float:
    """Return a number that a visitor gave.

    Raises:
        ValueError: It is none, or out of bounds.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and least <= value <= most):  # false of NaN too
        raise ValueError(f"{name}: wanted a number from {least:g} to {most:g}; choose another")
    return value


def alpha_of(value: Any) -> float | None:
    """Return how much of the style is taken; None for all of it."""
    alpha = float(number("alpha", value, 0.0, 1.0))
    return None if alpha == 1 else alpha


def color_of(value: Any) -> Any:
    """Return whose colours a result gets; None for the style's."""
    if value not in get_args(ColorWord):
        raise ValueError(f"colours: wanted one of {', '.join(get_args(ColorWord))}")
    return None if value == "style" else value
