"""ONNX files against ONNX Runtime: the picture is the one that our stylizer paints."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from any_style_oracle import save_made_model
from network_oracle import made_pictures
from small_models import STYLES, save_models, save_small

from nst_jax import files
from nst_jax.cli import main
from nst_jax.export.onnx_networks import export_onnx, least_side
from nst_jax.networks.ghiasi import GhiasiNetwork, MobileGhiasiNetwork
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.stylizers import list_models, load_stylizer

SIZES = [(96, 96), (97, 130), (100, 72), (128, 81)]


@pytest.fixture
def run_onnx():
    """Runs a graph's bytes: run(content, {name: array}) returns its answers."""
    runtime = pytest.importorskip("onnxruntime")

    def run(content: bytes, inputs: dict[str, Any]) -> list[np.ndarray]:
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return session.run(None, {name: np.asarray(array) for name, array in inputs.items()})

    return run


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_models(tmp_path)
    batch = JohnsonNetwork(width=4, normalization="batch", output="vgg")
    save_small(tmp_path / "batch.safetensors", batch, ["waves"])
    save_made_model(tmp_path / "any.safetensors")
    embedding = jax.ShapeDtypeStruct((1, 100), jnp.float32)
    predicted = GhiasiNetwork(width=2, pooling="average")
    save_small(tmp_path / "predicted.safetensors", predicted, (), embedding)
    mobile = MobileGhiasiNetwork(width=2)
    save_small(tmp_path / "mobile.safetensors", mobile, (), embedding)
    return tmp_path


def assert_same(painted, ours):
    assert painted.shape == ours.shape
    np.testing.assert_allclose(painted, ours, atol=2e-3)
    assert np.abs(painted - ours).mean() < 1e-4


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["one", "batch", "many", "any", "predicted", "mobile"])
def test_small_networks_paint_the_same_at_any_size(models, run_onnx, name):
    stylizer: Any = load_stylizer(f"{name}.safetensors")
    parts = export_onnx(stylizer, about={})
    painting = made_pictures(1, 61, 90, 3, seed=1)
    for height, width in SIZES:
        pictures = made_pictures(1, height, width, 3)
        if name in ("one", "batch"):
            inputs: dict[str, Any] = {}
            ours = stylizer(pictures)
        elif name == "many":
            inputs = {"style_weights": np.array([[0.25, 0, 0.75]], np.float32)}
            ours = stylizer(pictures, {STYLES[0]: 1, STYLES[2]: 3})
        elif name == "any":
            mean, deviation = run_onnx(parts["style"], {"painting": painting})
            inputs = {"mean": mean, "deviation": deviation, "alpha": np.array([[0.7]], np.float32)}
            ours = stylizer(pictures, painting, alpha=0.7)
        else:
            (embedding,) = run_onnx(parts["style"], {"painting": painting})
            np.testing.assert_allclose(embedding[0], stylizer.embed(painting), atol=1e-3)
            inputs = {"embedding": embedding}
            ours = stylizer(pictures, painting)
        (painted,) = run_onnx(parts["transformer"], {"images": pictures, **inputs})
        assert_same(painted, np.asarray(ours))
    side = least_side(stylizer)
    small = made_pictures(1, side, side, 3)
    assert run_onnx(parts["transformer"], {"images": small, **inputs})[0].shape == small.shape


@pytest.mark.oracle
@pytest.mark.parametrize("name", list_models())
def test_the_models_that_ship_paint_the_same_at_twenty_sizes(tmp_path, run_onnx, name):
    stylizer: Any = load_stylizer(name)
    parts = export_onnx(stylizer, about={})
    photo = files.load_pixels(files.asset_path("content/kitten.jpg"), size=320)
    painting = files.load_pixels(files.asset_path("style/van_gogh_harvest.jpg"), size=256)[None]
    inputs: dict[str, Any] = {}
    style: Any = None
    if name == "huang2017":
        mean, deviation = run_onnx(parts["style"], {"painting": painting})
        inputs = {"mean": mean, "deviation": deviation, "alpha": np.ones((1, 1), np.float32)}
        style = painting
    elif not stylizer.styles:
        (embedding,) = run_onnx(parts["style"], {"painting": painting})
        inputs, style = {"embedding": embedding}, painting
    elif len(stylizer.styles) > 1:
        inputs, style = {"style_weights": np.eye(12, dtype=np.float32)[3:4]}, 3
    for number in range(20):
        height, width = 96 + 7 * number, 230 - 5 * number
        pictures = photo[None, :height, :width]
        (painted,) = run_onnx(parts["transformer"], {"images": pictures, **inputs})
        ours = np.asarray(stylizer(pictures, style))
        assert painted.shape == ours.shape
        assert np.abs(painted - ours).max() < 5e-3, "about a level of 255"


@pytest.mark.oracle
@pytest.mark.parametrize("name", list_models())
def test_eight_bits_change_pictures_by_a_few_levels(tmp_path, run_onnx, name):
    stylizer: Any = load_stylizer(name)
    picture = files.load_pixels(files.asset_path("content/kitten.jpg"), size=192)[None]
    painting = files.load_pixels(files.asset_path("style/van_gogh_harvest.jpg"), size=192)[None]
    painted, sizes = {}, {}
    for storage in ("float", "int8"):
        parts = export_onnx(stylizer, about={}, storage=storage)
        sizes[storage] = sum(map(len, parts.values()))
        inputs: dict[str, Any] = {}
        if name == "huang2017":
            mean, deviation = run_onnx(parts["style"], {"painting": painting})
            inputs = {"mean": mean, "deviation": deviation, "alpha": np.ones((1, 1), np.float32)}
        elif not stylizer.styles:
            (inputs["embedding"],) = run_onnx(parts["style"], {"painting": painting})
        elif len(stylizer.styles) > 1:
            inputs = {"style_weights": np.eye(12, dtype=np.float32)[3:4]}
        (painted[storage],) = run_onnx(parts["transformer"], {"images": picture, **inputs})
    assert sizes["int8"] < 0.6 * sizes["float"]
    assert 0 < np.abs(painted["int8"] - painted["float"]).mean() < 4 / 255


@pytest.mark.oracle
def test_the_command_writes_checked_files_with_the_card(models, capsys):
    onnx = pytest.importorskip("onnx")
    assert main(["export", "predicted.safetensors", "-o", "net.onnx", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["file"] for each in told["results"]] == ["net.onnx", "net_style.onnx"]
    model = onnx.load("net.onnx")
    about = {each.key: each.value for each in model.metadata_props}
    assert about["network"] == "ghiasi2017"
    assert json.loads(about["card"]) == {}
    (images,) = [each for each in model.graph.input if each.name == "images"]
    dims = images.type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == [1, "height", "width", 3]
    assert (models / "net.onnx").stat().st_size < 10 * (
        models / "predicted.safetensors"
    ).stat().st_size
    assert main(["export", "one.safetensors", "-o", "net.onnx"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["export", "one.safetensors", "-o", "net.pt"]) == 2
    assert "use .onnx, .stablehlo" in capsys.readouterr().err
    assert main(["export", "one.safetensors", "-o", "q.onnx", "--quantize", "int8"]) == 0
    assert main(["export", "one.safetensors", "-o", "q.stablehlo", "--quantize", "int8"]) == 2
    assert "int8 is for ONNX files" in capsys.readouterr().err


@pytest.mark.oracle
def test_weights_of_half_precision_are_stored_so(models):
    onnx = pytest.importorskip("onnx")
    parts = export_onnx(load_stylizer("one.safetensors"), about={})
    kinds = {
        each.data_type for each in onnx.load_from_string(parts["transformer"]).graph.initializer
    }
    assert onnx.TensorProto.FLOAT16 in kinds
    assert len(parts["transformer"]) < 2 * (models / "one.safetensors").stat().st_size
