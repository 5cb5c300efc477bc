"""What ships in nst_jax/assets/models: it loads, says where it is from, and paints."""

import jax
import numpy as np
import pytest

import nst_jax
from nst_jax import files
from nst_jax.papers import dumoulin_2017, johnson_2016
from nst_jax.stylizers import DEFAULT_MODEL, OneStyleStylizer, list_models, model_path

MEBIBYTE = 2**20
PRESETS = {"johnson2016": johnson_2016.PRESETS, "dumoulin2017": dumoulin_2017.PRESETS}
each_model = pytest.mark.parametrize("name", list_models())


@pytest.fixture(scope="module")
def photograph():
    return files.load_image(files.asset_path("content/kitten.jpg"), size=128)


def luminance(image):
    return np.asarray(image)[0] @ np.array([0.299, 0.587, 0.114])


def test_the_command_lines_model_ships():
    assert DEFAULT_MODEL in list_models()


@each_model
def test_the_card_tells_where_it_comes_from(name):
    stylizer = nst_jax.load_stylizer(name)
    card = stylizer.card
    assert model_path(name).stat().st_size < 2 * MEBIBYTE
    assert set(card["styles"]) == set(card["style_sha256"]) == set(stylizer.styles)
    assert sum(card["content_licences"].values()) == card["content_pictures"]
    forbidden = ("research", "unclear", "non-commercial", "NC", "unknown")
    assert not [li for li in card["content_licences"] if any(word in li for word in forbidden)]
    assert card["preset"] in PRESETS[stylizer.architecture]
    assert card["steps"] == card["config"]["num_steps"]
    assert card["licence"] == "Apache-2.0"
    losses = card["held_out_losses"]
    parts = losses["content"] + losses["style"] + losses["tv"]
    assert losses["total"] == pytest.approx(parts, rel=1e-4)


@each_model
def test_it_paints_a_photograph_that_can_be_recognised(name, photograph):
    stylizer = nst_jax.load_stylizer(name)
    style = None if isinstance(stylizer, OneStyleStylizer) else stylizer.styles[0]
    painted = stylizer(photograph, style)
    assert painted.shape == photograph.shape
    assert bool((painted >= 0).all() & (painted <= 1).all())
    alike = np.corrcoef(luminance(painted).ravel(), luminance(photograph).ravel())[0, 1]
    assert 0.4 < alike < 0.97
    texture, own = (
        float(jax.numpy.abs(jax.numpy.diff(image, axis=2)).mean())
        for image in (painted, photograph)
    )
    assert texture > 1.5 * own  # brush strokes on a soft photograph
