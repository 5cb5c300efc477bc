"""What the figures on Huang and Belongie 2017 share: the network, pairs of pictures, distances."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.common import network_figures
from experiments.common.data_folder import free_paintings, free_photographs, pictures_in, spread
from experiments.common.network_figures import HELD_OUT
from nst_jax import stylizers, train
from nst_jax.array_types import Image
from nst_jax.papers.huang_2017 import STYLE_LAYERS, Pair

PAINTINGS = "style/heldout"


class HeldOutPair(NamedTuple):
    """A photograph and a painting, central squares of one size, and their files."""

    name: str
    content: Image
    style: Image


def load_network(model: str, *, transform: stylizers.Transform | None = None) -> Any:
    """The network that a model's name or file stands for, which must paint after any painting."""
    network = stylizers.load_stylizer(model, transform=transform)
    if network.architecture != "huang2017":
        raise ValueError(
            f"model: wanted a network of huang2017, got one of {network.architecture}, "
            f"{network.name}; name another by --model"
        )
    return network


def size_of(options: argparse.Namespace, usual: int) -> int:
    """The side of a figure's squares."""
    size = options.size or usual
    if size < 16:
        raise ValueError(f"size: wanted 16 pixels or more, got {size}")
    return size


def held_out_pairs(data: Path, count: int, size: int) -> Iterator[HeldOutPair]:
    """So many photographs, each with another painting, both evenly spread over what there is."""
    photographs, paintings = (
        spread(pictures_in(data, part), count) for part in (HELD_OUT, PAINTINGS)
    )
    for pair in zip(photographs, paintings, strict=False):
        squares = (network_figures.load_square(picture, size) for picture in pair)
        yield HeldOutPair(" after ".join(picture.file for picture in pair), *squares)


def load_pairs(data: Path, *, size: int, count: int) -> Pair:
    """Held-out photographs of tiers A and S and paintings of tier A: so many pairs, or all."""
    photographs, _ = free_photographs(data, HELD_OUT)
    paintings, _ = free_paintings(data, PAINTINGS)
    number = min(count, len(photographs), len(paintings))
    batches = (
        train.load_fixed_batch(spread(paths, number), size=size, count=number)
        for paths in (photographs, paintings)
    )
    return Pair(*batches)


def make_correlate(network: Any) -> Callable[[Image, Image], dict[str, float]]:
    """Return what tells, for two pictures, how far their features agree position by position.

    For each of relu1_1 to relu4_1 of the network's own encoder that is
    Σ a b / √(Σ a² Σ b²), with a and b the two maps less each channel's mean over positions, and the
    sums over channels and positions: 1 where a decoder inverts its encoder, 0 where it invents.
    """
    encoder = network.network.encoder

    @jax.jit
    def correlate(encoder_params, first, second):
        found = {}
        maps = [encoder.apply(encoder_params, one, layers=STYLE_LAYERS) for one in (first, second)]
        for layer in STYLE_LAYERS:
            a, b = (each[layer] - each[layer].mean((1, 2), keepdims=True) for each in maps)
            found[layer] = (a * b).sum() / jnp.sqrt((a**2).sum() * (b**2).sum())
        return found

    encoder_params = {"params": network.variables["params"]["encoder"]}
    return lambda first, second: jax.tree.map(float, correlate(encoder_params, first, second))
