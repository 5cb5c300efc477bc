"""What an encoder must offer to judge pictures; VGG is ours, others may be anyone's."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float

from nst_jax.array_types import Features, Params


@runtime_checkable
class Encoder(Protocol):
    """A fixed network that turns pictures into the feature maps of named layers.

    It is hashable, and equal to another one only if both compute the same: compiled programs are
    kept by it. A linen module is both. Its parameters are data and given apart.
    """

    def apply(
        self,
        variables: Params,
        images: Float[Array, "batch height width 3"],
        /,
        *,
        layers: Sequence[str],
    ) -> Features:
        """Return {layer: features} of RGB pictures in [0, 1].

        Args:
            variables: The encoder's parameters.
            images: RGB in [0, 1].
            layers: Which layers are wanted.
        """
        ...


def describe_encoder(encoder: Encoder) -> str:
    """Return what a record calls an encoder: its architecture, or else the name of its class."""
    return str(getattr(encoder, "architecture", type(encoder).__name__))
