"""The figure of feature transforms: what its cells are made of, and its distances in NumPy."""

import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from made_data import write_data
from network_oracle import made_pictures

from experiments.huang_2017 import __main__ as script
from experiments.huang_2017 import transforms
from nst_jax import files
from nst_jax.encoders.weights.pretrained import load_encoder

pytestmark = [pytest.mark.usefixtures("lax_promotion"), pytest.mark.slow]

TIERS = {"content/heldout/hill.jpg": "A free", "style/heldout/dots.jpg": "A free"}
SHADES = {"adain": 0.1, "efdm": 0.3, "wct": 0.5, "decorator": 0.9}


class Shade:
    """Paints the shade of its transform, mixed into the photograph by alpha."""

    name = "shade"

    def __init__(self, transform):
        self.shade = SHADES[transform]

    def __call__(self, content, style, *, alpha=1.0):
        del style
        return (1 - alpha) * content + alpha * jnp.full_like(content, self.shade)


def test_each_transform_has_a_column_and_distances(monkeypatch, tmp_path):
    sheets: list[Any] = []
    monkeypatch.setattr(transforms, "load_network", lambda model, *, transform: Shade(transform))
    monkeypatch.setattr(transforms, "save_sheet", lambda path, rows, *, side: sheets.append(rows))
    data = write_data(tmp_path / "data", TIERS)
    words = ["--data", data, "--figures", "transforms", "--size", 32, "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", ["huang_2017", *map(str, words)])
    script.main()
    record = files.read_record(tmp_path / "out" / "transforms" / "record.json")

    (rows,) = sheets
    assert len(rows) == len(record["sheet"]) == 4
    for (photograph, _), _, *painted in rows:
        assert [name for _, name in painted] == list(transforms.VARIANTS)
        for picture, name in painted[:4]:
            np.testing.assert_allclose(picture, SHADES[name], rtol=1e-5)
        np.testing.assert_allclose(painted[4][0], 0.3 * photograph + 0.63, atol=1e-5)
    (pair,) = record["pairs"].values()
    assert pair.keys() == record["summary"].keys() == transforms.VARIANTS.keys()
    for name, found in pair.items():
        for key, value in found.items():
            assert record["summary"][name][key]["mean"] == pytest.approx(value)
        assert found["style"] == pytest.approx(np.mean([found[x] for x in transforms.STYLE_LAYERS]))


def test_distances_are_relative():
    picture, content, style = (
        jnp.asarray(made_pictures(1, 32, 48, 3, seed=seed)) for seed in range(3)
    )
    found = transforms.make_measure()(picture, content, style)
    encoder, params = load_encoder("vgg16")
    layers = (*transforms.STYLE_LAYERS, "relu4_2")
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

    for layer in transforms.STYLE_LAYERS:
        wanted = relative(gram(own[layer]), gram(painting[layer]))
        assert found[layer] == pytest.approx(wanted, rel=1e-3)
    assert found["content"] == pytest.approx(
        relative(own["relu4_2"], photograph["relu4_2"]), rel=1e-3
    )
