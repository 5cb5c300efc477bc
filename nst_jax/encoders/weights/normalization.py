"""Making normalised weights: photographs in, a file whose filters have mean activation 1 out."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.array_types import Image
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights import weight_files
from nst_jax.encoders.weights.filter_scaling import FLOOR, filter_means, normalize_arrays
from nst_jax.encoders.weights.lookup import load_weights
from nst_jax.encoders.weights.weight_files import StoredWeights
from nst_jax.files.disk import FilePath
from nst_jax.files.downloads import Progress

_DEEPEST_POSITION = 16  # pixels that one position of block 5 stands for


def normalize(
    source: FilePath,
    pictures: FilePath | Sequence[FilePath],
    *,
    to: FilePath,
    size: int = 256,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Path:
    """Write weights whose filters have mean activation 1 over photographs, and return the path.

    Args:
        source: a set's name or a converted file.
        pictures: a folder of photographs, or their files.
        to: the .safetensors file to write.
        size: longer side in pixels at which the photographs are measured.
        overwrite: replace an existing file.
        on_progress: called with the photographs measured and their number.

    Raises:
        ValueError: a picture or the source is not what it should be.
        OSError: a file cannot be read or written, or exists.

    Reference: Gatys et al. 2016, section 2.
    """
    files.check_output(to, overwrite=overwrite, extensions=(".safetensors",))
    stored = load_weights(None, source)
    means, origin = _measure(stored, pictures, size=size, on_progress=on_progress)
    arrays = normalize_arrays(stored.arrays, means)
    header = {
        **stored.header,
        **origin,
        "weights": f"{stored.header['weights']}, normalized",
        "normalized_from_sha256": stored.header["arrays_sha256"],
        "arrays_sha256": weight_files.arrays_sha256(arrays),
    }
    weight_files.write(Path(to), dataclasses.replace(stored, arrays=arrays, header=header))
    return Path(to)


def make_filter_means(
    pictures: FilePath | Sequence[FilePath],
    *,
    to: FilePath,
    licence: str,
    source: FilePath = "vgg16-lpips",
    size: int = 256,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Path:
    """Write the filter means alone, 17 kB where normalised weights are 59 MB, and return the path.

    Args:
        pictures: a folder of photographs, or their files.
        to: the .safetensors file to write.
        licence: what the photographs' licences are, for the header.
        source: a set's name or a converted file.
        size: longer side in pixels at which the photographs are measured.
        overwrite: replace an existing file.
        on_progress: called with the photographs measured and their number.

    Raises:
        ValueError: a picture or the source is not what it should be.
        OSError: a file cannot be read or written, or exists.
    """
    files.check_output(to, overwrite=overwrite, extensions=(".safetensors",))
    stored = load_weights(None, source)
    means, origin = _measure(stored, pictures, size=size, on_progress=on_progress)
    header = {
        **origin,
        "kind": "nst_jax filter means 1",
        "picture_licence": licence,
        "source": stored.header["weights"],
        "source_sha256": stored.header["source_sha256"],
    }
    files.save_arrays(to, means, header)
    return Path(to)


def _measure(
    stored: StoredWeights,
    pictures: FilePath | Sequence[FilePath],
    *,
    size: int,
    on_progress: Progress | None,
) -> tuple[dict[str, Float[np.ndarray, " _"]], dict[str, str]]:
    """Return the filter means over pictures, and header lines that say how they were measured."""
    if isinstance(pictures, str | os.PathLike):
        paths: list[Path] = files.list_images(pictures)
    else:
        paths = [Path(path) for path in pictures]
    encoder = VGG(
        stored.architecture,
        stored.preprocessing,
        padding=stored.padding,
        ceil_mode=stored.ceil_mode,
    )
    params = {"params": jax.tree.map(jnp.asarray, stored.arrays)}
    means = filter_means(encoder, params, _load_cropped(paths, size, on_progress))
    listed = "".join(sorted(f"{path.name} {files.sha256_of(path)}\n" for path in paths))
    return means, {
        "pictures": str(len(paths)),
        "pictures_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "picture_size": str(size),
        "measured_pooling": encoder.pooling,
        "measured_floor": str(FLOOR),
    }


def _load_cropped(
    paths: Sequence[Path], size: int, on_progress: Progress | None
) -> Iterator[Image]:
    """Yield each picture, cut around its middle to whole positions of the deepest block.

    That leaves some ten different shapes, each of which must be compiled, instead of as many as
    there are pictures.
    """
    for done, path in enumerate(paths):
        if on_progress is not None:
            on_progress(done, len(paths))
        image = files.load_image(path, size=size)
        _, height, width, _ = image.shape
        top, left = (height % _DEEPEST_POSITION) // 2, (width % _DEEPEST_POSITION) // 2
        height -= height % _DEEPEST_POSITION
        width -= width % _DEEPEST_POSITION
        yield image[:, top : top + height, left : left + width]
    if on_progress is not None:
        on_progress(len(paths), len(paths))
