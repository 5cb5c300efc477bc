"""The sheet of style losses, with the optimisation left out."""

from typing import get_args

import jax.numpy as jnp
import pytest
from made_data import PlainDistances

from experiments.style_losses import __main__ as script
from nst_jax import files
from nst_jax.losses.styles import StyleLossName
from nst_jax.papers import gatys_2016

pytestmark = pytest.mark.usefixtures("lax_promotion")
NAMES = get_args(StyleLossName)


def test_every_style_loss_is_painted_by_its_own_layers_and_weight(start, monkeypatch, tmp_path):
    ran = []

    def stylize(content, style, config, encoder, params):
        """The content, dimmer with each run, in as many seconds as were run before and two."""
        ran.append(config)
        seconds = {"compile": 1.0, "run": 1.0 + len(ran)}
        entry = {"step": config.num_steps, "total": 1.0}
        record = {"seconds": seconds, "steps": [entry] * 3, "info": {"initial": entry}}
        return content / len(ran), record

    monkeypatch.setattr(script.gatys_2016, "stylize", stylize)
    monkeypatch.setattr(script, "load_encoder", lambda name: (name, {}))
    monkeypatch.setattr(script, "Distances", PlainDistances)
    start(script, "--size", 32, "--num-steps", 3, "--out", tmp_path)

    base = gatys_2016.PRESETS["default"]
    for config, name in zip(ran, NAMES, strict=True):
        wanted = gatys_2016.with_style_loss(base, name)
        assert (config.style_loss, config.style_layers) == (name, wanted.style_layers)
        assert (config.style_weight, config.size) == (wanted.style_weight, 32)
        assert config.num_steps == 3
    runs = files.read_record(tmp_path / "sheet" / "record.json")["runs"]
    assert list(runs) == list(NAMES)
    ratios = [run["seconds_over_gram"] for run in runs.values()]
    assert ratios == pytest.approx([1 + number / 2 for number in range(len(NAMES))])
    assert runs["gram"]["lpips_to_content"] == pytest.approx(0, abs=1e-5)
    assert runs["mrf"]["lpips_to_content"] > 0.1
    assert all(run["gram_distance"] > 0 for run in runs.values())
    sheet = files.load_image(tmp_path / "sheet" / "sheet.jpg")
    assert float(jnp.std(sheet)) > 0.1
