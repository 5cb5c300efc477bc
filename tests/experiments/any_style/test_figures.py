"""Oracles: distances by NumPy over made features; which pictures each row is painted of."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_arrays

from experiments.any_style import __main__ as script
from experiments.any_style import judge, pairs
from experiments.common import relative_distances
from nst_jax import files
from nst_jax.encoders.vgg import FIRST_LAYERS
from nst_jax.networks.ghiasi import GhiasiNetwork
from nst_jax.stylizers import save_model

pytestmark = pytest.mark.usefixtures("lax_promotion")


class Multiples:
    """In place of VGG: at layer i the picture's colours, times i."""

    def apply(self, params: Any, images: Any, *, layers: Any) -> dict[str, Any]:
        return {layer: images * (i + 1) for i, layer in enumerate(layers)}


def test_distances_are_relative_ones_of_central_squares(monkeypatch):
    monkeypatch.setattr(relative_distances, "load_encoder", lambda name: (Multiples(), {}))
    rng = np.random.default_rng(0)
    # Whole bytes at the judged size: nothing is rounded or scaled.
    wide = rng.integers(0, 256, (1, 256, 300, 3)).astype(np.float32) / 255
    tall = rng.integers(0, 128, (1, 280, 256, 3)).astype(np.float32) / 255
    painted = rng.integers(0, 256, (1, 256, 256, 3)).astype(np.float32) / 255
    found = judge.Judge()(jnp.asarray(painted), jnp.asarray(wide), jnp.asarray(tall))

    def gram(image):
        flat = image.reshape(-1, 3).astype(np.float64)
        return flat.T @ flat / len(flat)

    content, style = wide[:, :, 22:278], tall[:, 12:268]
    distance = np.sum((gram(painted) - gram(style)) ** 2) / np.sum(gram(style) ** 2)
    of_content = np.sum((painted - content) ** 2) / np.sum(content**2)
    expected = {
        **dict.fromkeys((*FIRST_LAYERS, "style"), distance),
        "content": of_content,
    }
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_larger_picture_is_reduced_to_its_shorter_side():
    image = jnp.broadcast_to(jnp.linspace(0, 1, 1024).reshape(1, 1, 1024, 1), (1, 512, 1024, 3))
    found = judge.central_square(image)
    assert found.shape == (1, 256, 256, 3)
    np.testing.assert_allclose(found[0, 0, :, 0], np.linspace(0.25, 0.75, 256), atol=0.005)


class Pixels:
    """In place of the judge."""

    def __call__(self, painted: Any, photograph: Any, painting: Any) -> dict[str, float]:
        found = dict.fromkeys(FIRST_LAYERS, float(jnp.mean(painting)))
        content = float(jnp.abs(painted - photograph).mean())
        return {**found, "style": float(jnp.mean(painted)), "content": content}


@pytest.fixture
def small(monkeypatch, data):
    """Pairs of the made data, small pictures, and no VGG."""
    photographs = ("content/heldout/a_hill.jpg", "content/heldout/c_tree.jpg")
    paintings = (data / "papers/style/strokes.jpg", data / "style/train/waves.jpg")

    def load_pairs(folder: Path, count: int) -> list[pairs.Pair]:
        found = [pairs.find_picture(folder, each) for each in photographs]
        return [pairs._load(*each) for each in zip(found, paintings, strict=True)][:count]

    monkeypatch.setattr(pairs, "SIZE", 64)
    monkeypatch.setattr(script, "SIZE", 64)
    monkeypatch.setattr(script, "load_pairs", load_pairs)
    monkeypatch.setattr(script, "Judge", Pixels)
    monkeypatch.setattr(script, "load_encoder", lambda name: ())


@pytest.fixture(scope="module")
def any_style(tmp_path_factory) -> Path:
    """A network of any style."""
    path, network = tmp_path_factory.mktemp("model") / "any.safetensors", GhiasiNetwork(width=2)
    shapes = jax.eval_shape(
        network.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)), jnp.zeros((1, 100))
    )
    save_model(path, network, made_arrays(shapes), styles=(), card={})
    return path


@pytest.mark.slow
def test_rows_are_painted_judged_and_kept(
    start, small, data, models, any_style, tmp_path, monkeypatch
):
    ran = []

    def stylize(content, style, config):
        ran.append(config)
        return content, {"info": {"interrupted": False}}

    monkeypatch.setattr(script.gatys_2016, "stylize", stylize)
    words = ("--data", data, "--figures", "distances", "--out", tmp_path, "--steps", 3, 5)
    start(script, *words, "--models", models.many, any_style, "--optimize-pairs", 1)

    rows = files.read_record(tmp_path / "distances/record.json")["rows"]
    many, predicted = Path(models.many).stem, "any"
    assert list(rows) == [many, predicted, "optimize, 3 steps", "optimize, 5 steps"]
    assert rows[many]["pairs"] == ["a_hill after strokes", "c_tree after waves"]
    assert rows[predicted]["pairs"] == ["a_hill after strokes", "c_tree after waves"]
    assert [(config.num_steps, config.size) for config in ran] == [(3, 64), (5, 64)]
    assert rows["optimize, 3 steps"]["mean"]["content"] == 0
    found = [pair["content"] for pair in rows[predicted]["found"]]
    assert rows[predicted]["mean"]["content"] == pytest.approx(np.mean(found))
    assert min(found) > 0.01
    assert (tmp_path / "distances/distances.png").stat().st_size > 1000

    # What Ctrl-C stopped is no row.
    monkeypatch.setattr(
        script.gatys_2016, "stylize", lambda content, *_: (content, {"info": {"interrupted": True}})
    )
    with pytest.raises(KeyboardInterrupt):
        start(script, *words, 7, "--models", any_style, "--optimize-pairs", 1)
    assert "optimize, 7 steps" not in files.read_record(tmp_path / "distances/record.json")["rows"]
    monkeypatch.setattr(script.gatys_2016, "stylize", stylize)

    # A second run paints nothing; another count is another row.
    start(script, *words, "--models", any_style, "--optimize-pairs", 1)
    assert len(ran) == 2
    start(script, *words, "--models", any_style, "--optimize-pairs", 2)
    assert len(ran) == 6


@pytest.mark.slow
def test_the_sheet_shows_networks_of_any_style(start, small, data, models, any_style, tmp_path):
    start(
        script,
        *("--data", data, "--figures", "sheet", "--out", tmp_path),
        *("--models", models.many, any_style),
    )
    record = files.read_record(tmp_path / "sheet/record.json")
    assert record["networks"] == ["any"]
    sheet = files.load_image(tmp_path / "sheet/sheet.jpg")
    assert sheet.shape[1] > 4 * 40
    assert float(jnp.std(sheet)) > 0.1


@pytest.mark.parametrize("image", [(40, 24), (24, 40)])
def test_the_package_s_own_way_answers_the_photographs_size(image, tmp_path):
    class Seen:
        def __call__(self, content, painting):
            self.sizes = content.shape, painting.shape
            return content

    photo, painting = tmp_path / "photo.png", tmp_path / "painting.png"
    picture = jnp.linspace(0, 1, image[0] * image[1] * 3).reshape(1, *image, 3)
    files.save_image(photo, picture)
    files.save_image(painting, picture)
    seen = Seen()
    described: Any = type("Described", (), {"path": photo})
    pair = pairs.Pair("pair", described, picture, painting, picture)
    painted = script._peers_way(seen)(pair)
    assert painted.shape == picture.shape
    longer, shorter = 384, round(384 * 24 / 40)
    wanted = (longer, shorter) if image[0] > image[1] else (shorter, longer)
    assert seen.sizes == ((1, *wanted, 3), (1, 256, 256, 3))
    np.testing.assert_allclose(painted, picture, atol=0.1)
