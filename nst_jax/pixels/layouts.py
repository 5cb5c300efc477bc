"""How a picture that is optimised is laid out: whole on one device, over many, or tile by tile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jax.sharding import Mesh

from nst_jax.array_types import ImageOfAnySize, Params
from nst_jax.encoders.encoder import Encoder
from nst_jax.encoders.parted import PartedVGG
from nst_jax.encoders.windows import require_vgg
from nst_jax.losses.perceptual import Targets, Weights
from nst_jax.losses.sums import require_sums
from nst_jax.pixels import programs
from nst_jax.pixels.host_steps import make_host_optimizer
from nst_jax.pixels.levels import Level
from nst_jax.pixels.parted import Rows, compute_parted_targets, make_parted_optimizer, put_whole
from nst_jax.pixels.programs import Program
from nst_jax.pixels.step import Optimizer
from nst_jax.pixels.tiles import NewArray, TiledObjective, zeros_in_memory
from nst_jax.runs.config_checks import check

_LEAST_TILE = 16


@dataclass(frozen=True)
class Layout:
    """How a picture and what is computed of it are laid out. Results are equal but for rounding.

    Attributes:
        mesh: Devices over which rows are parted, from encoders.parted.make_mesh; None is one.
        tile: The longest side, in pixels, of the tiles that are computed one at a time; None
            computes the whole picture at once.
        new_array: With tile, makes the arrays of the picture's size: in memory, or on a disk.
    """

    mesh: Mesh | None = None
    tile: int | None = None
    new_array: NewArray = zeros_in_memory

    def __post_init__(self) -> None:
        """Refuse what cannot be laid out.

        Raises:
            ValueError: One line that names the field.
        """
        tile = self.tile
        check(tile is None or tile >= _LEAST_TILE, "tile", f"{_LEAST_TILE} pixels or more", tile)
        if tile is not None and self.mesh is not None:
            raise ValueError(
                f"tile: wanted on one device, got {tile} on {self.mesh.size}; choose one of both"
            )

    @property
    def name(self) -> str | None:
        """The option by which a layout was chosen; None where all is whole on one device."""
        return "tile" if self.tile is not None else None if self.mesh is None else "devices"

    def describe(self) -> dict[str, int]:
        """Return what a record says of it."""
        devices = {} if self.mesh is None else {"devices": self.mesh.size}
        return devices | ({} if self.tile is None else {"tile": self.tile})


WHOLE = Layout()
"""All at once on one device."""


@runtime_checkable
class Arrangement(Protocol):
    """What a layout gives a run."""

    encoder: Encoder
    encoder_params: Params
    optimizer: Optimizer

    def compute_targets(
        self,
        content: ImageOfAnySize,
        styles: Sequence[ImageOfAnySize],
        style_blend: Sequence[float],
    ) -> Targets | None:
        """Return the targets, or None where perceptual computes them with the encoder."""
        ...

    def more_args(self, level: Level) -> tuple:
        """Return the objective's last arguments at a size."""
        ...


def arrange(
    layout: Layout, program: Program, encoder_params: Params, weights: Weights, *, remat: bool
) -> Arrangement:
    """Return what a layout gives a run.

    Args:
        layout: Of the run.
        program: What the run's programs depend on.
        encoder_params: The encoder's parameters.
        weights: Of the layers.
        remat: Whether the encoder runs block by block.

    Raises:
        ValueError: The run cannot be laid out so.
    """
    name = layout.name
    if name is None:
        return _Whole(program, encoder_params, remat=remat)
    require_vgg(program.encoder, name=name)
    if remat:
        raise ValueError(f"remat: wanted without {name}, which takes less memory already")
    if program.optimizer == "lbfgs_zoom":
        raise ValueError(f"{name}: wanted optimizer lbfgs or adam, got lbfgs_zoom")
    if layout.mesh is not None:
        return _OverDevices(layout.mesh, program, encoder_params, weights)
    return _ByTiles(layout, program, encoder_params, weights)


class _Whole:
    def __init__(self, program: Program, encoder_params: Params, *, remat: bool) -> None:
        make = programs.make_sparing_optimizer if remat else programs.make_optimizer
        self.encoder, self.encoder_params = program.encoder, encoder_params
        self.optimizer = make(program)

    def compute_targets(self, content: Any, styles: Any, style_blend: Any) -> Targets | None:
        return None

    def more_args(self, level: Level) -> tuple:
        return ()


class _OverDevices:
    def __init__(self, mesh: Mesh, program: Program, params: Params, weights: Weights) -> None:
        self._parted = PartedVGG(require_vgg(program.encoder, name="devices"), mesh)
        self._weights, self._loss = weights, program.style_loss
        self.encoder: Encoder = self._parted
        self.encoder_params = put_whole(params, mesh)
        self.optimizer = make_parted_optimizer(program, mesh)

    def compute_targets(
        self, content: Any, styles: Sequence[Any], style_blend: Sequence[float]
    ) -> Targets | None:
        if self._loss.of_gram is None:
            return None
        return compute_parted_targets(
            *(self._parted, self.encoder_params, content, styles),
            weights=self._weights,
            style_blend=style_blend,
            style_loss=self._loss,
        )

    def more_args(self, level: Level) -> tuple:
        return (Rows(level.height, self._parted.padded(level.height, self._weights.layers)),)


class _ByTiles:
    def __init__(self, layout: Layout, program: Program, params: Params, weights: Weights) -> None:
        assert layout.tile is not None
        self.encoder, self.encoder_params = program.encoder, params
        self._weights, self._new_array = weights, layout.new_array
        self._objective = TiledObjective(
            require_vgg(program.encoder, name="tile"),
            loss=require_sums(program.style_loss, name="tile"),
            tv_loss=program.tv_loss,
            tile=layout.tile,
        )
        self.optimizer = make_host_optimizer(
            self._objective.value_and_gradient,
            program.optimizer,
            learning_rate=program.learning_rate,
            history=program.history,
            longest_step=program.style_loss.longest_step,
            new_array=layout.new_array,
        )

    def compute_targets(
        self, content: Any, styles: Sequence[Any], style_blend: Sequence[float]
    ) -> Targets | None:
        return self._objective.compute_targets(
            self.encoder_params,
            np.asarray(content),
            styles,
            weights=self._weights,
            style_blend=style_blend,
            new_array=self._new_array,
        )

    def more_args(self, level: Level) -> tuple:
        return ()
