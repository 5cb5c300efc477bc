"""Oracle: the definition in NumPy, of VGG-16's features."""

import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_pictures

from experiments.common.relative_distances import RelativeDistances
from nst_jax.encoders.vgg import FIRST_LAYERS
from nst_jax.encoders.weights.pretrained import load_encoder


@pytest.mark.slow
@pytest.mark.usefixtures("lax_promotion")
def test_distances_are_relative():
    picture, content, style = (
        jnp.asarray(made_pictures(1, 32, 48, 3, seed=seed)) for seed in range(3)
    )
    distances = RelativeDistances()
    found = distances.compare(*map(distances.look_at, (picture, content, style)))
    encoder, params = load_encoder("vgg16")
    layers = (*FIRST_LAYERS, "relu4_2")
    own, photograph, painting = (
        {
            k: np.asarray(v, np.float64)[0]
            for k, v in encoder.apply(params, x, layers=layers).items()
        }
        for x in (picture, content, style)
    )

    def relative(a, b):
        return ((a - b) ** 2).sum() / (b**2).sum()

    def gram(features):
        return np.einsum("hwc,hwd->cd", features, features) / features[..., 0].size

    for layer in FIRST_LAYERS:
        wanted = relative(gram(own[layer]), gram(painting[layer]))
        assert found[layer] == pytest.approx(wanted, rel=1e-3)
    assert found["content"] == pytest.approx(
        relative(own["relu4_2"], photograph["relu4_2"]), rel=1e-3
    )
