"""Oracle: the published loss in NumPy, on features of the encoder."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.ops.color import match_covariance_by_pca
from nst_jax.papers import gatys_2017
from nst_jax.papers.gatys_2017 import PRESETS, mix_scales

SMOKE = PRESETS["smoke"]


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16")


def literal_loss(network, picture, fine):
    """1e3 times the mean square between Gram matrices over positions in relu1_1."""
    encoder, params = network
    grams = []
    for image in (picture, fine):
        features = encoder.apply(params, image, layers=("relu1_1",))["relu1_1"]
        rows = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
        grams.append(rows.T @ rows / len(rows))
    return 1e3 * np.mean((grams[0] - grams[1]) ** 2)


def test_the_fine_texture_comes_onto_the_coarse_style(vgg16, photograph, painting):
    coarse, fine = photograph[:, :, :56], painting
    seen = []
    image, record = mix_scales(coarse, fine, SMOKE, *vgg16, on_step=seen.append)

    recolored = match_covariance_by_pca(fine, coarse).clip(0, 1)
    first, last = record["info"]["initial"], record["steps"][-1]
    assert first["total"] == pytest.approx(literal_loss(vgg16, coarse, recolored), rel=1e-3)
    assert last["total"] == pytest.approx(literal_loss(vgg16, image, recolored), rel=1e-3)
    assert last["total"] < 0.9 * first["total"]
    assert [report.step for report in seen] == [1, 2, 3, 4]
    assert image.shape == coarse.shape
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1
    # Its forms are the coarse style's still.
    assert np.corrcoef(np.ravel(image), np.ravel(coarse))[0, 1] > 0.9
    assert record["config"] == dataclasses.asdict(SMOKE)
    assert record["info"]["sizes"] == [[48, 56]]
    assert not record["info"]["interrupted"]


def test_the_presets():
    paper, larger = PRESETS["paper"], PRESETS["paper_1024"]
    assert (paper.encoder, paper.weights, paper.pooling) == ("vgg19", "vgg19-keras", "max")
    assert (paper.num_steps, paper.style_weight, paper.color) == (500, 1e3, "pca")
    assert paper.style_layers == (("relu1_1", 0.5), ("relu2_1", 0.5))
    assert [layer for layer, _ in larger.style_layers] == [f"relu{b}_1" for b in (1, 2, 3, 4)]
    assert dataclasses.replace(larger, style_layers=paper.style_layers) == paper
    for preset in PRESETS.values():
        assert sum(weight for _, weight in preset.style_layers) == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"color": "luminance"}, "color: wanted style, cholesky, pca, symmetric, histogram, got"),
        ({"num_steps": -1}, "num_steps: wanted 0 or more"),
        ({"style_weight": 0.0}, "style_weight: wanted a number above 0"),
        ({"style_layers": ()}, "style_layers: wanted at least one"),
    ],
)
def test_what_cannot_be_run_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(SMOKE, **changes)


def test_what_cannot_be_mixed_is_refused(vgg16, photograph):
    with pytest.raises(ValueError, match="scale: wanted 1 to 5 layers, got 6"):
        gatys_2017.low_layers(6)
    with pytest.raises(ValueError, match="fine: wanted one picture"):
        mix_scales(photograph, jnp.concatenate([photograph, photograph]), SMOKE, *vgg16)
