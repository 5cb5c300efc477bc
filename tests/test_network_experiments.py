"""The figures on trained networks, on made networks and pictures of a few pixels."""

import argparse
import csv
import importlib
import shutil
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_arrays, made_pictures
from test_network_benchmark import EXPERIMENTS

from nst_jax import files, stylizers
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.papers import dumoulin_2017, johnson_2016
from nst_jax.pixels.step import make_optimizer
from nst_jax.pixels.transformations import make_transformation

pytestmark = pytest.mark.usefixtures("lax_promotion")

SIZE = 48
TIERS = {
    "content/heldout/a_hill.jpg": "A free",
    "content/heldout/b_lake.jpg": "B research-only",
    "content/heldout/c_tree.jpg": "A free",
    "content/train/d_road.jpg": "S share-alike",
    "papers/content/tubingen.jpg": "C do not redistribute",
    "papers/content/somebody.jpg": "C do not redistribute",
    "papers/style/strokes.jpg": "A free",
    "style/train/waves.jpg": "A free",
}


@pytest.fixture
def scripts(monkeypatch) -> SimpleNamespace:
    """The scripts and their parts as modules, whose sheets are of few pixels."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    names = (
        "contact_sheet",
        "data_folder",
        "descent",
        "lbfgs_curves",
        "network_figures",
        "style_judges",
    )
    papers = ("johnson_2016", "dumoulin_2017")
    loaded = {name: importlib.import_module(name) for name in (*names, *papers)}
    monkeypatch.setattr(loaded["network_figures"], "SMALL", 64)
    monkeypatch.setattr(loaded["network_figures"], "LARGE", 96)

    def run(paper, *options):
        monkeypatch.setattr(sys, "argv", [f"{paper}.py", *map(str, options)])
        loaded["network_figures"].run(loaded[paper].main)

    return SimpleNamespace(**loaded, run=run)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), TIERS)


def write_data(folder, tiers):
    """Made pictures by file, and a manifest of them."""
    for number, file in enumerate(tiers):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        files.save_image(folder / file, jnp.asarray(made_pictures(1, 56, 64, 3, seed=number)))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "source", "author_title", "licence", "tier", "width", "height"))
        for file, tier in tiers.items():
            writer.writerow((file, "", f"who made {file}", f"licence {tier[0]}", tier, 64, 56))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A network of the style strokes, and one of strokes, waves and dots."""
    folder = tmp_path_factory.mktemp("models")
    johnson = JohnsonNetwork(width=2, normalization="instance", output="vgg")
    images = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
    variables = made_arrays(jax.eval_shape(johnson.init, jax.random.key(0), images))
    variables["params"]["contract1"]["kernel"] /= 100  # of numbers up to 255
    variables["params"]["output"]["kernel"] *= 0.3
    one, many = folder / "one.safetensors", folder / "many.safetensors"
    card = {"preset": "smoke", "config": {"style_weight": 3.0, "style_layers": [["relu2_2", 2.0]]}}
    stylizers.save_model(one, johnson, variables, styles=["strokes"], card=card)
    dumoulin = DumoulinNetwork(num_styles=3, width=2)
    weights = jax.ShapeDtypeStruct((1, 3), jnp.float32)
    variables = made_arrays(jax.eval_shape(dumoulin.init, jax.random.key(0), images, weights))
    names = ["strokes", "waves", "dots"]
    stylizers.save_model(many, dumoulin, variables, styles=names, card={"preset": "smoke"})
    return SimpleNamespace(one=one, many=many)


# Figures are made once ----------------------------------------------------------------------------


def make_once(scripts, out, made, *, networks=(), **options):
    """Make a figure of one picture, which appends its options to `made`."""

    def figure(options, out):
        made.append(options.size)
        (out / "sheet.jpg").touch()
        files.write_record(out / "record.json", {"command": "python experiments/x.py"})

    told = {"size": 8, "models": [], "figures": ["sheet"], "data": None, "look": None, "out": out}
    given = argparse.Namespace(**told | options)
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=8)
    scripts.network_figures.make_once(figure, parser, given, out, networks=networks)


def test_a_figure_that_is_complete_is_not_made_again(scripts, tmp_path, capsys):
    made, out = [], tmp_path / "sheet"
    make_once(scripts, out, made)
    make_once(scripts, out, made, figures=["sizes", "sheet"])
    assert made == [8]
    assert capsys.readouterr().out.splitlines()[1].startswith(f"{out} is complete; ")
    (out / "sheet.jpg").unlink()
    make_once(scripts, out, made)
    make_once(scripts, out, made, size=9)
    make_once(scripts, out, made, size=9, look=tmp_path)
    assert made == [8, 8, 9, 9]
    make_once(scripts, out, made, size=9, data=tmp_path)
    assert made == [8, 8, 9, 9, 9]


def test_a_figure_is_made_again_by_another_network(scripts, models, tmp_path):
    made, out = [], tmp_path / "sheet"
    copy = tmp_path / "network.safetensors"
    for network in (models.one, models.one, models.many):
        shutil.copyfile(network, copy)
        make_once(scripts, out, made, models=[str(copy)])
    assert made == [8, 8]
    for _ in range(2):
        make_once(scripts, out, made, networks=("johnson2016",))
    assert made == [8, 8, 8]
    record = files.read_record(out / "record.json")
    assert set(record["made"]["by"]["networks"]) == {
        name for name in stylizers.list_models() if name.startswith("johnson2016")
    }
    assert record["command"] == "python experiments/x.py"


# The loss of networks in steps of L-BFGS ---------------------------------------------------------


def objective(scripts, data, models, out, *, count):
    steps = ("--sizes", SIZE, "--count", count, "--least-steps", 2, "--num-steps", 2)
    given = ("--data", data, "--models", models.one, "--out", out)
    scripts.run("johnson_2016", "--figures", "objective", *steps, *given)
    (run,) = files.read_record(out / "objective" / "record.json")["runs"].values()
    return run


def test_losses_are_those_of_the_cards_objective_and_none_is_measured_twice(
    scripts, data, models, tmp_path, capsys
):
    run = objective(scripts, data, models, tmp_path, count=1)
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
    content = scripts.network_figures.load_square(
        scripts.data_folder.pictures_in(data, "content/heldout")[0], SIZE
    )
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
    for start in ("noise", "photograph"):
        told = run["summary"][start]["steps"]
        assert told["photographs"] == 1
        assert told["median"] == found[start]["steps"]
        curve = np.array(found[start]["curve"])
        for kind, wanted in (("steps", total), ("steps_clipped", clipped_total)):
            below = [step for step, loss in enumerate(curve) if loss <= wanted]
            assert (below[0] if below else None) == found[start][kind], (kind, curve, wanted)
    assert (tmp_path / "objective" / "objective.png").stat().st_size > 1000

    again = objective(scripts, data, models, tmp_path, count=3)
    assert list(again["photographs"]) == [file for file in TIERS if "heldout" in file]
    assert again["photographs"][name] == found
    assert "a_hill" not in capsys.readouterr().out.partition("b_lake")[2]


def quadratic(image):
    return 0.5 * (image**2).sum(), {"content": jnp.zeros(())}


@pytest.mark.parametrize(("least", "length"), [(1, (2, 5)), (9, (10, 13))])
def test_a_curve_is_long_enough_and_ends_where_it_should(scripts, least, length):
    evaluate = jax.jit(jax.value_and_grad(quadratic, has_aux=True))
    tx = make_transformation("lbfgs", learning_rate=1.0, history=5)
    image = jnp.asarray(made_pictures(1, 4, 6, 3))
    reports = scripts.descent.descend(
        make_optimizer(evaluate, tx),
        image,
        (),
        1e9,
        scripts.descent.Limits(least, 40),
    )
    totals = [report.total for report in reports]
    assert [report.step for report in reports] == list(range(len(totals)))
    assert length[0] <= len(totals) <= length[1]
    pixels = np.asarray(image, np.float64)
    first = 1 - 1 / np.abs(pixels).sum()
    wanted = 0.5 * (pixels**2).sum() * np.array([1, first**2])
    np.testing.assert_allclose(totals[:2], wanted, rtol=1e-5)


def test_a_curve_ends_where_the_loss_diverges(scripts):
    def evaluate(image):
        total = jnp.where(jnp.abs(image).max() < 0.5, jnp.nan, 1.0)
        return (total, {}), image / jnp.abs(image).max()

    tx = make_transformation("lbfgs", learning_rate=1.0, history=5)
    reports = scripts.descent.descend(
        make_optimizer(jax.jit(evaluate), tx),
        jnp.full((1, 1, 1, 3), 0.6),
        (),
        0.0,
        scripts.descent.Limits(5, 40),
    )
    # At once below 0.5; begun anew, in steps of 0.05, two are left.
    assert [report.total for report in reports] == [1.0, 1.0, 1.0]


def test_steps_are_counted_to_the_first_loss_that_is_low_enough(scripts):
    first_step_at = scripts.descent.first_step_at
    assert first_step_at([5.0, 3.0, 4.0, 2.0], 3.0) == 1
    assert first_step_at([5.0, 3.0, 4.0, 2.0], 6.0) == 0
    assert first_step_at([5.0, 3.0, 4.0, 2.0], 1.0) is None


def test_what_was_not_reached_leaves_a_median_but_no_mean(scripts):
    def measured(*steps):
        kinds = [{"steps": step, "steps_clipped": 7} for step in steps]
        return [{"noise": kind, "photograph": kind} for kind in kinds]

    summary = scripts.lbfgs_curves.summarize(measured(10, 40, 16))["noise"]
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
    summary = scripts.lbfgs_curves.summarize(measured(10, None, 16))["photograph"]["steps"]
    assert (summary["not_reached"], summary["mean"], summary["median"]) == (1, None, 16)
    assert summary["most"] is None


# Sheets ------------------------------------------------------------------------------------------


def pictures_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}


def test_only_what_may_be_shown_is_on_the_sheets(scripts, data, models, tmp_path):
    out, look = tmp_path / "out", tmp_path / "look"
    given = ("--figures", "sheet", "--data", data, "--models", models.one)
    scripts.run("johnson_2016", *given, "--out", out)
    sheets = {"one.jpg", "one_tubingen.jpg"}
    assert pictures_below(out / "sheet") == sheets
    before = {name: (out / "sheet" / name).read_bytes() for name in sheets}
    scripts.run("johnson_2016", *given, "--out", out, "--look", look)
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


def test_a_sheet_has_its_pictures_in_rows_and_a_limit(scripts, tmp_path):
    red, blue = np.zeros((2, 30, 40, 3), np.float32)
    red[..., 0], blue[..., 2] = 1, 1
    save_sheet, split_rows = scripts.contact_sheet.save_sheet, scripts.contact_sheet.split_rows
    path = tmp_path / "new" / "sheet.jpg"
    rows = split_rows([(red, "red"), (blue, "blue"), (blue, "again")], 2)
    save_sheet(path, rows, side=20)
    sheet = np.asarray(files.load_image(path))[0]
    assert sheet.shape == (2 * (20 + 15), 40, 3)  # a line of text, then half of 30
    for row, column, colour in ((1, 0, (1, 0, 0)), (1, 1, (0, 0, 1)), (2, 0, (0, 0, 1))):
        middle = sheet[35 * row - 8, 20 * column + 10]
        np.testing.assert_allclose(middle, colour, atol=0.1)
    np.testing.assert_allclose(sheet[60, 30], 1, atol=0.02)

    noise = np.random.default_rng(0).uniform(size=(1200, 1200, 3))
    save_sheet(path, [[(noise, "noise")]], side=1200)
    assert 200_000 < path.stat().st_size <= 600_000


def test_a_sheet_has_captions_without_matplotlib_too(scripts, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = tmp_path / "sheet.jpg"
    scripts.contact_sheet.save_sheet(path, [[(np.ones((20, 60, 3)), "a label")]], side=60)
    caption = np.asarray(files.load_image(path))[0, : scripts.contact_sheet.CAPTION]
    assert caption.min() < 0.3


# Many styles -------------------------------------------------------------------------------------


def test_many_styles_are_compared_with_one_on_the_styles_of_both(
    scripts, data, models, tmp_path, capsys
):
    given = ("--data", data, "--models", models.one, models.many, "--out", tmp_path)
    pixels = ("--size", SIZE, "--count", 2)
    scripts.run("dumoulin_2017", "--figures", "styles", *pixels, *given)
    record = files.read_record(tmp_path / "styles" / "record.json")
    assert list(record["styles"]) == ["strokes"]
    row = record["styles"]["strokes"]
    assert row["network"] == "one"
    assert row["trained_alike"] is False  # by the weights in its card
    assert "Johnson" in record["note"]
    assert record["photographs"] == ["content/heldout/a_hill.jpg", "content/heldout/b_lake.jpg"]

    config = dumoulin_2017.PRESETS["smoke"]
    encoder, params = load_encoder("vgg16")
    style = files.load_image(data / "papers/style/strokes.jpg")
    grams = dumoulin_2017.compute_style_grams(config, [style], encoder, params)
    measure = jax.jit(dumoulin_2017.make_objective(config, encoder))
    photographs = scripts.data_folder.pictures_in(data, "content/heldout")
    content = scripts.network_figures.load_square(photographs[1], SIZE)
    many = stylizers.load_stylizer(models.many)
    one = stylizers.load_stylizer(models.one, median_filter=1)
    _, theirs = measure(many(content, "strokes"), content, grams, params)
    _, single = measure(one(content), content, grams, params)
    for term in ("content", "style"):
        wanted = 100 * (float(theirs[term]) / float(single[term]) - 1)
        assert row[term]["percent"][1] == pytest.approx(wanted, rel=1e-3)
        assert record["percent"][term]["mean"] == pytest.approx(np.mean(row[term]["percent"]))
    assert "strokes" in capsys.readouterr().out


def test_mixtures_go_from_one_style_to_the_other(scripts, data, models, tmp_path, capsys):
    given = ("--data", data, "--models", models.many, "--out", tmp_path, "--size", SIZE)
    scripts.run("dumoulin_2017", "--figures", "interpolation", "--count", 1, *given)
    record = files.read_record(tmp_path / "interpolation" / "record.json")
    np.testing.assert_allclose(record["weights_of_second"], np.linspace(0, 1, 11), atol=1e-9)
    assert list(record["styles"]) == ["strokes", "waves"]
    assert record["photographs"] == ["content/heldout/a_hill.jpg"]
    assert list(record["strip"]) == ["content/heldout/a_hill.jpg"]

    config = dumoulin_2017.PRESETS["smoke"]
    encoder, params = load_encoder("vgg16")
    style = files.load_image(data / "style/train/waves.jpg")
    grams = dumoulin_2017.compute_style_grams(config, [style], encoder, params)
    measure = jax.jit(dumoulin_2017.make_objective(config, encoder))
    (photograph, *_) = scripts.data_folder.pictures_in(data, "content/heldout")
    content = scripts.network_figures.load_square(photograph, SIZE)
    network = stylizers.load_stylizer(models.many)
    losses = record["styles"]["waves"]["style_loss"]
    for point, weights in ((0, [1, 0, 0]), (3, [0.7, 0.3, 0]), (10, [0, 1, 0])):
        _, terms = measure(network(content, weights), content, grams, params)
        assert losses[point] == pytest.approx(float(terms["style"]), rel=1e-3)
    for name, sign in (("strokes", 1), ("waves", -1)):
        found = record["styles"][name]
        curve = sign * np.array(found["style_loss"])
        least = np.diff(curve).min()
        assert found["largest_step_back"] == pytest.approx(max(0, -least) / np.ptp(curve))
        assert found["monotone"] == (least > 0)
    folder = tmp_path / "interpolation"
    assert {path.name for path in folder.iterdir()} == {"losses.png", "record.json", "strip.jpg"}

    with pytest.raises(SystemExit, match="error: between: wanted two styles of many"):
        scripts.run(
            "dumoulin_2017", "--figures", "interpolation", "--between", "waves", "waves", *given
        )


@pytest.fixture
def saved_sheets(scripts, monkeypatch):
    """The cells of the sheets that are saved, before they are put on paper."""
    saved = []
    for paper in (scripts.johnson_2016, scripts.dumoulin_2017):
        monkeypatch.setattr(paper, "save_sheet", lambda path, rows, *, side: saved.append(rows))
    return saved


def test_one_network_paints_all_sizes(scripts, data, models, saved_sheets, tmp_path, monkeypatch):
    monkeypatch.setattr(scripts.johnson_2016, "SIZES", (32, 64))
    given = ("--data", data, "--models", models.one, "--out", tmp_path)
    scripts.run("johnson_2016", "--figures", "sizes", *given)
    ((small, large),) = saved_sheets[0]
    network = stylizers.load_stylizer(models.one)
    for (painted, label), size in ((small, 32), (large, 64)):
        photograph = files.load_image(data / "papers/content/tubingen.jpg", size=size)
        np.testing.assert_array_equal(painted, network(photograph)[0])
        assert max(painted.shape) == size
        assert label.endswith(str(size))
    record = files.read_record(tmp_path / "sizes" / "record.json")
    assert record["sizes"] == [32, 64]
    assert record["command"].startswith("python experiments/johnson_2016.py --figures sizes --data")
    assert str(data) not in record["command"]


def test_mixtures_fill_the_square_between_four_styles(
    scripts, data, saved_sheets, tmp_path, monkeypatch
):
    colours = dict(zip(scripts.dumoulin_2017.CORNERS, np.eye(4, 3), strict=True))  # and black

    def paint(content, shares):
        colour = sum(share * colours[name] for name, share in shares.items())
        return np.broadcast_to(colour, content.shape)

    class FlatNetwork:
        name = "flat"
        __call__ = staticmethod(paint)

    monkeypatch.setattr(scripts.network_figures, "load_networks", lambda *given: [FlatNetwork()])
    scripts.run("dumoulin_2017", "--figures", "corners", "--data", data, "--out", tmp_path)
    rows = saved_sheets[0]
    painted = np.array([[picture.mean((0, 1)) for picture, _ in row] for row in rows])
    assert painted.shape == (5, 5, 3)
    for place, name in zip(((0, 0), (0, 4), (4, 0), (4, 4)), colours, strict=True):
        np.testing.assert_allclose(painted[place], colours[name], atol=1e-6)
        assert rows[place[0]][place[1]][1] == name
    np.testing.assert_allclose(painted[2, 2], 0.25)
    np.testing.assert_allclose(painted[0, :, 0], [1, 0.75, 0.5, 0.25, 0])


def test_four_styles_are_at_the_corners_of_their_mixtures(scripts):
    shares = np.array(scripts.network_figures.corner_shares(5)).reshape(5, 5, 4)
    np.testing.assert_allclose(shares.sum(-1), 1)
    for corner, (row, column) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        np.testing.assert_array_equal(shares[row, column], np.eye(4)[corner])
    np.testing.assert_allclose(shares[2, 2], 0.25)
    assert (np.diff(shares[:, 1, 2]) > 0).all()  # the lower left one's, downwards


def test_monotone_is_each_step_in_the_right_direction(scripts):
    describe = scripts.style_judges.describe_curves
    rising = describe([[0.0, 1.0, 3.0], [0.0, 4.0, 3.0]], rising=True)
    assert rising == {
        "style_loss": [0.0, 2.5, 3.0],
        "mean_is_monotone": True,
        "monotone": 1,
        "largest_step_back": 0.25,  # 4 to 3, of a range of 4
    }
    falling = describe([[0.0, 1.0, 3.0], [9.0, 4.0, 2.0]], rising=False)
    assert (falling["monotone"], falling["mean_is_monotone"]) == (1, False)  # it ends flat
    assert falling["largest_step_back"] == pytest.approx(2 / 3)


def test_each_style_has_a_row(scripts, data, models, tmp_path):
    given = ("--figures", "sheet", "--data", data, "--models", models.many, "--out", tmp_path)
    scripts.run("dumoulin_2017", *given)
    (sheet,) = (tmp_path / "sheet").glob("*.jpg")
    height, width = files.load_image(sheet).shape[1:3]
    assert (height, width) == (3 * (20 + 84), 64 + 64 + 96)  # Tübingen's is the highest


# Data and errors ---------------------------------------------------------------------------------


def test_photographs_are_chosen_by_their_tier(scripts, data):
    folder = scripts.data_folder
    assert folder.free_photographs(data, "content/train") == (
        [data / "content/train/d_road.jpg"],
        {"licence S": 1},
    )
    paths, licences = folder.free_photographs(data, "content/heldout")
    assert [path.stem for path in paths] == ["a_hill", "c_tree"]
    assert licences == {"licence A": 2}
    everything = folder.pictures_in(data, "content/heldout")
    assert [picture.path.stem for picture in folder.spread(everything, 2)] == ["a_hill", "b_lake"]
    assert folder.spread(everything, 9) == everything
    with pytest.raises(FileNotFoundError, match="lists nothing in content/other"):
        folder.pictures_in(data, "content/other")


def test_paintings_are_found_by_name_and_known_by_their_hash(scripts, data):
    find_style, path = scripts.data_folder.find_style, data / "style/train/waves.jpg"
    assert find_style(data, "waves") == path
    assert find_style(data, "waves", sha256=files.sha256_of(path)) == path
    with pytest.raises(ValueError, match=r"style waves: .* is not the file"):
        find_style(data, "waves", sha256="0" * 64)
    with pytest.raises(FileNotFoundError, match=r"style dots: wanted dots\.jpg in"):
        find_style(data, "dots")


def test_what_cannot_be_measured_is_told_in_one_line(scripts, data, models, tmp_path):
    given = ("--data", data, "--out", tmp_path, "--figures")
    with pytest.raises(SystemExit, match="error: models: no network of johnson2016 given"):
        scripts.run("johnson_2016", *given, "objective", "--models", models.many)
    model = stylizers.load_model(models.one)
    stray = tmp_path / "stray.safetensors"
    stylizers.save_model(stray, model.network, model.variables, styles=["fog"], card={})
    with pytest.raises(SystemExit, match="error: stray: its card must name a preset"):
        scripts.run("johnson_2016", *given, "objective", "--models", stray)
    with pytest.raises(SystemExit, match="error: models: many has no style"):
        scripts.run("dumoulin_2017", *given, "styles", "--models", models.many, stray)
