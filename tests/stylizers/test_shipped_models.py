"""What ships in nst_jax/assets/models: it loads, says where it is from, and paints."""

import jax
import numpy as np
import pytest

import nst_jax
from nst_jax import files
from nst_jax.papers import dumoulin_2017, ghiasi_2017, huang_2017, johnson_2016
from nst_jax.stylizers import (
    DEFAULT_MODEL,
    AnyStyleStylizer,
    OneStyleStylizer,
    list_models,
    model_path,
)

MEBIBYTE = 2**20
PRESETS = {
    "johnson2016": johnson_2016.PRESETS,
    "dumoulin2017": dumoulin_2017.PRESETS,
    "ghiasi2017": ghiasi_2017.PRESETS,
    "huang2017": huang_2017.PRESETS,
}
MOST_BYTES = {"huang2017": 6 * MEBIBYTE, "ghiasi2017": 4 * MEBIBYTE}  # others: 2 MiB
each_model = pytest.mark.parametrize("name", list_models())


# The strokes of the network of any style are large: in 128 pixels a kitten is lost among them.
SIZES = {"johnson2016": 128, "dumoulin2017": 128, "ghiasi2017": 256, "huang2017": 256}


def load(name, size):
    return files.load_image(files.asset_path(name), size=size)


def luminance(image):
    return np.asarray(image)[0] @ np.array([0.299, 0.587, 0.114])


def test_the_command_lines_model_ships():
    assert DEFAULT_MODEL in list_models()


@each_model
def test_the_card_tells_where_it_comes_from(name):
    stylizer = nst_jax.load_stylizer(name)
    card = stylizer.card
    assert model_path(name).stat().st_size < MOST_BYTES.get(stylizer.architecture, 2 * MEBIBYTE)
    licences = card["photograph_licences"] if any_style(stylizer) else card["content_licences"]
    if any_style(stylizer):
        assert sum(licences.values()) == card["photographs"]
        assert sum(card["painting_licences"].values()) == card["paintings"]
        licences = licences | card["painting_licences"]
    else:
        assert set(card["styles"]) == set(card["style_sha256"]) == set(stylizer.styles)
        assert sum(licences.values()) == card["content_pictures"]
    forbidden = ("research", "unclear", "non-commercial", "NC", "unknown")
    assert not [licence for licence in licences if any(word in licence for word in forbidden)]
    assert card["preset"] in PRESETS[stylizer.architecture]
    config = card["config"]
    assert card["steps"] == config["num_steps"] + config.get("warm_start_steps", 0)
    assert card["licence"] == "Apache-2.0"
    losses = dict(card["held_out_losses"])
    assert losses.pop("total") == pytest.approx(sum(losses.values()), rel=1e-4)


def any_style(stylizer):
    return isinstance(stylizer, AnyStyleStylizer)


def style_of(stylizer):
    if any_style(stylizer):
        return load("style/van_gogh_church_at_auvers.jpg", 256)
    return None if isinstance(stylizer, OneStyleStylizer) else stylizer.styles[0]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "huang2017" else [])
        for name in list_models()
    ],
)
def test_it_paints_a_photograph_that_can_be_recognised(name):
    # What the network itself paints: the filter after it takes strokes as narrow as its grid too.
    median_filter = 1 if name.startswith("johnson2016") else None
    stylizer = nst_jax.load_stylizer(name, median_filter=median_filter)
    photograph = load("content/kitten.jpg", SIZES[stylizer.architecture])
    painted = stylizer(photograph, style_of(stylizer))
    assert painted.shape == photograph.shape
    assert bool((painted >= 0).all() & (painted <= 1).all())
    alike = np.corrcoef(luminance(painted).ravel(), luminance(photograph).ravel())[0, 1]
    assert 0.4 < alike < 0.97
    texture, own = (
        float(jax.numpy.abs(jax.numpy.diff(image, axis=2)).mean())
        for image in (painted, photograph)
    )
    assert texture > 1.5 * own  # brush strokes on a soft photograph
