"""Words that belong to another command or are written in another way, and what to type instead."""

import re
from collections.abc import Mapping, Sequence

_INSTEAD: Mapping[str, Mapping[str, str]] = {
    "stylize": {
        "style_weight": "nst-jax stylize has --alpha for how much of the style is taken",
        "content_weight": "nst-jax stylize has --alpha, where less keeps more of the photograph",
        "style_layers": "it is an option of nst-jax optimize; a trained network has its layers",
        "num_steps": "it is an option of nst-jax optimize; a trained network takes one pass",
        "preset": "it is an option of nst-jax optimize; here --model names the network",
        "init": "it is an option of nst-jax optimize; a trained network takes one pass",
        "content": "photographs come without an option: nst-jax stylize photo.jpg --style ...",
    },
    "optimize": {
        "alpha": "nst-jax optimize has --style-weight for how boldly it paints",
        "model": "it is an option of nst-jax stylize; here the pixels are optimised",
        "style": "paintings come after the photograph: nst-jax optimize photo.jpg painting.jpg ...",
        "content": "pictures come without an option: nst-jax optimize photo.jpg painting.jpg ...",
        "skip_existing": "it is an option of nst-jax stylize; here --resume goes on",
        "batch_size": "it is an option of nst-jax stylize; here one picture is painted at a time",
        "steps": "it is called --num-steps",
        "iterations": "it is called --num-steps",
    },
}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


def check_words(command: str, arguments: Sequence[str]) -> None:
    """Refuse words that are known to be meant otherwise, in a line that says how.

    Args:
        command: As users type it after nst-jax.
        arguments: The words after it.

    Raises:
        ValueError: There is such a word.
    """
    instead, option = _INSTEAD.get(command, {}), ""
    for word in arguments:
        if word.startswith("--"):
            option, _, word = word.partition("=")
            name = option[2:].replace("-", "_")
            if name in instead:
                raise ValueError(f"{option}: no option of nst-jax {command}; {instead[name]}")
        if option and (percent := _PERCENT.fullmatch(word)):
            raise ValueError(
                f"{option[2:].replace('-', '_')}: wanted a plain number, got {word!r}; "
                f"write {float(percent[1]) / 100:g}"
            )
