"""Pixels are optimised for what the networks are trained for."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.johnson_2016 import pixel_objective
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import johnson_2016


def test_pixels_are_optimized_for_what_the_networks_are_trained_for(photograph, painting):
    config = johnson_2016.PRESETS["smoke"]
    encoder, params = load_encoder(config.encoder)
    grams = johnson_2016.compute_style_grams(config, painting, encoder, params)
    photograph = photograph[:, :32, :48]
    image = jnp.flip(photograph, 2)
    targets = pixel_objective.compute_targets(config, photograph, grams, encoder, params)
    found = jax.jit(pixel_objective.make_objective(config, encoder))(image, targets, params)
    trained = jax.jit(johnson_2016.make_objective(config, encoder))(
        image, photograph, grams, params
    )
    assert min(float(term) for term in trained[1].values()) > 0
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(trained), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
