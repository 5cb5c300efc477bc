"""The pictures of a training: found, read and identified."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import files, train
from nst_jax.array_types import Image
from nst_jax.files.disk import FilePath
from nst_jax.jobs.painted_frames import find_painted_frames, load_frames
from nst_jax.jobs.training_plan import Plan, TrainingJob
from nst_jax.train import Pair

HELD_OUT = 8
"""How many pictures tell the held-out losses."""

_MOST_SAMPLES = 24  # pictures on a sheet, as far as styles allow
_SAMPLE_PAINTINGS = 4  # of any style, each with as many photographs as there is room for


class Pictures(NamedTuple):
    """What is trained on, and what is looked at.

    Attributes:
        content: Photographs, or the frames of a clip that are painted.
        paintings: What is painted after, where that may be anything; or what was painted of these
            frames.
        held_out: What losses are told of: photographs, each with a painting where there are any.
        samples: What sheets are painted of: each photograph in each style.
    """

    content: tuple[Path, ...]
    paintings: tuple[Path, ...]
    held_out: Image | Pair
    samples: Image | Pair

    @property
    def num_held_out(self) -> int:
        """How many photographs losses are told of."""
        return len(jax.tree.leaves(self.held_out)[0])


def find_pictures(job: TrainingJob, plan: Plan) -> Pictures:
    """Return the pictures that a job names, with the held-out ones read.

    Raises:
        ValueError: There is none that can be read.
        OSError: A folder cannot be read, or holds no picture.
    """
    if plan.paper.styles == "frames":
        assert job.frames is not None
        assert job.painted is not None
        found = find_painted_frames(job.frames, job.painted)
        held_out, samples = load_frames(found, size=plan.config.painted_size)
        return Pictures(found.frames, found.painted, held_out, samples)
    size = plan.config.size
    content = _find("content_dir", "photographs", job.content_dir, job.workdir)
    held_out = _load_held_out(job.held_out_dir, content, job.workdir, size=size)
    if plan.paper.styles not in ("any", "collection"):
        samples = held_out[: max(1, _MOST_SAMPLES // plan.num_new)]
        return Pictures(content, (), held_out, samples)
    paintings = _find("style_dir", "paintings", job.style_dir, job.workdir)
    style_size = getattr(plan.config, "style_size", size)
    styles = _load_held_out(job.held_out_style_dir, paintings, job.workdir, size=style_size)
    _refuse_one_colour(styles)
    few = styles[:_SAMPLE_PAINTINGS]
    samples = Pair(held_out[: _MOST_SAMPLES // len(few)], few)
    number = jnp.arange(max(len(held_out), len(styles)))
    pairs = Pair(held_out[number % len(held_out)], styles[number % len(styles)])
    return Pictures(content, paintings, pairs, samples)


def identify(job: TrainingJob, plan: Plan, pictures: Pictures) -> dict[str, Any]:
    """Return what a run has in common with the one that it goes on from, besides the config."""
    limit = {} if job.time_limit is None else {"time_limit": job.time_limit}
    if pictures.paintings:
        styles = {"paintings": train.describe_pictures(pictures.paintings)}
    else:
        # By number, since a network's styles have an order.
        learnt = {
            str(number): {"name": name, "sha256": files.sha256_of(path)}
            for number, (name, path) in enumerate(plan.paintings.items())
        }
        styles = {"styles": learnt}
    return {
        "content": train.describe_pictures(pictures.content),
        **styles,
        "encoder": plan.weights["arrays_sha256"],
        **limit,
        **({"model": plan.base["sha256"]} if plan.base else {}),
    }


def _load_held_out(
    places: Sequence[FilePath], training: tuple[Path, ...], workdir: FilePath, *, size: int
) -> Image:
    found = _outside(places, workdir) or training
    return train.load_fixed_batch(found, size=size, count=HELD_OUT)


def _refuse_one_colour(paintings: Image) -> None:
    """A painting of one colour steers nothing: whoever has one has it by mistake."""
    flat = int((jnp.ptp(paintings, axis=(1, 2)).max(-1) < 1 / 255).sum())
    if flat:
        raise ValueError(
            f"style_dir: wanted paintings, got {flat} of a single colour among the "
            f"{len(paintings)} that are looked at; take what is no painting out of the folder"
        )


def _find(name: str, kind: str, places: Sequence[FilePath], workdir: FilePath) -> tuple[Path, ...]:
    found = _outside(places, workdir)
    if not found:
        raise ValueError(f"{name}: wanted folders with {kind} besides the run's, got none")
    return found


def _outside(places: Sequence[FilePath], workdir: FilePath) -> tuple[Path, ...]:
    """The pictures in folders, without those of the run: its samples, whose number grows."""
    inside = os.path.join(os.path.abspath(workdir), "")
    found = files.find_images(places)
    return tuple(path for path in found if not os.path.abspath(path).startswith(inside))
