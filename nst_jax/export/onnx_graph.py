"""The few ONNX operations that our networks are made of, with our arrays and conventions.

Inside a graph feature maps are (1, channels, height, width), as ONNX has them.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Shaped

from nst_jax.export.requirements import require_library
from nst_jax.ops.convolution import Padding

OPSET = 18
_IR_VERSION = 9  # which ONNX Runtime has read since 1.16

Arrays = Mapping[str, Shaped[np.ndarray, "..."]]
"""A layer's arrays by their names, such as kernel and bias."""


Storage = Literal["float", "int8"]
"""How kernels are kept: as they are, or as whole numbers of 8 bits with a scale a channel."""

_LEAST_KERNEL = 1024  # numbers, below which 8 bits save nothing


class Graph:
    """A graph in the making: each operation returns the name of its answer."""

    def __init__(self, *, storage: Storage = "float") -> None:
        require_library("onnx")
        self._storage = storage
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation of ONNX' and return the name of its first answer.

        Args:
            operation: As ONNX calls it.
            *inputs: Names of its operands; empty for one that is left out.
            **attributes: Its attributes.
        """
        from onnx import helper

        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def constant(self, array: Any) -> str:
        """Add an array: in float16 where that loses nothing, which halves the file."""
        from onnx import numpy_helper

        array = np.asarray(array)
        name = f"c{len(self._constants)}"
        if array.dtype == np.float32 and array.size > 1:
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            if np.array_equal(half.astype(np.float32), array):
                self._constants.append(numpy_helper.from_array(half, name))
                return self.add("Cast", name, to=1)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def kernel(self, array: Float[np.ndarray, "..."], *, axis: int) -> str:
        """Add a layer's kernel w, as the storage says.

        As int8 it is round(w / s), from -127 to 127, times s = max |w| / 127 of each output
        channel.

        Args:
            array: The kernel, as the operation wants it.
            axis: That of the output channels.
        """
        from onnx import numpy_helper

        array = np.asarray(array, np.float32)
        if self._storage == "float" or array.size < _LEAST_KERNEL:
            return self.constant(array)
        others = tuple(each for each in range(array.ndim) if each != axis)
        scale = np.maximum(np.abs(array).max(others, keepdims=True) / 127, np.float32(1e-30))
        name = f"c{len(self._constants)}"
        self._constants.append(
            numpy_helper.from_array(np.rint(array / scale).astype(np.int8), name)
        )
        return self.add("DequantizeLinear", name, self.constant(scale.ravel()), axis=axis)

    def number(self, value: float) -> str:
        """Add a number."""
        return self.constant(np.float32(value))

    def whole(self, *values: int) -> str:
        """Add whole numbers, such as axes."""
        return self.constant(np.array(values, np.int64))

    def per_channel(self, array: Float[np.ndarray, " channels"]) -> str:
        """Add an array that has a number for each channel of a feature map."""
        return self.constant(np.asarray(array, np.float32).reshape(1, -1, 1, 1))

    def convolve(
        self, x: str, layer: Arrays, *, stride: int = 1, padding: Padding = "zero", groups: int = 1
    ) -> str:
        """Add ops.convolution.convolve: kernels are (height, width, in, out)."""
        kernel = np.asarray(layer["kernel"], np.float32)
        side = kernel.shape[0] // 2
        if padding == "reflect":
            x = self.reflect(x, side)
        weights = self.kernel(kernel.transpose(3, 2, 0, 1), axis=0)
        bias = self.constant(np.asarray(layer["bias"], np.float32))
        pads = [side] * 4 if padding == "zero" else [0] * 4
        return self.add("Conv", x, weights, bias, strides=[stride] * 2, pads=pads, group=groups)

    def convolve_transposed(self, x: str, layer: Arrays) -> str:
        """Add ops.convolution.convolve_transposed, which doubles height and width."""
        weights = self.kernel(np.asarray(layer["kernel"]).transpose(2, 3, 0, 1), axis=1)
        bias = self.constant(np.asarray(layer["bias"], np.float32))
        pads = {"pads": [1] * 4, "output_padding": [1, 1]}
        return self.add("ConvTranspose", x, weights, bias, strides=[2, 2], **pads)

    def upsample_convolve(self, x: str, layer: Arrays) -> str:
        """Add ops.convolution.upsample_convolve with reflection."""
        scales = self.constant(np.array([1, 1, 2, 2], np.float64).astype(np.float32))
        words = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        enlarged = self.add("Resize", x, "", scales, mode="nearest", **words)
        return self.convolve(enlarged, layer, padding="reflect")

    def reflect(self, x: str, side: int) -> str:
        """Add a reflection of so many pixels around a feature map."""
        pads = self.whole(0, 0, side, side, 0, 0, side, side)
        return self.add("Pad", x, pads, mode="reflect")

    def moments(self, x: str) -> tuple[str, str]:
        """Add a feature map's means and biased variances, (1, channels, 1, 1) each."""
        axes = self.whole(2, 3)
        mean = self.add("ReduceMean", x, axes, keepdims=1)
        deviation = self.add("Sub", x, mean)
        variance = self.add("ReduceMean", self.add("Mul", deviation, deviation), axes, keepdims=1)
        return mean, variance

    def normalize(self, x: str, *, scale: str, bias: str, eps: float = 1e-5) -> str:
        """Add an instance normalisation, with a scale and a bias for each channel."""
        mean, variance = self.moments(x)
        root = self.add("Sqrt", self.add("Add", variance, self.number(eps)))
        normal = self.add("Div", self.add("Sub", x, mean), root)
        return self.add("Add", self.add("Mul", normal, scale), bias)

    def dense(self, x: str, layer: Arrays) -> str:
        """Add a dense layer: x W + b."""
        kernel, bias = (np.asarray(layer[name], np.float32) for name in ("kernel", "bias"))
        product = self.add("MatMul", x, self.kernel(kernel, axis=1))
        return self.add("Add", product, self.constant(bias.reshape(1, -1)))

    def finish(
        self,
        inputs: Mapping[str, list[Any]],
        outputs: Mapping[str, tuple[str, list[Any]]],
        *,
        about: Mapping[str, str],
    ) -> bytes:
        """Return the graph as the content of an ONNX file, checked.

        Args:
            inputs: Shapes by names; sides that may be anything are words.
            outputs: The names of answers inside the graph and their shapes, by names.
            about: What the file says of itself.
        """
        import onnx
        from onnx import TensorProto, helper

        renamed = [helper.make_node("Identity", [v], [name]) for name, (v, _) in outputs.items()]
        made = helper.make_graph(
            [*self._nodes, *renamed],
            "nst_jax",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)
                for n, (_, shape) in outputs.items()
            ],
            self._constants,
        )
        model = helper.make_model(
            made,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="nst_jax",
            ir_version=_IR_VERSION,
        )
        helper.set_model_props(model, dict(about))
        onnx.checker.check_model(model)
        return model.SerializeToString()
