"""Training and held-out pictures from files, as `fit` and the papers want them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from nst_jax import datasets, files
from nst_jax.array_types import Image
from nst_jax.datasets import PictureStream


def open_stream(
    paths: Sequence[Path],
    *,
    size: int,
    shorter_side: tuple[int, int] | None,
    flip: bool,
    batch_size: int,
    seed: int,
) -> PictureStream:
    """Return an endless stream of batches of square pictures; see datasets.picture_stream.

    Args:
        paths: Picture files, such as files.find_images returns.
        size: Side of the squares in pixels.
        shorter_side: A picture's shorter side is scaled to a length within this range and a square
            cut out anywhere; with None the whole picture is squeezed into the square.
        flip: Whether half of the cut squares are mirrored.
        batch_size: Pictures in a batch.
        seed: Decides the order and the squares.

    Raises:
        ValueError: There are no paths, or a number is out of its range.
    """
    if shorter_side is None:
        transform = datasets.squash(size)
    else:
        transform = datasets.random_crop(size, shorter_side=shorter_side, flip=flip)
    return datasets.picture_stream(
        paths, load=files.load_pixels, transform=transform, batch_size=batch_size, seed=seed
    )


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
        digest.update(f"{path.name}\0{path.stat().st_size}\n".encode())
    return {"count": len(paths), "sha256": digest.hexdigest()}
