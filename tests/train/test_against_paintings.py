"""Oracle: the discriminator itself, which refuses pictures that are too small for its scales."""

import jax
import jax.numpy as jnp
import pytest

from nst_jax.networks.discriminators import MultiscaleDiscriminator
from nst_jax.train.against_paintings import LEAST_SIZE, least_side, num_scales


@pytest.mark.parametrize(
    ("size", "scales"), [(LEAST_SIZE, 1), (56, 1), (64, 2), (128, 3), (512, 3)]
)
def test_pictures_are_judged_at_as_many_sizes_as_fit(size, scales):
    assert num_scales(size) == scales
    pictures = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    network = MultiscaleDiscriminator(width=1, num_scales=scales)
    jax.eval_shape(network.init, jax.random.key(0), pictures)
    least = jax.ShapeDtypeStruct((1, least_side(size), least_side(size), 3), jnp.float32)
    jax.eval_shape(network.init, jax.random.key(0), least)
    assert least_side(size) <= size
    if scales < 3:
        larger = MultiscaleDiscriminator(width=1, num_scales=scales + 1)
        with pytest.raises(ValueError, match="images: wanted sides of at least"):
            jax.eval_shape(larger.init, jax.random.key(0), pictures)
