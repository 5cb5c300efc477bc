"""The feed-forward networks written a second time, in PyTorch, for comparisons with ours.

Nothing here imports nst_jax, so that what it answers is evidence. Parameters come as trees of
arrays named and laid out as ours are, are laid out by `johnson_parameters` or
`dumoulin_parameters` as PyTorch likes them, and pictures are NCHW. speed/networks.py times the
networks, in float32, and the tests marked `oracle` compare with them, in float64.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

MEAN = (0.485, 0.456, 0.406)

Parameters = dict[str, dict[str, Any]]
"""A layer's name to its kernel and bias, to its scale and bias, or to its mean and var."""


def to_tensors(arrays: Mapping[str, Mapping[str, Any]], *, dtype: torch.dtype) -> Parameters:
    """The same tree, of tensors."""
    return {
        layer: {name: torch.tensor(np.asarray(array), dtype=dtype) for name, array in found.items()}
        for layer, found in arrays.items()
    }


def johnson_parameters(
    params: Parameters, *, memory_format: torch.memory_format = torch.contiguous_format
) -> Parameters:
    """A Johnson network's parameters with kernels as PyTorch's convolutions want them."""
    return _lay_out(params, transposed=("expand1", "expand2"), memory_format=memory_format)


def dumoulin_parameters(
    params: Parameters, *, memory_format: torch.memory_format = torch.contiguous_format
) -> Parameters:
    """A Dumoulin network's, VGG's or Decoder's parameters as PyTorch's convolutions want them."""
    return _lay_out(params, transposed=(), memory_format=memory_format)


def _lay_out(
    params: Parameters, *, transposed: Collection[str], memory_format: torch.memory_format
) -> Parameters:
    laid_out = {layer: dict(found) for layer, found in params.items()}
    for layer, found in laid_out.items():
        if "kernel" in found:
            # From HWIO; what is transposed has its input channels first.
            axes = (2, 3, 0, 1) if layer in transposed else (3, 2, 0, 1)
            kernel = found["kernel"].permute(axes)
            found["kernel"] = kernel.contiguous(memory_format=memory_format)
    return laid_out


def johnson(
    params: Parameters,
    images: torch.Tensor,
    *,
    output: str,
    batch_stats: Parameters | None = None,
    train: bool = False,
) -> torch.Tensor:
    """Stylised pictures of a Johnson network; instance-normalised where batch_stats is None.

    train updates batch_stats, and notes beside them of how many values each is a mean.
    """

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        weights = params[f"{name}_norm"]
        affine = {"weight": weights["scale"], "bias": weights["bias"], "eps": 1e-5}
        if batch_stats is None:
            return functional.instance_norm(x, **affine)
        running = batch_stats[f"{name}_norm"]
        if train:
            running["count"] = x.numel() // x.shape[1]
        return functional.batch_norm(
            x, running["mean"], running["var"], training=train, momentum=0.1, **affine
        )

    mean = torch.tensor(MEAN, dtype=images.dtype).view(1, 3, 1, 1)
    x = functional.pad(255 * (images - mean), (40, 40, 40, 40), mode="reflect")
    for name, pad, stride in (("contract1", 4, 1), ("contract2", 1, 2), ("contract3", 1, 2)):
        x = _relu(norm(_convolve(x, params[name], pad=pad, stride=stride), name))
    for block in range(1, 6):
        first, second = f"residual{block}a", f"residual{block}b"
        y = _relu(norm(_convolve(x, params[first]), first))
        x = x[:, :, 2:-2, 2:-2] + norm(_convolve(y, params[second]), second)
    for name in ("expand1", "expand2"):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        x = functional.conv_transpose2d(x, kernel, bias, stride=2, padding=1, output_padding=1)
        x = _relu(norm(x, name))
    x = torch.tanh(_convolve(x, params["output"], pad=4))
    return (x + 1) / 2 if output == "unit" else mean + 150 / 255 * x


def dumoulin(params: Parameters, images: torch.Tensor, style_weights: torch.Tensor) -> torch.Tensor:
    """Stylised pictures of a Dumoulin network."""

    def layer(x: torch.Tensor, name: str, *, side: int = 3, stride: int = 1) -> torch.Tensor:
        around = (side // 2,) * 4
        x = _convolve(functional.pad(x, around, mode="reflect"), params[name], stride=stride)
        tables = params[f"{name}_norm"]
        return _conditional_instance_norm(
            x, style_weights @ tables["scale"], style_weights @ tables["bias"]
        )

    x = _relu(layer(images, "contract1", side=9))
    x = _relu(layer(x, "contract2", stride=2))
    x = _relu(layer(x, "contract3", stride=2))
    for block in range(1, 6):
        y = _relu(layer(x, f"residual{block}a"))
        x = x + layer(y, f"residual{block}b")
    for name in ("expand1", "expand2"):
        x = _relu(layer(functional.interpolate(x, scale_factor=2.0, mode="nearest"), name))
    return torch.sigmoid(layer(x, "output", side=9))


def _conditional_instance_norm(
    x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Instance normalisation with each picture's own scales and biases, (batch, channels).

    As PyTorch does instance normalisation itself: batch normalisation of one picture that has all
    the channels of the batch. So it is one operation, where scaling afterwards would be three.
    """
    flat = x.reshape(1, -1, *x.shape[2:])
    scale, bias = scale.reshape(-1), bias.reshape(-1)
    normalized = functional.batch_norm(
        flat, None, None, weight=scale, bias=bias, training=True, eps=1e-5
    )
    return normalized.view(x.shape)


def _convolve(
    x: torch.Tensor, weights: Mapping[str, torch.Tensor], *, pad: int = 0, stride: int = 1
) -> torch.Tensor:
    kernel, bias = weights["kernel"], weights["bias"]
    return functional.conv2d(x, kernel, bias, stride=stride, padding=pad)


def _relu(x: torch.Tensor) -> torch.Tensor:
    # In place, to be as fast as PyTorch can be: nothing needs what the normalisations answer.
    return functional.relu(x, inplace=True)


def huang(
    encoder: Parameters, decoder: Parameters, images: torch.Tensor, style: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    """Pictures painted by AdaIN after the means and deviations of a style, from huang_moments."""
    x = _vgg_to_relu4_1(encoder, images)
    deviation, mean = torch.std_mean(x, (2, 3), correction=0, keepdim=True)
    wanted_mean, wanted_deviation = style
    x = wanted_deviation * (x - mean) / torch.sqrt(deviation**2 + 1e-5) + wanted_mean
    names = list(reversed([name for name in encoder if name <= "conv4_1"]))
    for place, name in enumerate(names):
        if place and names[place - 1][4] != name[4]:  # another block: the pooling is undone
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = _convolve(_reflect(x), decoder[name])
        x = x if name == "conv1_1" else _relu(x)
    return x


def huang_moments(encoder: Parameters, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The means and deviations of paintings' features in relu4_1."""
    x = _vgg_to_relu4_1(encoder, images)
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return mean, torch.sqrt(variance + 1e-5)


def _vgg_to_relu4_1(encoder: Parameters, images: torch.Tensor) -> torch.Tensor:
    """A VGG of torchvision's preprocessing with reflection padding."""
    mean = torch.tensor(MEAN, dtype=images.dtype).view(1, 3, 1, 1)
    deviation = torch.tensor((0.229, 0.224, 0.225), dtype=images.dtype).view(1, 3, 1, 1)
    x, block = (images - mean) / deviation, "1"
    for name in (name for name in encoder if name <= "conv4_1"):
        if name[4] != block:
            x, block = functional.max_pool2d(x, 2), name[4]
        x = _relu(_convolve(_reflect(x), encoder[name]))
    return x


def _reflect(x: torch.Tensor) -> torch.Tensor:
    return functional.pad(x, (1, 1, 1, 1), mode="reflect")
