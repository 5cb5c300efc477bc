"""Runs that are steps of one batch, compared with the same runs one after another."""

import dataclasses

import numpy as np
import pytest

from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import PRESETS
from nst_jax.runs.report import DivergedError

BASE = dataclasses.replace(
    PRESETS["smoke"],
    size=128,  # with a coarse size of 64 before it
    # One step at the full size: it is so short that the difference of gradients after it, by which
    # a second one would be scaled, is partly rounding.
    num_steps=4,
    scales=((0.5, 0.75), (1.0, 0.25)),
    style_layers=(("relu1_1", 1.0),),
    content_layers=(("relu1_1", 1.0),),
    init="noise",
    noise_std=0.1,
)
CHANGES = (
    {"seed": 1},
    {"style_weight": 40.0, "style_layers": (("relu1_1", 0.3),)},
    {"noise_std": 1e30},  # overflows at once
    {"init": "content", "content_weight": 0.1, "tv_weight": 0.0, "style_size": 48},
)


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16")


@pytest.mark.slow
def test_each_run_of_a_batch_goes_as_it_would_alone(photograph, painting, vgg16):
    configs = [dataclasses.replace(BASE, **change) for change in CHANGES]
    steps: list[list[int | None]] = []

    batch = gatys_2016.stylize_together(
        photograph,
        painting,
        configs,
        *vgg16,
        on_step=lambda reports: steps.append([r and r.step for r in reports]),
    )

    assert steps == [[step, step, None, step] for step in range(1, 5)]
    for config, mine in zip(configs, batch, strict=True):
        if config.noise_std == 1e30:
            assert isinstance(mine, DivergedError)
            with pytest.raises(DivergedError) as alone:
                gatys_2016.stylize(photograph, painting, config, *vgg16)
            assert (mine.step, str(mine)) == (alone.value.step, str(alone.value))
            continue
        assert not isinstance(mine, DivergedError)
        (image, record), (wanted, alone) = (
            mine,
            gatys_2016.stylize(photograph, painting, config, *vgg16),
        )
        # Rounding at a kink moves a few pixels more than the rest.
        difference = np.abs(np.asarray(image) - np.asarray(wanted))
        assert difference.mean() < 2e-4
        assert difference.max() < 2e-2
        assert record["config"] == alone["config"]
        assert record["info"]["sizes"] == [[48, 64], [96, 128]]
        assert [entry["step"] for entry in record["steps"]] == [1, 2, 3, 4]
        for entry, entry_alone in zip(record["steps"], alone["steps"], strict=True):
            assert entry == pytest.approx(entry_alone, rel=1e-3)
        assert record["info"]["initial"] == pytest.approx(alone["info"]["initial"], rel=1e-3)
        last = alone["info"]["before_clipping"]
        assert record["info"]["before_clipping"] == pytest.approx(last, rel=1e-3)


@pytest.mark.parametrize(
    "change",
    [{"optimizer": "adam"}, {"remat": True}, {"num_steps": 7}, {"size": 64}, {"history": 3}],
)
def test_what_cannot_share_a_batch_is_refused(photograph, painting, vgg16, change):
    configs = [BASE, dataclasses.replace(BASE, **change)]
    with pytest.raises(ValueError, match="configs: wanted some that differ in weights, seed, no"):
        gatys_2016.stylize_together(photograph, painting, configs, *vgg16)
