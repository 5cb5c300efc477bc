"""A preset of gatys_2016 with some settings in its place, as commands and Python name them."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from nst_jax.encoders.vgg import check_layers
from nst_jax.encoders.weights.pretrained import WEIGHT_SETS, verify
from nst_jax.jobs.color_words import choose_color
from nst_jax.papers.gatys_2016 import PRESETS, Config, with_style_loss


def find_preset(name: str) -> Config:
    """Return the preset of a name.

    Raises:
        ValueError: There is none.
    """
    if name not in PRESETS:
        raise ValueError(
            f"preset: wanted {', '.join(PRESETS)}, got {name!r}{_suggestion(name, PRESETS)}"
        )
    return PRESETS[name]


def vary_preset(name: str, given: Mapping[str, Any]) -> Config:
    """Return a preset with settings in its place, and with what they bring.

    Another style_loss brings its layers and its weight. Where encoder alone is given, weights are
    the preset's counterpart for it; where weights alone are, the encoder is theirs. weights stays
    None where the encoder's usual ones are wanted. color may be "keep".

    Args:
        name: The preset's.
        given: Fields of Config by name.

    Raises:
        ValueError: There is no such preset or field, a value is wrong, or two do not fit together.
        OSError: A file of weights cannot be read.
    """
    preset, values = find_preset(name), dict(given)
    fields = {field.name for field in dataclasses.fields(Config)}
    for unknown in values.keys() - fields:
        raise ValueError(
            f"{unknown}: no setting of papers.gatys_2016.Config{_suggestion(unknown, fields)}"
        )
    if "style_loss" in values and values["style_loss"] != preset.style_loss:
        preset = with_style_loss(preset, values["style_loss"])
    if "color" in values or "color_when" in values:
        values["color"], values["color_when"] = choose_color(
            values.get("color"), values.get("color_when"), default=preset.color_when
        )
    if values.get("weights") is not None and "encoder" not in values:
        known = WEIGHT_SETS.get(values["weights"])
        weights: Any = {"architecture": known.architecture} if known else verify(values["weights"])
        values["encoder"] = weights["architecture"]
    elif values.get("weights") is None and preset.weights is not None:
        values["weights"] = _counterpart(preset.weights, values.get("encoder", preset.encoder))
    config = dataclasses.replace(preset, **values)
    used = tuple(layer for layer, _ in config.content_layers + config.style_layers)
    check_layers(used, config.encoder)
    return config


def _counterpart(weights: str, encoder: str) -> str | None:
    """A preset's weights, or those of the same kind for another encoder."""
    if WEIGHT_SETS[weights].architecture == encoder:
        return weights
    # Normalised weights have other activations, and the preset's loss weights are made for them.
    return f"{encoder}-normalized" if weights.endswith("-normalized") else None


def _suggestion(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
