"""Words that cannot be right, refused before JAX loads, and what to type instead.

They belong to another command, are written in another way, or leave out what a command needs.
"""

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
        "keep_colors": "--color keep keeps the photograph's colours",
        "preserve_color": "--color keep keeps the photograph's colours",
        "preserve_colors": "--color keep keeps the photograph's colours",
    },
    "optimize": {
        "alpha": "nst-jax optimize has --style-weight for how boldly it paints",
        "model": "it is an option of nst-jax stylize; here the pixels are optimised",
        "style": "paintings come after the photograph: nst-jax optimize photo.jpg painting.jpg ...",
        "content": "pictures come without an option: nst-jax optimize photo.jpg painting.jpg ...",
        "skip_existing": "it is an option of nst-jax stylize; here --resume goes on",
        "batch_size": "it is an option of nst-jax stylize; here one picture is painted at a time",
        "keep_colors": "--color keep keeps the photograph's colours",
        "preserve_color": "--color keep keeps the photograph's colours",
        "preserve_colors": "--color keep keeps the photograph's colours",
        "steps": "it is called --num-steps",
        "iterations": "it is called --num-steps",
    },
}
# Of the options: those that take several words, and those that take none. The others take one.
_TAKE_SEVERAL: Mapping[str, frozenset[str]] = {
    "stylize": frozenset({"style", "style_blend", "mask", "style_mask"}),
    "optimize": frozenset(
        {
            *("style_blend", "mask", "style_mask", "scales", "scale_shares"),
            *("content_layers", "content_layer_weights", "style_layers", "style_layer_weights"),
        }
    ),
}
_FLAGS: Mapping[str, frozenset[str]] = {
    "stylize": frozenset(
        {"exact_statistics", "strips", "skip_existing", "overwrite", "quiet", "json"}
    ),
    "optimize": frozenset({"remat", "resume", "overwrite", "quiet", "json", "verbose"}),
}
_EXAMPLES = {
    "stylize": "nst-jax stylize photo.jpg --style painting.jpg -o out.png",
    "optimize": "nst-jax optimize photo.jpg painting.jpg -o out.png",
}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


def check_words(command: str, arguments: Sequence[str]) -> None:
    """Refuse words that are known to be meant otherwise, in a line that says how.

    Args:
        command: As users type it after nst-jax.
        arguments: The words after it.

    Raises:
        ValueError: There is such a word, or pictures or -o are missing.
    """
    if {"-h", "--help"}.intersection(arguments):
        return
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
    if command in _EXAMPLES:
        _check_pictures(command, arguments)


def _check_pictures(command: str, arguments: Sequence[str]) -> None:
    """Refuse a command without the pictures that it needs, or without a place for the result."""
    pictures, given = _part(command, arguments)
    example = f"{_EXAMPLES[command]}, or nst-jax {command} --help"
    if not pictures:
        raise ValueError(f"content: wanted a photograph, got none; {example}")
    if command == "optimize" and len(pictures) == 1:
        raise ValueError(f"style: wanted a painting after the photograph, got none; {example}")
    if command == "stylize" and len(pictures) > 1 and not given & {"style", "model"}:
        photograph, *paintings = pictures
        raise ValueError(
            "style: wanted paintings behind --style; to paint the first picture in the others' "
            f"style: nst-jax stylize {photograph} --style {' '.join(paintings)} -o out.png"
        )
    if not given & {"out", "o"}:
        raise ValueError(f"out: wanted -o and the picture to write, got none; {example}")


def _part(command: str, arguments: Sequence[str]) -> tuple[list[str], set[str]]:
    """The words that belong to no option, and the names of the options."""
    pictures, given, room = [], set[str](), 0
    for word in arguments:
        name, has_value, _ = word.lstrip("-").replace("-", "_").partition("=")
        if word.startswith("-") and name[:1].isalpha():
            given.add(name)
            several, none = name in _TAKE_SEVERAL[command], name in _FLAGS[command]
            room = len(arguments) if several else 0 if none or has_value else 1
        elif room:
            room -= 1
        else:
            pictures.append(word)
    return pictures, given
