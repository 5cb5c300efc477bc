"""VGG over many devices: each computes the features of its own rows of a picture.

XLA's partitioner gathers where a convolution is arranged anew for the CPU, so rows are parted by
hand: before each convolution a device gets one row from each of its two neighbours. Nothing else
crosses within the network.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from nst_jax.array_types import Features, Params
from nst_jax.encoders import vgg
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.windows import encode_part, stride_of

ROWS = "rows"
"""The axis of a mesh over which a picture's rows are parted."""


@dataclass(frozen=True)
class PartedVGG:
    """A VGG whose pictures and features are parted by rows over the devices of a mesh.

    Its features equal the VGG's own, but for rounding. A picture of any height serves: it is
    lengthened to a multiple of what the devices can share.

    Attributes:
        encoder: From windows.require_vgg.
        mesh: Of one axis, ROWS.
    """

    encoder: VGG
    mesh: Mesh

    @property
    def architecture(self) -> vgg.Architecture:
        """That of the VGG."""
        return self.encoder.architecture

    def padded(self, height: int, layers: Sequence[str]) -> int:
        """Return the height to which pictures are lengthened, of which each device has its part."""
        return height + -height % (self.mesh.size * stride_of(layers))

    def encode_padded(
        self,
        variables: Params,
        images: Float[Array, "batch _ width 3"],
        *,
        height: int,
        layers: Sequence[str],
    ) -> Features:
        """Return {layer: features} of lengthened pictures, 0 beyond their own rows.

        Args:
            variables: The encoder's parameters.
            images: RGB in [0, 1], of a height from padded; what lies beyond does not matter.
            height: Their own.
            layers: Which layers are wanted.
        """
        count, is_whole = self.mesh.size, images.shape[1] == height

        def encode(params: Params, part: Any) -> Features:
            begin = lax.axis_index(ROWS) * part.shape[1]
            return encode_part(
                self.encoder,
                params,
                part,
                layers=layers,
                rows=None if is_whole else (begin, height),
                columns=None,
                exchange=lambda x: _exchange(x, count),
            )

        by_rows = PartitionSpec(None, ROWS)
        return jax.shard_map(
            encode,
            mesh=self.mesh,
            in_specs=(PartitionSpec(), by_rows),
            out_specs=by_rows,
            check_vma=False,  # custom derivatives of ops know nothing of it
        )(variables, images)

    def apply(
        self,
        variables: Params,
        images: Float[Array, "batch height width 3"],
        /,
        *,
        layers: Sequence[str],
    ) -> Features:
        """Return {layer: features} of RGB pictures in [0, 1].

        Where padded(height) is more than the height, XLA gathers the features in order to cut them.

        Args:
            variables: The encoder's parameters.
            images: RGB in [0, 1].
            layers: Which layers are wanted.
        """
        height = images.shape[1]
        rows = self.padded(height, layers)
        images = jnp.pad(images, ((0, 0), (0, rows - height), (0, 0), (0, 0)))
        found = self.encode_padded(variables, images, height=height, layers=layers)
        return {name: x[:, : height // stride_of((name,))] for name, x in found.items()}


def make_mesh(devices: int) -> Mesh:
    """Return a mesh of the first devices of this process, over which rows are parted.

    Args:
        devices: How many.

    Raises:
        ValueError: There are not so many.
    """
    there = jax.local_devices()
    if not 1 <= devices <= len(there):
        hint = ""
        if there[0].platform == "cpu":
            hint = f"; JAX_NUM_CPU_DEVICES={max(devices, 1)} shows a CPU as several"
        raise ValueError(
            f"devices: wanted 1 to {len(there)}, as many as JAX finds here, got {devices}{hint}"
        )
    return Mesh(np.asarray(there[:devices]), (ROWS,))


def place_by_rows(mesh: Mesh, leaf: Any, *, shape: tuple[int, ...]) -> NamedSharding:
    """Return how an array of an optimisation lies on a mesh.

    Pictures are parted by rows, and so are pictures as vectors, which rows follow one another in.
    Anything else is whole on every device.

    Args:
        mesh: From make_mesh.
        leaf: An array.
        shape: Of pictures, lengthened.
    """
    found = tuple(leaf.shape)
    if found[-len(shape) :] == shape:
        axis = len(found) - len(shape) + 1
    elif found and found[-1] == math.prod(shape):
        axis = len(found) - 1
    else:
        return NamedSharding(mesh, PartitionSpec())
    return NamedSharding(mesh, PartitionSpec(*(None,) * axis, ROWS))


def _exchange(x: Array, count: int) -> tuple[Array, Array]:
    """The last row of the device above and the first one of that below; zeros at the ends."""
    above = lax.ppermute(x[:, -1:], ROWS, [(i, i + 1) for i in range(count - 1)])
    below = lax.ppermute(x[:, :1], ROWS, [(i + 1, i) for i in range(count - 1)])
    return above, below
