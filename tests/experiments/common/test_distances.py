"""How far one picture is from another, as figures measure it."""

import jax
import jax.numpy as jnp
import pytest
from network_oracle import made_pictures

from experiments.common.distances import Distances
from nst_jax import metrics
from nst_jax.encoders.weights.pretrained import load_encoder, load_lpips_weights


@pytest.mark.slow
def test_distances_are_those_of_vgg_16():
    first, second = (jnp.asarray(made_pictures(1, 32, 32, 3, seed=seed)) for seed in (0, 1))
    distances, (encoder, params) = Distances(), load_encoder("vgg16")
    lpips = jax.jit(metrics.lpips, static_argnums=2)
    wanted = lpips(first, second, encoder, params, load_lpips_weights())
    assert distances.lpips(first, second) == pytest.approx(float(wanted[0]), rel=1e-5)
    style_distance = jax.jit(metrics.style_distance, static_argnums=2)
    wanted = style_distance(first, second, encoder, params)
    assert distances.style_distance(first, second) == pytest.approx(float(wanted[0]), rel=1e-5)
    assert distances.lpips(first, first) == pytest.approx(0, abs=1e-6)
