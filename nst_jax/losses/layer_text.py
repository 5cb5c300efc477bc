"""Layers and their weights as text, as one types them: one grammar for all that read or write it.

relu1_1,relu2_1 are layers of equal weights that sum to 1; relu1_1:0.2,relu4_1:1 have weights of
their own; none is no layer.
"""

from collections.abc import Sequence

from nst_jax.losses.basic import LayerWeights


def equal_weights(layers: Sequence[str]) -> LayerWeights:
    """Return the layers with equal weights that sum to 1, as Gatys et al. 2016 have them (§2.2).

    Args:
        layers: Names, each once.

    Raises:
        ValueError: A layer is named twice.
    """
    if len(set(layers)) < len(layers):
        raise ValueError(f"layers: wanted each once, got {','.join(layers)}")
    return tuple((layer, 1 / len(layers)) for layer in layers)


def parse_layers(text: str) -> LayerWeights:
    """Return the layers that a text means.

    Args:
        text: See the module.

    Raises:
        ValueError: It is none such, or a layer is named twice.
    """
    wanted = f"layers: wanted relu1_1,relu2_1 or relu1_1:0.2,relu2_1:1, got {text!r}"
    if text == "none":
        return ()
    parts = text.split(",")
    if ":" not in text:
        if "" in parts:
            raise ValueError(wanted)
        return equal_weights(parts)
    pairs = []
    for part in parts:
        layer, _, weight = part.partition(":")
        try:
            pairs.append((layer, float(weight)))
        except ValueError as error:
            raise ValueError(wanted) from error
        if not layer:
            raise ValueError(wanted)
    equal_weights([layer for layer, _ in pairs])  # each once
    return tuple(pairs)


def describe_layers(layers: LayerWeights) -> str:
    """Return the shortest text that parse_layers reads as these layers, but for rounding."""
    names = [layer for layer, _ in layers]
    if not layers:
        return "none"
    if layers == equal_weights(names):
        return ",".join(names)
    return ",".join(f"{layer}:{weight:.6g}" for layer, weight in layers)
