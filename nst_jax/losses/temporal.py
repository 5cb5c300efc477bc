"""How much a picture differs from another one that was warped to it, where that is to be had."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, Scalar


def temporal_loss(
    image: Image, warped: Image, visible: Float[Array, "batch height width"]
) -> Scalar:
    """Return the masked mean squared difference of pictures, 0 where nothing is visible.

    L = (1 / D) Σ_k c_k (x_k − ω_k)², over all D values of pixels and colours: the divisor counts
    those too that are masked out.

    Args:
        image: x, RGB.
        warped: ω, the other pictures, warped to these.
        visible: c, from 0 to 1.

    Reference: Ruder et al. 2016, §4.2. Differs: the paper's pixels count to 255, and its loss is
        255² times this one.
    """
    return (visible[..., None] * jnp.square(image - warped)).mean()


def absolute_temporal_loss(
    image: Image, warped: Image, visible: Float[Array, "batch height width"]
) -> Scalar:
    """Return the masked mean absolute difference of pictures.

    L = (1 / D) Σ_k c_k |x_k − ω_k|, over all D values of pixels and colours.

    Args:
        image: x, RGB.
        warped: ω, the other pictures, warped to these.
        visible: c, from 0 to 1.

    Reference: the code of ReReVST (Wang et al. 2020), which has no mask.
    """
    return (visible[..., None] * jnp.abs(image - warped)).mean()
