"""The figures on Johnson et al. 2016, on made networks and pictures of a few pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_data import TIERS

from experiments.common import data_folder, network_figures
from experiments.johnson_2016 import __main__ as script
from experiments.johnson_2016 import lbfgs_curves
from nst_jax import files, stylizers
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import johnson_2016

pytestmark = pytest.mark.usefixtures("lax_promotion", "small_sheets")

SIZE = 48


# The loss of networks in steps of L-BFGS ---------------------------------------------------------


def objective(start, data, models, out, *, count):
    steps = ("--sizes", SIZE, "--count", count, "--least-steps", 2, "--num-steps", 2)
    given = ("--data", data, "--models", models.one, "--out", out)
    start(script, "--figures", "objective", *steps, *given)
    (run,) = files.read_record(out / "objective" / "record.json")["runs"].values()
    return run


@pytest.mark.slow
def test_losses_are_those_of_the_cards_objective_and_none_is_measured_twice(
    start, data, models, tmp_path, capsys
):
    run = objective(start, data, models, tmp_path, count=1)
    config = run["settings"]["config"]
    assert (config["style_weight"], config["style_layers"]) == (3.0, [["relu2_2", 2.0]])
    assert config["content_layers"] == [["relu2_2", 1.0]]  # the preset's

    # Told by the objective that networks are trained by, not the one that pixels are.
    (name, found), config = (
        *run["photographs"].items(),
        johnson_2016.Config(
            **{
                **vars(johnson_2016.PRESETS["smoke"]),
                "style_weight": 3.0,
                "style_layers": (("relu2_2", 2.0),),
            }
        ),
    )
    assert name == "content/heldout/a_hill.jpg"
    assert {"commit", "versions", "device"} <= found.keys()
    encoder, params = load_encoder("vgg16")
    style = files.load_image(data / "papers/style/strokes.jpg")
    grams = johnson_2016.compute_style_grams(config, style, encoder, params)
    measure = jax.jit(johnson_2016.make_objective(config, encoder))
    photograph = files.load_image(data / name)
    content = network_figures.load_square(data_folder.pictures_in(data, "content/heldout")[0], SIZE)
    assert content.shape == (1, SIZE, SIZE, 3)
    assert abs(float(content.mean() - photograph[:, :, 4:-4].mean())) < 0.01
    model = stylizers.load_model(models.one)
    painted = jax.jit(model.network.apply)(model.variables, content)
    total, terms = measure(painted, content, grams, params)
    clipped_total, _ = measure(painted.clip(0, 1), content, grams, params)
    assert found["total"] == pytest.approx(float(total), rel=1e-4)
    assert found["clipped_total"] == pytest.approx(float(clipped_total), rel=1e-4)
    assert found["terms"]["style"] == pytest.approx(float(terms["style"]), rel=1e-4)
    first, _ = measure(content, content, grams, params)
    assert found["photograph"]["curve"][0] == pytest.approx(float(first), rel=1e-4)
    assert found["noise"]["curve"][0] > found["photograph"]["curve"][0]
    assert len(found["noise"]["curve"]) == 3
    for origin in ("noise", "photograph"):
        told = run["summary"][origin]["steps"]
        assert told["photographs"] == 1
        assert told["median"] == found[origin]["steps"]
        curve = np.array(found[origin]["curve"])
        for kind, wanted in (("steps", total), ("steps_clipped", clipped_total)):
            below = [step for step, loss in enumerate(curve) if loss <= wanted]
            assert (below[0] if below else None) == found[origin][kind], (kind, curve, wanted)
    assert (tmp_path / "objective" / "objective.png").stat().st_size > 1000

    again = objective(start, data, models, tmp_path, count=2)
    assert list(again["photographs"]) == [file for file in TIERS if "heldout" in file][:2]
    assert again["photographs"][name] == found
    assert "a_hill" not in capsys.readouterr().out.partition("b_lake")[2]


def test_what_was_not_reached_leaves_a_median_but_no_mean():
    def measured(*steps):
        kinds = [{"steps": step, "steps_clipped": 7} for step in steps]
        return [{"noise": kind, "photograph": kind} for kind in kinds]

    summary = lbfgs_curves.summarize(measured(10, 40, 16))["noise"]
    assert summary["steps"] == {
        "photographs": 3,
        "not_reached": 0,
        "mean": 22.0,
        "deviation": pytest.approx(252**0.5),  # of -12, 18 and -6
        "median": 16.0,
        "least": 10,
        "most": 40,
    }
    assert summary["steps_clipped"]["mean"] == 7
    summary = lbfgs_curves.summarize(measured(10, None, 16))["photograph"]["steps"]
    assert (summary["not_reached"], summary["mean"], summary["median"]) == (1, None, 16)
    assert summary["most"] is None


# Sheets ------------------------------------------------------------------------------------------


def pictures_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}


def test_only_what_may_be_shown_is_on_the_sheets(start, data, models, tmp_path):
    out, look = tmp_path / "out", tmp_path / "look"
    given = ("--figures", "sheet", "--data", data, "--models", models.one)
    start(script, *given, "--out", out)
    sheets = {"one.jpg", "one_tubingen.jpg"}
    assert pictures_below(out / "sheet") == sheets
    before = {name: (out / "sheet" / name).read_bytes() for name in sheets}
    start(script, *given, "--out", out, "--look", look)
    assert pictures_below(look) == {
        *(f"one/{name}_64.jpg" for name in ("a_hill", "b_lake", "c_tree")),
        *(f"one/{name}_96.jpg" for name in ("tubingen", "somebody")),
    }
    assert {name: (out / "sheet" / name).read_bytes() for name in sheets} == before
    shown = files.read_record(out / "sheet" / "record.json")["shown"]["one"]
    assert set(shown) == {
        "content/heldout/a_hill.jpg",
        "content/heldout/c_tree.jpg",
        "papers/content/tubingen.jpg",
    }
    hill = "content/heldout/a_hill.jpg"
    assert shown[hill] == {"author": f"who made {hill}", "licence": "licence A"}
    painted = stylizers.load_stylizer(models.one)(files.load_image(data / hill, size=64))
    saved = files.load_image(look / "one" / "a_hill_64.jpg")
    assert float(jnp.abs(saved - painted).mean()) < 0.03


@pytest.fixture
def saved_sheets(monkeypatch):
    """The cells of the sheets that are saved, before they are put on paper."""
    saved = []
    monkeypatch.setattr(script, "save_sheet", lambda path, rows, *, side: saved.append(rows))
    return saved


@pytest.mark.slow
def test_one_network_paints_all_sizes(start, data, models, saved_sheets, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "SIZES", (32, 64))
    given = ("--data", data, "--models", models.one, "--out", tmp_path)
    start(script, "--figures", "sizes", *given)
    ((small, large),) = saved_sheets[0]
    network = stylizers.load_stylizer(models.one)
    for (painted, label), size in ((small, 32), (large, 64)):
        photograph = files.load_image(data / "papers/content/tubingen.jpg", size=size)
        np.testing.assert_array_equal(painted, network(photograph)[0])
        assert max(painted.shape) == size
        assert label.endswith(str(size))
    record = files.read_record(tmp_path / "sizes" / "record.json")
    assert record["sizes"] == [32, 64]
    assert record["command"].startswith("python -m experiments.johnson_2016 --figures sizes --data")
    assert str(data) not in record["command"]


def test_what_cannot_be_measured_is_told_in_one_line(start, data, models, tmp_path):
    given = ("--data", data, "--out", tmp_path, "--figures")
    with pytest.raises(SystemExit, match="error: models: no network of johnson2016 given"):
        start(script, *given, "objective", "--models", models.many)
    model = stylizers.load_model(models.one)
    stray = tmp_path / "stray.safetensors"
    stylizers.save_model(stray, model.network, model.variables, styles=["fog"], card={})
    with pytest.raises(SystemExit, match="error: stray: its card must name a preset"):
        start(script, *given, "objective", "--models", stray)
