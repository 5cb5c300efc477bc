"""The figures on Gatys et al. 2017, on made pictures and with the optimisation left out."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from made_data import write_data

from experiments.common import labelled_runs
from experiments.gatys_2017 import __main__ as script
from nst_jax import files

SIZE = 32
CAPTION = 20
TIERS = {
    "papers/content/tubingen.jpg": "B see its page",
    "papers/style/composition_vii.jpg": "A free",
    "papers/style/gatysctl_fig3_style1.jpg": "A free",
}


@pytest.fixture
def experiment(monkeypatch, start, tmp_path):
    """run(*options) makes figures in tmp_path of flat pictures, and answers each one's record."""
    ran, regions = [], []

    def paint(content, style, config, encoder, encoder_params, *, masks=None, style_masks=None):
        """A picture of the content's size as bright as the style."""
        style = jnp.concatenate([picture.ravel() for picture in style])
        ran.append((config, float(style.mean())))
        regions.append((masks, style_masks))
        entry = {"step": config.num_steps, "total": 1.0}
        info = {"initial": entry, "interrupted": False}
        record = {"config": {}, "seconds": {"run": 1.0}, "steps": [entry] * 3, "info": info}
        return jnp.full_like(content, style.mean()), record

    def mix(coarse, fine, config, encoder, encoder_params):
        return paint(coarse, (coarse + fine.mean()) / 2, config, encoder, encoder_params)

    monkeypatch.setattr(labelled_runs.gatys_2016, "stylize", paint)
    monkeypatch.setattr(script.gatys_2017, "mix_scales", mix)
    monkeypatch.setattr(labelled_runs, "load_encoder", lambda name: (name, {}))

    def run(figure, *options):
        start(script, "--figures", figure, "--size", SIZE, "--out", tmp_path, *options)
        sheet = np.asarray(files.load_image(tmp_path / figure / "sheet.jpg"))[0]
        return files.read_record(tmp_path / figure / "record.json"), sheet, ran

    return SimpleNamespace(run=run, regions=regions)


def test_color_is_kept_in_every_way(experiment):
    record, sheet, ran = experiment.run("color", "--num-steps", 3)

    assert [(config.color, config.color_when) for config, _ in ran] == [
        ("style", "before"),
        ("luminance", "before"),
        ("cholesky", "before"),
        ("pca", "before"),
        ("symmetric", "before"),
        ("histogram", "before"),
        ("luminance", "after"),
        ("pca", "after"),
    ]
    assert {(config.num_steps, config.size) for config, _ in ran} == {(3, SIZE)}
    assert list(record["runs"])[:2] == ["plain", "luminance only"]
    assert len(record["runs"]["plain"]["steps"]) == 2
    assert record["pictures"]["content"]["licence"] == "CC0-1.0"
    assert record["pictures"]["style"]["author"] == "Vincent van Gogh"
    # Ten cells of which the first two are the bundled inputs.
    height = CAPTION + round(
        SIZE
        * files.load_image(files.asset_path("content/neuschwanstein_castle.jpg"), size=SIZE).shape[
            1
        ]
        / SIZE
    )
    assert sheet.shape[1] <= 5 * SIZE
    assert sheet[CAPTION:height, :SIZE].std() > 0.05
    assert sheet[CAPTION + 2 : height - 2, 2 * SIZE + 2 : 3 * SIZE - 8].std() < 0.02


@pytest.mark.slow
def test_scales_are_mixed_and_painted(experiment):
    record, _, ran = experiment.run("scale")

    (_, mixed), *painted = ran
    brightness = [mean for _, mean in painted]
    assert list(record["runs"]) == ["mixed painting", "coarse", "fine", "mixed"]
    assert {config.color for config, _ in painted} == {"pca"}
    assert brightness[2] == pytest.approx(mixed, rel=1e-4)
    assert brightness[2] == pytest.approx((brightness[0] + brightness[1]) / 2, rel=1e-4)


@pytest.mark.slow
def test_resolution_is_low_high_and_coarse_to_fine(experiment):
    _, _, ran = experiment.run("resolution")

    low, high, both = (config for config, _ in ran)
    assert (low.size, high.size, both.size) == (SIZE // 2, SIZE, SIZE)
    assert low.scales == high.scales == ((1.0, 1.0),)
    (factor, first), (_, second) = both.scales
    assert factor == 0.5
    assert first / second == pytest.approx(2.5)


@pytest.mark.slow
def test_the_papers_pictures_are_named_and_not_shown(experiment, tmp_path):
    data = write_data(tmp_path / "data", TIERS)
    record, sheet, _ = experiment.run("color", "--data", data)

    files_used = {part: picture["file"] for part, picture in record["pictures"].items()}
    assert files_used["content"] == "papers/content/tubingen.jpg"
    assert files_used["style"] == "papers/style/gatysctl_fig3_style1.jpg"
    assert set(record["pictures"]["content"]) == {"file", "author", "licence"}
    assert sheet.shape[1] == 5 * SIZE
    assert sheet[CAPTION + 4 : CAPTION + SIZE // 2, 4 : 5 * SIZE - 4].std() < 0.05, (
        "no input is shown"
    )


@pytest.mark.slow
def test_skies_are_painted_after_skies(experiment):
    record, _, ran = experiment.run("spatial")

    assert list(record["runs"])[:2] == ["plain", "sky to sky, ground to ground"]
    assert [config.mask_mode for config, _ in ran[2:]] == ["simple", "all", "inside"]
    (plain, none), *guided = experiment.regions
    assert plain is None
    assert none is None
    for masks, style_masks in guided:
        np.testing.assert_array_equal(masks.sum(0), 1)  # every place has one style
        assert len(style_masks) == 2
        height = len(masks[0])
        assert masks[0][: height // 12].mean() > 0.98  # the sky is above
        assert masks[0][-height // 3 :].max() == 0
    whose_sky, whose_ground = guided[0][1]
    np.testing.assert_array_equal(whose_sky + whose_ground, 1)
