"""The figures of Dumoulin et al. 2017 that train."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import short_trainings
from network_oracle import made_arrays

from experiments.dumoulin_2017 import __main__ as script
from experiments.dumoulin_2017 import together
from nst_jax import files, train
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.papers import dumoulin_2017

pytestmark = pytest.mark.usefixtures("lax_promotion")


@pytest.mark.slow
def test_a_row_learns_beside_a_network(start, training_data, models, tmp_path):
    new = ("--new-style", "style/heldout/strokes.jpg", "--models", models.many)
    options = short_trainings.options_for(training_data, tmp_path, "few_shot")
    start(script, *options, *new, "--train-size", 32)
    record = short_trainings.read_finished(tmp_path, "few_shot")
    row, alone = record["trainings"].values()
    assert row[0]["settings"]["network"] == "many"
    assert "network" not in alone[0]["settings"]
    assert row[0]["curve"] != alone[0]["curve"]


@pytest.mark.slow
def test_styles_learn_together_and_alone(start, training_data, tmp_path, monkeypatch):
    monkeypatch.setitem(dumoulin_2017.PRESETS, "cpu", dumoulin_2017.PRESETS["smoke"])
    monkeypatch.setattr(together, "NUM_HELD_OUT", 3)
    monkeypatch.setattr(together, "SHOWN_SIZE", 64)
    fitted = []

    def fit(styles, stream, config, *encoder, reporting, held_out, **more):
        """Logs style losses of 6, 2 and 3 instead of training."""
        fitted.append((len(styles), np.asarray(held_out), next(stream)))
        workdir = Path(reporting.workdir)
        workdir.mkdir(parents=True)
        lines: list[Any] = [
            {"step": step, "held_out": {"content": step, "style": (6.0, 2.0, 3.0)[len(fitted) - 1]}}
            for step in (1, 2)
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in [*lines, {"step": 2, "seconds": 1.0}])
        (workdir / "metrics.jsonl").write_text(text)
        network = DumoulinNetwork(num_styles=len(styles), width=config.width)
        pictures, weights = jnp.zeros((1, 32, 32, 3)), jnp.ones((1, len(styles)))
        variables = made_arrays(jax.eval_shape(network.init, jax.random.key(0), pictures, weights))
        return train.Trained(network, variables, 2, {"style": 1.0})

    monkeypatch.setattr(dumoulin_2017, "fit", fit)
    options = short_trainings.options_for(training_data, tmp_path, "together")
    start(script, *options, "--learn", "waves", "strokes", "--train-size", 32)
    record = short_trainings.read_finished(tmp_path, "together")
    assert list(record["trainings"]) == ["one network", "waves", "strokes"]
    (many, all_of_them, batch), (_, first, batch_1), (_, second, batch_2) = fitted
    assert many == 2
    # Each style is measured on the photographs that the network of both paints in it.
    np.testing.assert_array_equal(first, all_of_them[0::2])
    np.testing.assert_array_equal(second, all_of_them[1::2])
    np.testing.assert_array_equal(batch, batch_1)  # and all learn from the same ones
    np.testing.assert_array_equal(batch, batch_2)
    assert record["percent"]["style"]["mean"] == pytest.approx(140)  # 6 over 2.5
    assert record["percent"]["content"]["mean"] == pytest.approx(0)
    picture = files.load_image(tmp_path / "out" / "together" / "one_network_0.jpg")
    assert picture.shape[2] == 2 * 64


@pytest.mark.parametrize("learn", [("waves",), ("waves", "waves")])
def test_what_cannot_be_learnt_together_is_refused(start, training_data, tmp_path, learn):
    options = short_trainings.options_for(training_data, tmp_path, "together")
    with pytest.raises(SystemExit, match="error: learn: wanted 2 to 16 styles, each once, got wav"):
        start(script, *options, "--learn", *learn)
