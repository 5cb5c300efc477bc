"""Training and held-out pictures from files, as `fit` and the papers want them."""

import hashlib
import os
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.array_types import Image, check_picture
from nst_jax.train import datasets
from nst_jax.train.config import CroppedConfig, Decode
from nst_jax.train.datasets import PictureStream
from nst_jax.train.decoded_once import concatenate, fits_on_device, open_crop_stream


class Pair(NamedTuple):
    """As many photographs as paintings, each of one size: what is trained and measured on."""

    content: Image | Float[np.ndarray, "batch height width 3"]
    style: Image | Float[np.ndarray, "batch height width 3"]


def check_pair(name: str, pair: Pair) -> Pair:
    """Return a pair whose pictures were checked by array_types.check_picture.

    Args:
        name: What an error calls it: the argument's name.
        pair: Photographs and paintings.

    Raises:
        ValueError: Either is no batch of pictures.
    """
    parts = pair._asdict().items()
    return Pair(*(check_picture(f"{name}.{field}", each, several=True) for field, each in parts))


def stream_options(config: CroppedConfig) -> dict[str, Any]:
    """Return what a configuration says of its pictures, as open_stream's keyword arguments."""
    names = ("size", "shorter_side", "flip", "batch_size", "seed", "decode")
    return {name: getattr(config, name) for name in names}


def open_stream(
    paths: Sequence[Path],
    *,
    size: int,
    shorter_side: tuple[int, int] | None,
    flip: bool,
    batch_size: int,
    seed: int,
    decode: Decode = "always",
) -> PictureStream:
    """Return an endless stream of batches of square pictures; see datasets.picture_stream.

    Pictures that are decoded once come as decoded_once.Crops, of which the step makes arrays.

    Args:
        paths: Picture files, such as files.find_images returns.
        size: Side of the squares in pixels.
        shorter_side: A picture's shorter side is scaled to a length within this range and a square
            cut out anywhere; with None the whole picture is squeezed into the square.
        flip: Whether half of the cut squares are mirrored.
        batch_size: Pictures in a batch.
        seed: Decides the order and the squares.
        decode: When: see CroppedConfig.

    Raises:
        ValueError: There are no paths, or a number is out of its range.
    """
    side = size if shorter_side is None else shorter_side[1]
    if choose_decoding(decode, len(paths), side) == "once":
        return open_crop_stream(
            paths,
            load=files.load_pixels,
            size=size,
            shorter_side=shorter_side,
            flip=flip,
            batch_size=batch_size,
            seed=seed,
            num_threads=os.cpu_count() or 1,
        )
    if shorter_side is None:
        transform = datasets.squash(size, flip=flip)
    else:
        transform = datasets.random_crop(size, shorter_side=shorter_side, flip=flip)
    return datasets.picture_stream(
        paths,
        load=files.load_pixels,
        transform=transform,
        batch_size=batch_size,
        seed=seed,
        num_threads=os.cpu_count() or 1,  # fewer cannot keep an accelerator fed
    )


def choose_decoding(decode: Decode, count: int, side: int) -> Decode:
    """Return "once" or "always" for "auto": once where so many squares fit on an accelerator.

    Args:
        decode: What a configuration says.
        count: How many pictures there are.
        side: Side of the squares that are kept, in pixels.
    """
    if decode != "auto":
        return decode
    return "once" if fits_on_device(count, side) else "always"


def open_pair_stream(
    make: Callable[..., Any],
    photographs: Sequence[Path],
    paintings: Sequence[Path],
    *,
    size: int,
    shorter_side: tuple[int, int] | None,
    flip: bool,
    batch_size: int,
    seed: int,
    decode: Decode = "always",
) -> PictureStream:
    """Return an endless stream of make(contents, styles): as many contents as paintings.

    Half of the contents, rounded up, are photographs and the others paintings, so that a network
    learns to answer in the colours of both; a batch of one has either in turn, by chance.

    Args:
        make: Puts two batches together, such as a NamedTuple's class.
        photographs: Picture files.
        paintings: Picture files.
        size: As for open_stream.
        shorter_side: As for open_stream.
        flip: As for open_stream.
        batch_size: Contents in a batch, and styles.
        seed: As for open_stream.
        decode: As for open_stream.

    Raises:
        ValueError: As open_stream.
    """
    if batch_size == 1:
        contents = [(_in_equal_parts(photographs, paintings), 1)]
    else:
        number = batch_size // 2
        contents = [(photographs, batch_size - number), (paintings, number)]
    streams = [
        open_stream(
            paths,
            size=size,
            shorter_side=shorter_side,
            flip=flip,
            batch_size=count,
            seed=(seed + place) % 2**32,
            decode=decode,
        )
        for place, (paths, count) in enumerate([*contents, (paintings, batch_size)])
    ]

    def make_pair(*batches):
        *contents, styles = batches
        return make(concatenate(contents), styles)

    return datasets.zip_streams(make_pair, *streams)


def _in_equal_parts(first: Sequence[Path], second: Sequence[Path]) -> list[Path]:
    """Both, the shorter one repeated."""
    number = max(len(first), len(second)) if first and second else 0
    return [path for paths in (first, second) for path in islice(cycle(paths), number)]


def load_fixed_batch(paths: Sequence[Path], *, size: int, count: int) -> Image:
    """Return the central squares of the first pictures that can be read, as one batch.

    Args:
        paths: Picture files.
        size: Side of the squares, to which the pictures' shorter sides are scaled.
        count: Pictures in the batch, fewer where fewer can be read.

    Raises:
        ValueError: There are no paths, or none can be read.
    """
    transform = datasets.random_crop(size, shorter_side=size)
    batch = datasets.fixed_batch(paths, load=files.load_pixels, transform=transform, count=count)
    return jnp.asarray(batch)


def describe_pictures(paths: Sequence[Path]) -> dict[str, Any]:
    """Return what tells one set of pictures from another: their number, and a hash.

    The hash is over the files' names and lengths in order, not over what is in them: a training
    set may be large, and a run must begin at once.

    Args:
        paths: Picture files.
    """
    digest = hashlib.sha256()
    for path in paths:
        name = path.name.encode("utf-8", "surrogateescape")  # old archives have names in Latin-1
        digest.update(name + f"\0{path.stat().st_size}\n".encode())
    return {"count": len(paths), "sha256": digest.hexdigest()}
