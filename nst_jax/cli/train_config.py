"""The options of `nst-jax train` that are the fields of a paper's Config, with a preset's values.

Help shows the preset's own values as defaults, and what Config says of its fields.
"""

import dataclasses
import inspect
import re
from collections.abc import Collection, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from tyro.conf import FlagConversionOff, OmitArgPrefixes, arg

from nst_jax.encoders.weights.pretrained import WEIGHT_SETS, verify
from nst_jax.jobs.training_plan import check_weights_name
from nst_jax.losses import LayerWeights
from nst_jax.train import TrainingPaper

# Groups of options by name: what they are about, and their fields. What no group names is in the
# first one.
_GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "run": (
        "How large, how long, and where chance begins.",
        (
            *("num_steps", "warm_start_steps", "warm_start_rate", "size", "shorter_side", "flip"),
            *("batch_size", "decode", "width", "normalization", "output", "style_size"),
            *("painted_size", "teacher", "num_teachers", "teacher_size", "teacher_steps"),
            *("teachers_at_once", "seed"),
        ),
    ),
    "balance": (
        "How much of the photograph stays, and how much of the painting comes.",
        (
            *("content_weight", "style_weight", "tv_weight", "tv_loss", "temporal_weight"),
            *("single_share", "contrastive_weight"),
            *("image_weight", "pixel_weight", "feature_weight", "adversarial_weight"),
            *("adversarial_loss", "identity_pairs", "identity_weight", "style_loss"),
            *("content_layers", "style_layers", "style_layer", "identity_layers", "feature_layers"),
        ),
    ),
    "network": (
        "The network that judges, and how it computes.",
        ("encoder", "weights", "encoder_input", "pooling", "precision"),
    ),
    "optimizer": (
        "How the parameters are moved.",
        (
            *("optimizer", "learning_rate", "schedule", "decay", "halve_every", "clip_norm"),
            *("average_decay", "discriminator_learning_rate", "momentum", "success_rate"),
            *("patience",),
        ),
    ),
}
_HIDDEN = {"add_style_steps"}  # it is --num-steps where a style is added
_METAVARS = {
    "size": "PIXELS",
    "style_size": "PIXELS",
    "shorter_side": "LEAST MOST",
    "weights": "NAME|FILE",
    "learning_rate": "RATE",
    "warm_start_rate": "RATE",
    "discriminator_learning_rate": "RATE",
    "painted_size": "PIXELS",
    "teacher_size": "PIXELS",
    "clip_norm": "NORM",
}
_WITHOUT = {
    "weights": "the encoder's usual ones",
    "painted_size": "the painted pictures' own",
}


def config_groups(paper: TrainingPaper, preset: str) -> list[tuple[str, Any, Any]]:
    """Return groups of options for dataclasses.make_dataclass: their names, types and defaults.

    Args:
        paper: Whose Config it is.
        preset: A name among its presets.
    """
    config = paper.presets[preset]
    named = {field for _, fields in _GROUPS.values() for field in fields} | _HIDDEN
    present = [field.name for field in dataclasses.fields(config)]
    further = tuple(name for name in present if name not in named)
    groups = []
    for group, (text, fields) in _GROUPS.items():
        fields = (*fields, *further) if group == "run" else fields
        options = [
            option for field in fields if field in present for option in _options_for(field, config)
        ]
        if group == "run":
            help_text = (
                f"Where everything you leave out comes from: {', '.join(paper.presets)}. 'smoke' "
                "takes seconds, to try things out."
            )
            options.insert(
                0, ("preset", Annotated[str, arg(metavar="NAME", help=help_text)], preset)
            )
        made = dataclasses.make_dataclass(
            f"{group.capitalize()}Options", options, frozen=True, namespace={"__doc__": text}
        )
        groups.append((group, OmitArgPrefixes[made], made()))
    return groups


def make_config(
    paper: TrainingPaper, options: Any, words: Collection[str], *, adds_style: bool = False
) -> Any:
    """Return the preset with what the user gave in its place, and with what follows from that.

    The weights are, where the user names none, those of the presets with the same encoder; None
    stands for its usual ones.

    Args:
        paper: Whose Config it is.
        options: What was parsed, with the groups of config_groups.
        words: The names of the options that the user gave.
        adds_style: Whether steps are those of a style that is added.

    Raises:
        ValueError: An option has a wrong value.
        OSError: A file of weights cannot be read.
    """
    preset = paper.presets[options.run.preset]
    given = _given_fields(options, words, preset)
    check_weights_name(paper, given.get("weights"))
    if "weights" in given and "encoder" not in given:
        given["encoder"] = _architecture_of(given["weights"])
    elif given.get("encoder", preset.encoder) != preset.encoder and "weights" not in given:
        usual = {config.encoder: config.weights for config in paper.presets.values()}
        given["weights"] = usual.get(given["encoder"])
    if adds_style and "num_steps" in given:
        given["add_style_steps"] = given.pop("num_steps")
    return preset.vary(given)


def field_documentation(config: Any) -> dict[str, str]:
    """Return what the docstrings of a dataclass and of its bases say of its fields, by name."""
    found: dict[str, str] = {}
    for owner in reversed(type(config).__mro__):
        text = inspect.cleandoc(owner.__dict__.get("__doc__") or "").partition("Attributes:")[2]
        entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, flags=re.MULTILINE)
        found |= {name: " ".join(entry.split()) for name, entry in entries}
    return found


def _options_for(name: str, config: Any) -> list[tuple[str, Any, Any]]:
    """The option that a field is, or the two of a field of layers and weights."""
    value, text = getattr(config, name), field_documentation(config).get(name, "")
    hint = _writable(get_type_hints(type(config))[name])
    if hint == LayerWeights:
        return _layer_options(name, value, text)
    options: dict[str, Any] = {"help": text, "metavar": _METAVARS.get(name)}
    if value is None:
        options["help_behavior_hint"] = f"(default: {_WITHOUT.get(name, 'none')})"
    elif isinstance(value, float):
        options["help_behavior_hint"] = f"(default: {value:.4g})"
    if name == "size":
        grows = "; shorter_side grows with it" if hasattr(config, "shorter_side") else ""
        options["help"] = f"{text} A multiple of {config.SIZE_STEP}{grows}."
    if isinstance(value, bool):  # the same word whatever the preset has
        return [(name, Annotated[hint, FlagConversionOff, arg(**options)], value)]
    return [(name, Annotated[hint, arg(**options)], value)]


def _writable(hint: Any) -> Any:
    """A field's type without the objects that a command line has no words for."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    return Union[tuple(kind for kind in get_args(hint) if not dataclasses.is_dataclass(kind))]  # noqa: UP007


def _layer_options(name: str, pairs: LayerWeights, text: str) -> list[tuple[str, Any, Any]]:
    layers = " ".join(layer for layer, _ in pairs) or "none"
    weights = " ".join(f"{weight:.4g}" for _, weight in pairs) or "none"
    first = arg(metavar="NAME [NAME ...]", help=text, help_behavior_hint=f"(default: {layers})")
    second = arg(
        metavar="W [W ...]",
        help=f"One weight for each of --{name.replace('_', '-')}; each 1 if left out.",
        help_behavior_hint=f"(default: {weights})",
    )
    return [
        (name, Annotated[tuple[str, ...] | None, first], None),
        (_weights_of(name), Annotated[tuple[float, ...] | None, second], None),
    ]


def _weights_of(name: str) -> str:
    """style_layer_weights for style_layers."""
    return f"{name.removesuffix('s')}_weights"


def _given_fields(options: Any, words: Collection[str], preset: Any) -> dict[str, Any]:
    """The fields of Config that the user gave, by name."""
    values = {
        field.name: getattr(group, field.name)
        for name in _GROUPS
        for group in [getattr(options, name)]
        for field in dataclasses.fields(group)
    }
    given = {}
    for field in dataclasses.fields(preset):
        weights = _weights_of(field.name)
        if field.name in values and {field.name, weights} & set(words):
            given[field.name] = value = values[field.name]
            if weights in values:
                before = getattr(preset, field.name)
                given[field.name] = _pair(field.name, value, values[weights], before)
    return given


def _pair(
    name: str,
    layers: tuple[str, ...] | None,
    weights: tuple[float, ...] | None,
    preset: LayerWeights,
) -> LayerWeights:
    """The pairs that two lists of equal length make; either may be left out."""
    if layers is None and weights is None:
        return preset
    if layers is None:
        layers = tuple(layer for layer, _ in preset)
    if len(set(layers)) < len(layers):
        raise ValueError(f"{name}: wanted each once, got {' '.join(layers)}")
    if weights is None:
        weights = (1.0,) * len(layers)
    if len(weights) != len(layers):
        raise ValueError(
            f"{_weights_of(name)}: wanted {len(layers)}, one for each of {name} "
            f"({' '.join(layers)}), got {len(weights)}"
        )
    return tuple(zip(layers, weights, strict=True))


def _architecture_of(weights: str) -> Any:
    if weights in WEIGHT_SETS:
        return WEIGHT_SETS[weights].architecture
    return verify(weights)["architecture"]
