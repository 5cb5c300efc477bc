"""The pictures that `nst-jax train` trains on and looks at: found, read, streamed, identified."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import files, train
from nst_jax.array_types import Image
from nst_jax.cli.train_options import HELD_OUT, Huang2017, Training
from nst_jax.cli.train_plan import Plan
from nst_jax.papers.huang_2017 import Pair
from nst_jax.train import datasets

_MOST_SAMPLES = 24  # pictures on a sheet, as far as styles allow
_SAMPLE_PAINTINGS = 4  # of any style, each with as many photographs as there is room for


class Pictures(NamedTuple):
    """What is trained on, and what is looked at.

    Attributes:
        content: Photographs.
        paintings: What is painted after, where that may be anything, and contents too.
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


def find_pictures(options: Training, plan: Plan) -> Pictures:
    """Return what the options name, with the held-out pictures read.

    Raises:
        ValueError: There is none that can be read.
        OSError: A folder cannot be read, or holds no picture.
    """
    data, size = options.data, plan.config.size
    content = _find("content_dir", "photographs", data.content_dir, data.workdir)
    held_out = _load_held_out(data.held_out_dir, content, data.workdir, size=size)
    if not isinstance(options, Huang2017):
        samples = held_out[: max(1, _MOST_SAMPLES // plan.num_new)]
        return Pictures(content, (), held_out, samples)
    paintings = _find("style_dir", "paintings", options.style_dir, data.workdir)
    styles = _load_held_out(options.held_out_style_dir, paintings, data.workdir, size=size)
    few = styles[:_SAMPLE_PAINTINGS]
    samples = Pair(held_out[: _MOST_SAMPLES // len(few)], few)
    number = jnp.arange(max(len(held_out), len(styles)))
    pairs = Pair(held_out[number % len(held_out)], styles[number % len(styles)])
    return Pictures(content, paintings, pairs, samples)


def _load_held_out(
    places: Sequence[Path], training: tuple[Path, ...], workdir: Path, *, size: int
) -> Image:
    found = _outside(places, workdir) or training
    return train.load_fixed_batch(found, size=size, count=HELD_OUT)


def _find(name: str, kind: str, places: Sequence[Path], workdir: Path) -> tuple[Path, ...]:
    found = _outside(places, workdir)
    if not found:
        raise ValueError(f"{name}: wanted folders with {kind} besides the run's, got none")
    return found


def _outside(places: Sequence[Path], workdir: Path) -> tuple[Path, ...]:
    """The pictures in folders, without those of the run: its samples, whose number grows."""
    inside = os.path.join(os.path.abspath(workdir), "")
    found = files.find_images(places)
    return tuple(path for path in found if not os.path.abspath(path).startswith(inside))


def open_stream(plan: Plan, pictures: Pictures) -> datasets.PictureStream:
    """Return the training pictures without end, as the paper's fit wants them."""
    config = plan.config
    recipe: dict[str, Any] = {
        "size": config.size,
        "shorter_side": config.shorter_side,
        "flip": config.flip,
        "batch_size": config.batch_size,
        "seed": config.seed,
    }
    if pictures.paintings:
        return train.open_pair_stream(Pair, pictures.content, pictures.paintings, **recipe)
    return train.open_stream(pictures.content, **recipe)


def identify(plan: Plan, pictures: Pictures) -> dict[str, Any]:
    """Return what a run has in common with the one that it goes on from, besides the config."""
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
        **({"model": plan.base["sha256"]} if plan.base else {}),
    }
