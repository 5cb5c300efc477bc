"""The runs of a sweep: every combination of the axes' values, once for each seed."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from nst_jax.encoders.vgg import check_layers
from nst_jax.papers.gatys_2016 import Config
from nst_jax.sweeps.axes import RATIO, Axis, apply_axes, make_axis


@dataclass(frozen=True)
class Run:
    """One run of a grid.

    Attributes:
        labels: What each axis has here, as (axis, label).
        config: The whole configuration, seed included.
        row: Its place in a report: a row for each combination of all axes but the last,
        column: a column for each value of the last.
    """

    labels: tuple[tuple[str, str], ...]
    config: Config
    row: int
    column: int

    @property
    def setting(self) -> str:
        """The labels on one line; empty where nothing but the seed is varied."""
        return ", ".join(f"{name} {label}" for name, label in self.labels)


@dataclass(frozen=True)
class Grid:
    """What a sweep varies.

    Attributes:
        base: Everything that no axis varies.
        axes: The last one makes the columns of a report.
        seeds: Each combination is run with each; those that begin with no noise, with the first.
    """

    base: Config
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]

    @functools.cached_property
    def runs(self) -> tuple[Run, ...]:
        """All runs, row by row, seeds innermost."""
        found = []
        width = len(self.axes[-1].values) if self.axes else 1
        for place, values in enumerate(product(*(axis.values for axis in self.axes))):
            named = {axis.name: value for axis, value in zip(self.axes, values, strict=True)}
            labels = tuple(
                (axis.name, axis.labels[axis.values.index(value)])
                for axis, value in zip(self.axes, values, strict=True)
            )
            for seed in self.seeds:
                config = apply_axes(self.base, {**named, "seed": seed})
                if seed == self.seeds[0] or config.init == "noise":
                    found.append(Run(labels, config, *divmod(place, width)))
        return tuple(found)


def make_grid(
    base: Config, vary: Mapping[str, Sequence[Any]], *, seeds: Sequence[int] = ()
) -> Grid:
    """Return the grid of every combination of values.

    Args:
        base: Everything else.
        vary: The values of each field, or of 'ratio'; see make_axis for their forms.
        seeds: Of the noise that runs begin with; none are the base's.

    Raises:
        ValueError: A field or a value is not one, two do not fit together, or there is nothing to
            vary.
    """
    if not isinstance(base, Config):
        raise ValueError(
            f"base: wanted a papers.gatys_2016.Config, got {type(base).__name__}; choose one of "
            "its PRESETS"
        )
    if not isinstance(vary, Mapping):
        raise ValueError(
            f"vary: wanted a mapping from settings to their values, got {type(vary).__name__}"
        )
    axes = tuple(make_axis(name, values, base=base) for name, values in vary.items())
    if not axes and not seeds:
        raise ValueError("vary: wanted at least one setting to vary, or seeds, got none")
    if RATIO in vary and "style_weight" in vary:
        raise ValueError(f"vary {RATIO}: it sets style_weight, which is varied too; leave one out")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: wanted each once, got {' '.join(map(str, seeds))}")
    grid = Grid(base, axes, tuple(seeds) or (base.seed,))
    for run in grid.runs:  # each config has checked itself, but for its layers
        used = tuple(layer for layer, _ in run.config.content_layers + run.config.style_layers)
        check_layers(used, run.config.encoder)
    if len(seeds) > 1 and all(run.config.init != "noise" for run in grid.runs):
        raise ValueError(
            "seeds: no run begins with noise, so that every seed would give the same picture; "
            "give init noise (--init noise) or one seed"
        )
    return grid
