"""Our networks as ONNX graphs, from their parameters: a transformer, and what reads a painting."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from nst_jax.encoders.preprocessing import TORCHVISION, Preprocessing
from nst_jax.encoders.vgg import kernel_shapes
from nst_jax.export.onnx_graph import Arrays, Graph, Storage
from nst_jax.networks import ghiasi, huang, johnson
from nst_jax.networks.mobilenet import STAGES
from nst_jax.networks.style_predictors import STATISTICS_LAYERS
from nst_jax.stylizers import BUCKET, Stylizer
from nst_jax.stylizers.architectures import ARCHITECTURES

PICTURE = [1, "height", "width", 3]
"""The shape of a picture in and out of a graph."""

_LAYER_NORM_EPS = 1e-6  # flax's

Finish = Callable[[Graph, str, str], str]


def export_onnx(
    stylizer: Stylizer, *, about: Mapping[str, str], storage: Storage = "float"
) -> dict[str, bytes]:
    """Return the contents of ONNX files: "transformer", and "style" where paintings are read.

    The transformer takes "images", and a style as its own arguments: "style_weights" (1, styles);
    or what the other graph answers for "painting": "mean" and "deviation" (1, 512) and an "alpha"
    (1, 1); or "embedding" (1, 100). It answers "painted". Pictures may have any sides from
    least_side on; they are mirrored to multiples of 32 and cut again, as stylizers do. A network of
    one style has its median filter in the graph.

    Args:
        stylizer: The network.
        about: What files say of themselves.
        storage: How kernels are kept; see Graph.kernel.
    """
    weights = _Weights(stylizer.variables)
    if isinstance(stylizer.network, huang.HuangNetwork):
        return _export_huang(stylizer, weights, about, storage)
    if stylizer.architecture.startswith("ghiasi2017"):
        return _export_ghiasi(stylizer, weights, about, storage)
    graph, inputs = Graph(storage=storage), {"images": PICTURE}
    if isinstance(stylizer.network, johnson.JohnsonNetwork):
        painted = _johnson(graph, _enter(graph, stylizer), weights, stylizer.network)
    else:
        inputs["style_weights"] = [1, len(stylizer.styles)]
        steer = _steered_by_weights(graph, weights)
        painted = _residual(
            graph, _enter(graph, stylizer), weights, steer, stylizer.network.CHANNELS
        )
    painted = _leave(graph, painted, median=getattr(stylizer, "median_filter", 1))
    return {"transformer": graph.finish(inputs, {"painted": (painted, PICTURE)}, about=about)}


def least_side(stylizer: Stylizer) -> int:
    """Return the shortest side of a picture that the graph takes: what can be mirrored so far.

    Args:
        stylizer: The network.
    """
    return BUCKET + ARCHITECTURES[stylizer.architecture].surroundings


class _Weights:
    """A network's variables by layer: weights("residual1a") has its kernel and bias."""

    def __init__(self, variables: Any, within: str = ""):
        flat = flatten_dict(jax.device_get(dict(variables)), sep="/")
        self._arrays = {key: np.asarray(array, np.float32) for key, array in flat.items()}
        self._within = within

    def __call__(self, layer: str, *, collection: str = "params") -> Arrays:
        start = "/".join(filter(None, (collection, self._within, layer))) + "/"
        found = {
            key.removeprefix(start): array
            for key, array in self._arrays.items()
            if key.startswith(start)
        }
        if not found:
            raise KeyError(start)
        return found

    def part(self, name: str) -> "_Weights":
        """Those of a part of the network."""
        part = object.__new__(_Weights)
        part._arrays, part._within = self._arrays, name
        return part


def _enter(graph: Graph, stylizer: Stylizer) -> str:
    """The picture with its surroundings, mirrored to sides that are multiples of 32."""
    return _mirrored(graph, "images", ARCHITECTURES[stylizer.architecture].surroundings)


def _mirrored(graph: Graph, name: str, around: int = 0) -> str:
    """An input with so many pixels around it, then to multiples of 32 below and on the right."""
    x = graph.add("Transpose", name, perm=[0, 3, 1, 2])
    sides = graph.add("Slice", graph.add("Shape", x), graph.whole(2), graph.whole(4))
    rest = graph.add("Mod", graph.add("Neg", sides), graph.whole(BUCKET))
    after = graph.add("Add", rest, graph.whole(around, around))
    zeros, before = graph.whole(0, 0), graph.whole(around, around)
    pads = graph.add("Concat", zeros, before, zeros, after, axis=0)
    return graph.add("Pad", x, pads, mode="reflect")


def _leave(graph: Graph, x: str, *, median: int = 1) -> str:
    """The painted picture, clipped, cut to the size of "images", and filtered."""
    x = graph.add("Clip", x, graph.number(0.0), graph.number(1.0))
    sides = graph.add("Slice", graph.add("Shape", "images"), graph.whole(1), graph.whole(3))
    x = graph.add("Slice", x, graph.whole(0, 0), sides, graph.whole(2, 3))
    if median == 3:
        x = _median_of_nine(graph, x)
    elif median != 1:
        raise ValueError(f"median_filter: wanted 1 or 3 for ONNX, got {median}; leave it out")
    return graph.add("Transpose", x, perm=[0, 2, 3, 1])


def _median_of_nine(graph: Graph, x: str) -> str:
    """A median filter of 3 by 3 pixels with mirrored edges, by 19 exchanges (Paeth 1990)."""
    padded = graph.reflect(x, 1)
    sides = graph.add("Slice", graph.add("Shape", x), graph.whole(2), graph.whole(4))
    values = []
    for top in range(3):
        for left in range(3):
            start = graph.whole(top, left)
            end = graph.add("Add", start, sides)
            values.append(graph.add("Slice", padded, start, end, graph.whole(2, 3)))
    pairs = "12 45 78 01 34 67 12 45 78 03 58 47 36 14 25 47 42 64 42"
    for low, high in (map(int, pair) for pair in pairs.split()):
        values[low], values[high] = (
            graph.add(operation, values[low], values[high]) for operation in ("Min", "Max")
        )
    return values[4]


def _johnson(graph: Graph, x: str, weights: _Weights, network: johnson.JohnsonNetwork) -> str:
    def norm(x: str, name: str) -> str:
        layer = weights(f"{name}_norm")
        scale, bias = layer["scale"], layer["bias"]
        if network.normalization == "batch":
            return _batch_norm(graph, x, weights, f"{name}_norm")
        return graph.normalize(x, scale=graph.per_channel(scale), bias=graph.per_channel(bias))

    def relu(x: str) -> str:
        return graph.add("Relu", x)

    mean = graph.per_channel(np.array(TORCHVISION.mean, np.float32))
    x = graph.add("Mul", graph.add("Sub", x, mean), graph.number(255))
    x = relu(norm(graph.convolve(x, weights("contract1")), "contract1"))
    for name in ("contract2", "contract3"):
        x = relu(norm(graph.convolve(x, weights(name), stride=2), name))
    for number in range(1, 6):
        first, second = f"residual{number}a", f"residual{number}b"
        y = relu(norm(graph.convolve(x, weights(first), padding="valid"), first))
        y = norm(graph.convolve(y, weights(second), padding="valid"), second)
        axes, starts, ends = graph.whole(2, 3), graph.whole(2, 2), graph.whole(-2, -2)
        x = graph.add("Add", graph.add("Slice", x, starts, ends, axes), y)
    for name in ("expand1", "expand2"):
        x = relu(norm(graph.convolve_transposed(x, weights(name)), name))
    x = graph.add("Tanh", graph.convolve(x, weights("output")))
    if network.output == "unit":
        return graph.add("Mul", graph.add("Add", x, graph.number(1)), graph.number(0.5))
    return graph.add("Add", mean, graph.add("Mul", x, graph.number(150 / 255)))


def _residual(
    graph: Graph, x: str, weights: _Weights, steer: Callable[[str, str], str], channels: Any
) -> str:
    """Dumoulin's network and Ghiasi's transformer, which differ in how they are steered."""

    def layer(x: str, name: str, stride: int = 1) -> str:
        y = graph.convolve(x, weights(name), stride=stride, padding="reflect")
        return steer(y, name)

    for name, stride in (("contract1", 1), ("contract2", 2), ("contract3", 2)):
        x = graph.add("Relu", layer(x, name, stride))
    for number in range(1, channels.residual_blocks + 1):
        y = graph.add("Relu", layer(x, f"residual{number}a"))
        x = graph.add("Add", x, layer(y, f"residual{number}b"))
    for name in ("expand1", "expand2"):
        x = graph.add("Relu", steer(graph.upsample_convolve(x, weights(name)), name))
    return graph.add("Sigmoid", layer(x, "output"))


def _steered_by_weights(graph: Graph, weights: _Weights) -> Callable[[str, str], str]:
    def steer(x: str, name: str) -> str:
        tables = weights(f"{name}_norm")
        scale, bias = (
            _over_positions(graph, graph.add("MatMul", "style_weights", graph.constant(table)))
            for table in (tables["scale"], tables["bias"])
        )
        return graph.normalize(x, scale=scale, bias=bias)

    return steer


def _over_positions(graph: Graph, x: str) -> str:
    """(1, channels) as (1, channels, 1, 1)."""
    return graph.add("Unsqueeze", x, graph.whole(2, 3))


def _batch_norm(graph: Graph, x: str, weights: _Weights, name: str) -> str:
    layer, moments = weights(name), weights(name, collection="batch_stats")
    scale = layer["scale"] / np.sqrt(moments["var"] + 1e-5)
    bias = layer["bias"] - moments["mean"] * scale
    x = graph.add("Mul", x, graph.per_channel(scale))
    return graph.add("Add", x, graph.per_channel(bias))


def _export_ghiasi(
    stylizer: Stylizer, weights: _Weights, about: Mapping[str, str], storage: Storage
) -> dict[str, bytes]:
    transformer, size = weights.part("transformer"), [1, 100]
    graph = Graph(storage=storage)

    def steer(x: str, name: str) -> str:
        if name.startswith("contract"):
            return _batch_norm(graph, x, transformer, f"{name}_norm")
        scale, bias = (
            _over_positions(graph, graph.dense("embedding", transformer(f"{name}_norm/{part}")))
            for part in ("scale", "bias")
        )
        return graph.normalize(x, scale=scale, bias=bias)

    five = type("Channels", (), {"residual_blocks": 5})
    painted = _residual(graph, _enter(graph, stylizer), transformer, steer, five)
    painted = _leave(graph, painted)
    inputs = {"images": PICTURE, "embedding": size}
    found = {"transformer": graph.finish(inputs, {"painted": (painted, PICTURE)}, about=about)}
    graph, predictor = Graph(storage=storage), weights.part("predictor")
    x = _mirrored(graph, "painting")
    is_mobile = isinstance(stylizer.network, ghiasi.MobileGhiasiNetwork)
    embedding = (
        _mobile_predictor(graph, x, predictor)
        if is_mobile
        else _vgg_predictor(graph, x, weights, stylizer.network.pooling)
    )
    outputs = {"embedding": (embedding, size)}
    return found | {"style": graph.finish({"painting": PICTURE}, outputs, about=about)}


def _vgg_predictor(graph: Graph, x: str, weights: _Weights, pooling: str) -> str:
    features = _vgg(
        graph, x, weights.part("predictor/encoder"), TORCHVISION, "conv3_1", pooling, "zero"
    )
    found = []
    for name in STATISTICS_LAYERS:
        mean, variance = graph.moments(features[name])
        found += [mean, graph.add("Sqrt", variance)]
    together = graph.add("Concat", *found, axis=1)
    x = graph.add("Flatten", together)
    head = weights.part("predictor/head")
    standard = weights.part("predictor")("head", collection="batch_stats")
    x = graph.add("Sub", x, graph.constant(standard["mean"].reshape(1, -1)))
    x = graph.add("Div", x, graph.constant(standard["scale"].reshape(1, -1)))
    x = graph.add("Clip", x, graph.number(-3.0), graph.number(3.0))
    x = graph.add("Relu", _layer_norm(graph, graph.dense(x, head("hidden")), head("hidden_norm")))
    return _layer_norm(graph, graph.dense(x, head("embedding")), head("embedding_norm"))


def _layer_norm(graph: Graph, x: str, layer: Arrays) -> str:
    scale, bias = (graph.constant(layer[name]) for name in ("scale", "bias"))
    return graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=_LAYER_NORM_EPS)


def _mobile_predictor(graph: Graph, x: str, weights: _Weights) -> str:
    def relu6(x: str) -> str:
        return graph.add("Clip", x, graph.number(0.0), graph.number(6.0))

    def pad_for_halving(x: str) -> str:
        return graph.add("Pad", x, graph.whole(0, 0, 0, 0, 0, 0, 1, 1), mode="constant")

    def block(x: str, name: str, stride: int, expansion: int) -> str:
        y = x
        if expansion > 1:
            y = relu6(graph.convolve(y, weights(f"{name}_expand")))
        depthwise = dict(weights(f"{name}_depthwise"))
        count = depthwise["kernel"].shape[-1]
        depthwise["kernel"] = depthwise["kernel"][:, :, None]
        y = pad_for_halving(y) if stride == 2 else y
        padding = "valid" if stride == 2 else "zero"
        y = graph.convolve(y, depthwise, stride=stride, padding=padding, groups=count)
        return graph.convolve(relu6(y), weights(f"{name}_project"))

    x = graph.convolve(pad_for_halving(x), weights("stem"), stride=2, padding="valid")
    x, channels, number = relu6(x), None, 0
    for stage in STAGES:
        for first in range(stage.blocks):
            stride = stage.stride if first == 0 else 1
            y = block(x, f"block{number}", stride, stage.expansion)
            x = graph.add("Add", x, y) if stride == 1 and channels == stage.channels else y
            channels, number = stage.channels, number + 1
    x = relu6(graph.convolve(x, weights("last")))
    mean = graph.add("ReduceMean", x, graph.whole(2, 3), keepdims=0)
    return graph.dense(mean, weights("embedding"))


def _vgg(
    graph: Graph,
    x: str,
    weights: _Weights,
    preprocessing: Preprocessing,
    last: str,
    pooling: str,
    padding: Any,
) -> dict[str, str]:
    """The ReLU layers of a VGG up to one, by name."""
    if preprocessing.channel_order == "bgr":
        x = graph.add("Gather", x, graph.whole(2, 1, 0), axis=1)
    mean, std = (np.array(each, np.float32) for each in (preprocessing.mean, preprocessing.std))
    x = graph.add("Mul", x, graph.number(preprocessing.scale))
    x = graph.add("Div", graph.add("Sub", x, graph.per_channel(mean)), graph.per_channel(std))
    kind = {"max": "MaxPool", "average": "AveragePool"}[pooling]
    found: dict[str, str] = {}
    for name in kernel_shapes("vgg19"):  # in order; VGG-16 lacks some of them
        if name > last:
            break
        try:
            layer = weights(name)
        except KeyError:
            continue
        if name.endswith("_1") and name != "conv1_1":
            x = graph.add(kind, x, kernel_shape=[2, 2], strides=[2, 2])
        x = graph.add("Relu", graph.convolve(x, layer, padding=padding))
        found[name.replace("conv", "relu")] = x
    return found


def _export_huang(
    stylizer: Stylizer, weights: _Weights, about: Mapping[str, str], storage: Storage
) -> dict[str, bytes]:
    network, size = stylizer.network, [1, 512]

    def encode(graph: Graph, x: str) -> str:
        encoder = network.encoder
        parts = (encoder.preprocessing, "conv4_1", encoder.pooling, encoder.padding)
        return _vgg(graph, x, weights.part("encoder"), *parts)["relu4_1"]

    graph = Graph(storage=storage)
    x = encode(graph, _enter(graph, stylizer))
    own_mean, variance = graph.moments(x)
    eps = graph.number(1e-5)
    own_deviation = graph.add("Sqrt", graph.add("Add", variance, eps))
    mean, deviation, alpha = (
        _over_positions(graph, name) for name in ("mean", "deviation", "alpha")
    )
    normal = graph.add("Div", graph.add("Sub", x, own_mean), own_deviation)
    styled = graph.add("Add", graph.add("Mul", normal, deviation), mean)
    change = graph.add("Mul", alpha, graph.add("Sub", styled, x))
    x = graph.add("Add", x, change)
    decoder, enlarging = weights.part("decoder"), huang.enlarging_layers(network.architecture)
    for name in huang.decoder_channels(network.architecture):
        layer = decoder(name)
        x = (
            graph.upsample_convolve(x, layer)
            if name in enlarging
            else graph.convolve(x, layer, padding="reflect")
        )
        x = x if name == huang.LAST else graph.add("Relu", x)
    painted = _leave(graph, x)
    inputs = {"images": PICTURE, "mean": size, "deviation": size, "alpha": [1, 1]}
    found = {"transformer": graph.finish(inputs, {"painted": (painted, PICTURE)}, about=about)}
    graph = Graph(storage=storage)
    x = encode(graph, _mirrored(graph, "painting"))
    mean, variance = graph.moments(x)
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.number(1e-5)))
    outputs = {
        "mean": (graph.add("Flatten", mean), size),
        "deviation": (graph.add("Flatten", deviation), size),
    }
    return found | {"style": graph.finish({"painting": PICTURE}, outputs, about=about)}
