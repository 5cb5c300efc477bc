"""Training pictures that are decoded once, and cut out, scaled and mirrored in the compiled step.

A GPU takes a step in the time in which a processor decodes one picture. Here all pictures lie on
the device as one array of bytes. The host sends the numbers of a batch's pictures; the step draws
squares of them from the run's key, so that a run that goes on from a checkpoint draws what it would
have drawn.
"""

import functools
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from nst_jax.array_types import Image, PRNGKey
from nst_jax.train.datasets import Loader, random_crop, squash

_KEPT = 2  # sets of decoded pictures, such as photographs and paintings
_SHARE = 0.4  # of the device's memory, at most, for pictures


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["numbers", "pictures"],
    meta_fields=["size", "shorter_side", "flip"],
)
@dataclass(frozen=True)
class Crops:
    """A batch that the compiled step makes: which pictures, and what is cut out of them.

    Attributes:
        numbers: The batch's pictures, by their places among all.
        pictures: All pictures as bytes, on the device; squares of the most of shorter_side, or of
            size where that is None.
        size: Side of the squares that are trained on.
        shorter_side: What pictures are scaled to before a square is cut out; None scales them
            whole.
        flip: Whether half of the squares are mirrored.
    """

    numbers: Int[Array, " batch"]
    pictures: UInt8[Array, "pictures side side 3"]
    size: int
    shorter_side: tuple[int, int] | None
    flip: bool

    def cut(self, key: PRNGKey) -> Image:
        """Return the batch, (batch, size, size, 3) in [0, 1], drawn from the key."""
        chosen = self.pictures[self.numbers].astype(jnp.float32) / 255
        keys = jax.random.split(key, len(self.numbers))
        return jax.vmap(self._cut_one)(keys, chosen)

    def _cut_one(self, key, picture):
        side_key, place_key, flip_key = jax.random.split(key, 3)
        if self.shorter_side is not None:
            low, high = self.shorter_side
            side = jax.random.randint(side_key, (), low, high + 1)
            most = (side - self.size + 1).astype(jnp.float32)
            corner = jnp.floor(jax.random.uniform(place_key, (2,), jnp.float32) * most)
            scale = side.astype(jnp.float32) / high
            picture = jax.image.scale_and_translate(
                picture,
                (self.size, self.size, 3),
                (0, 1),
                jnp.stack([scale, scale]),
                -corner,
                "lanczos3",
                antialias=True,
            )
            picture = picture.clip(0, 1)
        if self.flip:
            picture = jnp.where(jax.random.bernoulli(flip_key), picture[:, ::-1], picture)
        return picture


@functools.partial(jax.tree_util.register_dataclass, data_fields=["parts"], meta_fields=[])
@dataclass(frozen=True)
class JoinedCrops:
    """Batches of several sets of pictures, one after the other."""

    parts: tuple[Crops, ...]

    def cut(self, key: PRNGKey) -> Image:
        """Return the parts' batches as one."""
        keys = jax.random.split(key, len(self.parts))
        return jnp.concatenate([part.cut(k) for part, k in zip(self.parts, keys, strict=True)])


def cut_batch(key: PRNGKey, batch: Any) -> Any:
    """Return a batch with arrays in place of every Crops; traceable by JAX.

    Args:
        key: Decides what is cut out. A batch without Crops is returned as it is.
        batch: A pytree of arrays and Crops.
    """
    leaves, structure = jax.tree.flatten(batch, is_leaf=_is_crops)
    cut = [
        leaf.cut(jax.random.fold_in(key, place)) if _is_crops(leaf) else leaf
        for place, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, cut)


def concatenate(batches: Sequence[Any]) -> Any:
    """Return batches, all of arrays or all Crops, as one."""
    if _is_crops(batches[0]):
        return JoinedCrops(tuple(batches))
    return np.concatenate(batches)


def _is_crops(leaf: Any) -> bool:
    return isinstance(leaf, Crops | JoinedCrops)


class CropStream:
    """An endless stream of Crops: every picture once an epoch, each in a new order."""

    def __init__(self, make: Callable[[Any], Crops], count: int, *, batch_size: int, seed: int):
        """Begin at the first batch.

        Args:
            make: Makes a batch of the numbers of its pictures.
            count: How many pictures there are.
            batch_size: Pictures in a batch.
            seed: Decides the order.
        """
        self._make, self._count, self._batch_size, self._seed = make, count, batch_size, seed
        self._position = 0
        self._order = functools.lru_cache(maxsize=2)(self._make_order)  # a batch may span epochs

    def __iter__(self) -> "CropStream":
        """Return itself."""
        return self

    def __next__(self) -> Crops:
        """Return the next batch."""
        first = self._position * self._batch_size
        places = np.arange(first, first + self._batch_size)
        self._position += 1
        epochs, within = np.divmod(places, self._count)
        orders = {epoch: self._order(epoch) for epoch in set(epochs.tolist())}
        numbers = [orders[epoch][place] for epoch, place in zip(epochs, within, strict=True)]
        return self._make(np.asarray(numbers, np.int32))

    def get_state(self) -> dict[str, int]:
        """Return the position."""
        return {"position": self._position}

    def set_state(self, state: Any) -> None:
        """Go to a position that get_state returned."""
        self._position = state["position"]

    def close(self) -> None:
        """Let the device have its memory back."""
        _decode.cache_clear()

    def _make_order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, epoch]).permutation(self._count)


def open_crop_stream(
    paths: Sequence[Path],
    *,
    load: Loader,
    size: int,
    shorter_side: tuple[int, int] | None,
    flip: bool,
    batch_size: int,
    seed: int,
    num_threads: int,
) -> CropStream:
    """Return a stream of pictures that are decoded now, and lie on the device from then on.

    Of every picture the central square is kept. Arguments are those of streams.open_stream.

    Raises:
        ValueError: There are no paths, none can be read, or the process has several devices.
    """
    if jax.local_device_count() > 1:
        raise ValueError(
            f"decode: wanted always with {jax.local_device_count()} devices, over which batches of "
            "decoded pictures are split, got once"
        )
    side = size if shorter_side is None else shorter_side[1]
    pictures = _decode(tuple(paths), load, side, shorter_side is None, num_threads)

    def make(numbers: Int[np.ndarray, " batch"]) -> Crops:
        return Crops(jnp.asarray(numbers), pictures, size, shorter_side, flip)

    return CropStream(make, len(pictures), batch_size=batch_size, seed=seed)


def fits_on_device(count: int, side: int) -> bool:
    """Return whether so many squares belong on the device: an accelerator alone, with room.

    Args:
        count: How many pictures there are.
        side: Side of the squares in pixels.
    """
    devices = jax.local_devices()
    if len(devices) != 1 or devices[0].platform == "cpu":
        return False
    memory = (devices[0].memory_stats() or {}).get("bytes_limit", 0)
    return 3 * count * side**2 <= _SHARE * memory


@functools.lru_cache(maxsize=_KEPT)
def _decode(
    paths: tuple[Path, ...], load: Loader, side: int, is_whole: bool, num_threads: int
) -> UInt8[Array, "pictures side side 3"]:
    """The pictures that can be read, in order; the others are named with the reason."""
    transform = squash(side) if is_whole else random_crop(side, shorter_side=side)

    def read(path: Path) -> UInt8[np.ndarray, "side side 3"] | Exception:
        try:
            pixels: Float[np.ndarray, "_ _ 3"] = transform(load(path), None)
        except (ValueError, OSError) as error:
            return error
        return np.rint(pixels * np.float32(255)).astype(np.uint8)

    if not paths:
        raise ValueError("paths must name at least one picture, got none; see files.find_images")
    with ThreadPoolExecutor(num_threads) as pool:
        found = list(pool.map(read, paths))
    for path, picture in zip(paths, found, strict=True):
        if isinstance(picture, Exception):
            warnings.warn(f"skipped {path.as_posix()!r}: {picture}", stacklevel=2)
    whole = [picture for picture in found if not isinstance(picture, Exception)]
    if not whole:
        raise ValueError(
            f"none of the {len(paths)} pictures can be read (the last: {found[-1]}); name a folder "
            "with others"
        )
    return jnp.asarray(np.stack(whole))
