"""The frames of a clip, and those of them that are painted: matched by their files' names."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp

from nst_jax import files, train
from nst_jax.array_types import Image
from nst_jax.files.disk import FilePath, quoted

_MOST_SAMPLES = 6


class PaintedFrames(NamedTuple):
    """A clip's frames.

    Attributes:
        all: The clip's files, in order.
        frames: Those that are painted.
        painted: What was painted of each of these.
    """

    all: tuple[Path, ...]
    frames: tuple[Path, ...]
    painted: tuple[Path, ...]


def find_painted_frames(frames: FilePath, painted: FilePath) -> PaintedFrames:
    """Return the picture files of two folders, the painted ones beside the frames of their names.

    Args:
        frames: A folder with a clip's frames.
        painted: A folder with some of them painted. File types may differ.

    Raises:
        ValueError: A painted file has no frame of its name, or two have one name.
        OSError: A folder is missing, cannot be read, or holds no picture.
    """
    clip = files.list_images(frames)
    by_name = _by_name("frames", clip)
    matched = _by_name("painted", files.list_images(painted))
    for name, path in matched.items():
        if name not in by_name:
            raise ValueError(
                f"painted: wanted files called as the frames that they are painted of, got "
                f"{quoted(path)}, of which {quoted(frames)} has no frame; rename it"
            )
    return PaintedFrames(
        tuple(clip), tuple(by_name[name] for name in matched), tuple(matched.values())
    )


def load_frames(found: PaintedFrames, *, size: int | None) -> tuple[train.Pair, Image]:
    """Return the painted frames with their paintings, and some frames to look at.

    Args:
        found: The files.
        size: Longer side; None takes the first painted file's own.

    Raises:
        ValueError: A file is no picture, or sizes or aspects differ.
        OSError: A file cannot be read.
    """
    frames, painted = train.load_painted(found.frames, found.painted, size=size)
    height, width = painted[0].shape[1:3]
    for picture, path in zip(painted, found.painted, strict=True):
        if picture.shape[1:3] != (height, width):
            raise ValueError(
                f"painted: wanted pictures of one size, as a clip's frames are, got "
                f"{quoted(path)} of {picture.shape[2]} by {picture.shape[1]} beside {width} by "
                f"{height} pixels; see painted_size"
            )
    pair = train.Pair(jnp.concatenate(frames), jnp.concatenate(painted))
    step = -(-len(found.all) // _MOST_SAMPLES)
    longer = max(files.load_image(found.painted[0], size=size).shape[1:3])
    samples = [files.load_image(path, size=longer) for path in found.all[::step]]
    return pair, jnp.concatenate([picture[:, :height, :width] for picture in samples])


def _by_name(argument: str, paths: Sequence[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in paths:
        if path.stem in named:
            raise ValueError(
                f"{argument}: wanted one file for each frame, got {quoted(named[path.stem])} and "
                f"{quoted(path)}; take one out of the folder"
            )
        named[path.stem] = path
    return named
