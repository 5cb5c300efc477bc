"""The options on styles that commands of trained networks have, as jobs take them."""

from typing import Any

from nst_jax.jobs.styles import StyleChoice

_ALWAYS = {
    "names": "style",
    "blend": "style_blend",
    "size": "style_size",
    "masks": "mask",
    "style_masks": "style_mask",
    "seed": "seed",
}
_WHERE_GIVEN = ("alpha", "color", "color_when")  # help shows a default where the job decides


def choose_style(options: Any, given: frozenset[str]) -> StyleChoice:
    """Return what a command's options say of styles; what it has no option for is left open.

    Args:
        options: What was parsed.
        given: The names of the options that the user gave, from shared_options.words_given.
    """
    values = {
        field: getattr(options, option)
        for field, option in _ALWAYS.items()
        if hasattr(options, option)
    }
    values |= {name: getattr(options, name) for name in _WHERE_GIVEN if name in given}
    return StyleChoice(**values)
