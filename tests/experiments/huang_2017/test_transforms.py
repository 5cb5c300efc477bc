"""The figure of feature transforms: what its cells are made of, and its distances in NumPy."""

import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from made_data import write_data

from experiments.huang_2017 import __main__ as script
from experiments.huang_2017 import transforms
from nst_jax import files
from nst_jax.encoders.vgg import FIRST_LAYERS

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
        assert found["style"] == pytest.approx(np.mean([found[x] for x in FIRST_LAYERS]))
