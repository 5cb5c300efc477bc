"""The options that are a preset's own fields: made from Config, as optimize and sweep have them.

--preset and --style-loss are read first. The rest is parsed with the fields of that preset as
defaults, so that help shows the preset's own.
"""

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args

from tyro.conf import OmitArgPrefixes, arg

from nst_jax.cli.shared_options import (
    FLAG,
    ColorOption,
    WhenOption,
    find_value,
    words_given,
)
from nst_jax.jobs.presets import find_preset, vary_preset
from nst_jax.losses.styles import StyleLossName
from nst_jax.papers.gatys_2016 import PRESETS, Config

_GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "result": (
        "Its size, how long it is worked on, and where it begins.",
        ("size", "style_size", "num_steps", "init", "noise_std", "seed", "scales"),
    ),
    "balance": (
        "How much of the photograph stays, and how much of the painting comes.",
        (
            *("content_weight", "style_weight", "tv_weight", "tv_loss", "style_blend"),
            *("style_loss", "color", "color_when", "content_layers", "style_layers"),
        ),
    ),
    "regions": (
        "How masks act on the network.",
        ("mask_mode", "mask_growth"),
    ),
    "network": (
        "The network that judges, and how it computes.",
        ("encoder", "weights", "pooling", "precision", "remat"),
    ),
    "optimizer": (
        "How the pixels are moved.",
        ("optimizer", "learning_rate", "history"),
    ),
}

_PRESET_HELP = (
    f"Where everything you leave out comes from: {', '.join(PRESETS)}. 'smoke' takes seconds, to "
    "try things out. Those after papers want VGG-19; --encoder vgg16 runs them without."
)
# Where the command line has another form than Config, or a way out to tell. Else help is Config's.
_HELP = {
    "size": "Longer side of the result in pixels. 'original' keeps the photograph's own.",
    "style_size": "Longer side of the paintings in pixels. Smaller means finer strokes.",
    "init": "The picture to begin with.",
    "noise_std": "Standard deviation of the noise of --init noise, where white is 1.",
    "seed": "Another seed gives other noise.",
    "scales": "Run at these parts of the size in turn, coarse to fine; the last is 1.",
    "style_weight": "More paints more boldly; try a third and three times as much.",
    "style_blend": "Shares of several paintings, one for each.",
    "style_loss": (
        "What of the painting is matched. One that the preset does not have brings layers and a "
        "weight of its own; docs/style_losses.md tells them apart."
    ),
    "content_layers": (
        "Layers of the network in which the photograph's features are kept. Deeper is freer."
    ),
    "style_layers": (
        "Layers in which the painting's texture is matched. Deeper means larger patterns."
    ),
    "mask_mode": (
        "How masks reach the network's layers: simple resamples them; all takes units that see any "
        "of a region, inside those that see nothing else, so that no style leaks out of its region."
    ),
    "encoder": (
        "The network that judges. VGG-16 comes along; VGG-19 must be fetched once: pip install "
        "h5py && nst-jax weights fetch vgg19-keras."
    ),
    "weights": (
        "A set from 'nst-jax weights list', or a .safetensors file made by 'nst-jax weights'."
    ),
    "pooling": "How the network shrinks its maps. The paper prefers average.",
    "precision": "Of the network's convolutions. bfloat16 is faster and almost as exact.",
    "optimizer": "lbfgs is best; adam is steadier and wants --learning-rate 0.02 or so.",
}
_METAVARS = {
    "size": "{PIXELS,original}",
    "style_size": "PIXELS",
    "init": "{content,noise,style,FILE}",
    "weights": "NAME|FILE",
    "noise_std": "STD",
    "learning_rate": "RATE",
    "style_blend": "W [W ...]",
}
# Two lists of equal length for a field of pairs: their options, and what their help says.
_PAIRS = {
    "scales": (
        "scale_shares",
        float,
        "F [F ...]",
        "Shares of the steps, one for each of --scales.",
    ),
    "content_layers": (
        *("content_layer_weights", str, "NAME [NAME ...]"),
        "One weight for each of --content-layers; equal ones that sum to 1 if left out.",
    ),
    "style_layers": (
        *("style_layer_weights", str, "NAME [NAME ...]"),
        "One weight for each of --style-layers; equal ones that sum to 1 if left out.",
    ),
}
_WITHOUT = {"style_size": "as --size", "weights": "the encoder's usual ones"}
_WITHOUT["style_blend"] = "equal shares"


class Chosen(NamedTuple):
    """What --preset and --style-loss say.

    Attributes:
        preset: The preset's name.
        config: Its configuration, with the style loss that is asked for.
    """

    preset: str
    config: Config


def choose_preset(arguments: Sequence[str]) -> Chosen:
    """Return what the words after a command begin from.

    Raises:
        ValueError: There is no such preset.
    """
    name = find_value(arguments, "--preset") or "default"
    style_loss, config = find_value(arguments, "--style-loss"), find_preset(name)
    if style_loss in get_args(StyleLossName) and style_loss != config.style_loss:
        config = vary_preset(name, {"style_loss": style_loss})
    return Chosen(name, config)


def config_groups(chosen: Chosen) -> list[tuple[str, Any, Any]]:
    """Return groups of options for dataclasses.make_dataclass: their names, types and defaults.

    They are called result, balance, regions, network and optimizer.

    Args:
        chosen: What the options' defaults come from.
    """
    groups = []
    for name, (text, fields) in _GROUPS.items():
        options = [each for field in fields for each in _options_for(field, chosen.config)]
        if name == "result":
            preset = Annotated[str, arg(metavar="NAME", help=_PRESET_HELP)]
            options.insert(0, ("preset", preset, chosen.preset))
        made = dataclasses.make_dataclass(
            f"{name.capitalize()}Options", options, frozen=True, namespace={"__doc__": text}
        )
        groups.append((name, OmitArgPrefixes[made], made()))
    return groups


def make_config(chosen: Chosen, options: Any, arguments: Sequence[str]) -> Config:
    """Return the preset with what the user gave in its place.

    weights stays None where the encoder's usual ones are wanted.

    Args:
        chosen: The preset.
        options: What was parsed, with some of config_groups' groups.
        arguments: The words that it was parsed from.

    Raises:
        ValueError: An option has a wrong value, or two do not fit together.
        OSError: A file of weights cannot be read.
    """
    given = words_given(arguments)
    values = {
        field.name: getattr(group, field.name)
        for name in _GROUPS
        if (group := getattr(options, name, None)) is not None
        for field in dataclasses.fields(group)
        if field.name in given - {"preset"}
    }
    if values.get("size") == "original":
        values["size"] = None
    for field, (other, *_) in _PAIRS.items():
        if field in values or other in values:
            names, weights = values.get(field), values.pop(other, None)
            values[field] = _pair(field, names, weights, getattr(chosen.config, field))
    return vary_preset(chosen.preset, values)


def _options_for(name: str, config: Config) -> list[tuple[str, Any, Any]]:
    """The option that a field is, or the two of a field of pairs."""
    if name in ("color", "color_when"):
        return [(name, ColorOption if name == "color" else WhenOption, getattr(config, name))]
    value, text = getattr(config, name), _HELP.get(name) or _documentation()[name]
    if name in _PAIRS:
        return _pair_options(name, value, text)
    hint = _type_of(name)
    if name == "size":
        hint, value = int | Literal["original"], "original" if value is None else value
    if isinstance(value, bool):
        return [(name, Annotated[hint, FLAG, arg(help=text)], value)]
    shown = _WITHOUT.get(name) if value is None else None
    options: dict[str, Any] = {"help": text, "metavar": _METAVARS.get(name)}
    if shown is not None:
        options["help_behavior_hint"] = f"(default: {shown})"
    elif isinstance(value, float):
        options["help_behavior_hint"] = f"(default: {value:.4g})"
    return [(name, Annotated[hint, arg(**options)], value)]


def _pair_options(name: str, pairs: tuple, text: str) -> list[tuple[str, Any, Any]]:
    other, kind, metavar, other_text = _PAIRS[name]
    columns = [
        " ".join(f"{part:.4g}" if isinstance(part, float) else part for part in column)
        for column in zip(*pairs, strict=True)
    ] or ["none", "none"]
    hints = [f"(default: {column})" for column in columns]
    letter = "S" if name == "scales" else "W"
    first = arg(metavar=metavar, help=text, help_behavior_hint=hints[0])
    second = arg(metavar=f"{letter} [{letter} ...]", help=other_text, help_behavior_hint=hints[1])
    return [
        (name, Annotated[tuple[kind, ...] | None, first], None),
        (other, Annotated[tuple[float, ...] | None, second], None),
    ]


def _type_of(name: str) -> Any:
    """A field's type, as the command line has it: a style loss by its name alone."""
    if name == "style_loss":
        return StyleLossName
    return inspect.get_annotations(Config, eval_str=True)[name]


def _documentation() -> dict[str, str]:
    """What Config says of its fields."""
    text = inspect.cleandoc(Config.__doc__ or "").partition("Attributes:")[2]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, flags=re.MULTILINE)
    return {name: " ".join(entry.split()) for name, entry in entries}


def _pair(
    field: str, names: tuple | None, weights: tuple[float, ...] | None, preset: tuple
) -> tuple[tuple[Any, float], ...]:
    """The pairs that two lists of equal length make; one of them may be left out."""
    if names is None:
        names = tuple(name for name, _ in preset)
    if len(set(names)) < len(names):
        raise ValueError(f"{field}: wanted each once, got {' '.join(map(str, names))}")
    if weights is None:
        weights = tuple(1 / len(names) for _ in names)
    if len(weights) != len(names):
        raise ValueError(
            f"{_PAIRS[field][0]}: wanted {len(names)}, one for each of {field} "
            f"({' '.join(map(str, names))}), got {len(weights)}"
        )
    return tuple(zip(names, weights, strict=True))
