"""Scaling every filter of a VGG to a mean activation of 1, as Gatys and Huang did.

Arrays in, arrays out; normalization reads the photographs and writes the result.
"""

from collections.abc import Iterable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import Image, Params
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.conversion import LayerArrays

FLOOR = 0.01
"""A filter is never scaled as if its mean were below this part of its layer's median mean."""


def filter_means(
    encoder: VGG, encoder_params: Params, batches: Iterable[Float[Array, "_ _ _ 3"]]
) -> dict[str, Float[np.ndarray, " _"]]:
    """Return each filter's mean activation after the ReLU, over positions and pictures.

    m_lc = mean over pictures n and positions p of relu(x_l)_npc: every position counts alike.

    Args:
        encoder: the network to measure, with its own pooling and padding.
        encoder_params: its parameters; measured are the layers that are there.
        batches: RGB pictures in [0, 1]; sizes may differ between batches, each is compiled once.

    Returns:
        {"conv1_1": (64,), ...}, float32, summed in float64.

    Raises:
        ValueError: there are no pictures.
    """
    convolutions = tuple(sorted(encoder_params["params"]))
    layers = tuple(name.replace("conv", "relu") for name in convolutions)
    measure = jax.jit(partial(_position_means, encoder), static_argnames="layers")
    sums = {name: np.zeros(()) for name in convolutions}
    counts = dict.fromkeys(convolutions, 0)
    for batch in batches:
        means, positions = measure(encoder_params, batch, layers=layers)
        for name, layer in zip(convolutions, layers, strict=True):
            count = len(batch) * int(positions[layer])
            sums[name] = sums[name] + count * np.asarray(means[layer], np.float64)
            counts[name] += count
    if not counts["conv1_1"]:
        raise ValueError("pictures: none given; wanted at least one photograph to measure on")
    return {name: (sums[name] / counts[name]).astype(np.float32) for name in convolutions}


def normalize_arrays(
    arrays: LayerArrays, means: Mapping[str, Float[np.ndarray, " _"]]
) -> LayerArrays:
    """Return weights whose every filter has mean activation 1 where the means were measured.

    With d_l = max(m_l, FLOOR · median(m_l)) and d_0 = 1:
        kernel'_l[i, o] = kernel_l[i, o] · d_(l−1)[i] / d_l[o],   bias'_l[o] = bias_l[o] / d_l[o].
    The ReLU is positively homogeneous and pooling commutes with a positive factor, so that layer l
    answers exactly its old features divided by d_l, and the function changes in nothing else. The
    floor keeps a filter that is (almost) never active from being blown up into noise.

    Args:
        arrays: {layer: {"kernel", "bias"}}; computed on the host, so that the result is the same
            to the last bit on every machine.
        means: each convolution's filter means, from filter_means on the same weights.

    Raises:
        ValueError: a layer's means are missing, of the wrong length, or mostly zero.

    Reference: Gatys et al. 2016, section 2 (the idea); the floor is ours.
    """
    normalized: LayerArrays = {}
    previous = np.ones(3, np.float32)
    for layer in sorted(arrays):
        kernel, bias = arrays[layer]["kernel"], arrays[layer]["bias"]
        divisors = _divisors(layer, means.get(layer), len(bias))
        kernel = kernel * previous[:, None] / divisors
        normalized[layer] = {"kernel": kernel, "bias": bias / divisors}
        previous = divisors
    return normalized


def _divisors(
    layer: str, means: Float[np.ndarray, " channels"] | None, channels: int
) -> Float[np.ndarray, " channels"]:
    if means is None or means.shape != (channels,):
        got = "none" if means is None else means.shape
        raise ValueError(f"means: wanted {channels} for {layer}, got {got}")
    floor = np.float32(FLOOR * np.median(means))
    if not floor > 0:
        raise ValueError(
            f"means: half of {layer}'s filters are never active; use more or larger photographs"
        )
    return np.maximum(means, floor)


def _position_means(
    encoder: VGG, encoder_params: Params, images: Image, *, layers: tuple[str, ...]
) -> tuple[dict[str, Float[Array, " _"]], dict[str, int]]:
    features = encoder.apply(encoder_params, images, layers=layers)
    means = {name: jnp.mean(maps, axis=(0, 1, 2)) for name, maps in features.items()}
    return means, {name: maps.shape[1] * maps.shape[2] for name, maps in features.items()}
