"""The objective of Gatys et al. 2016 written a second time, in PyTorch, for comparisons with ours.

Nothing here is needed to use nst_jax. speed/gatys.py times it, gatys_2016/parity.py optimises it,
and the tests marked `oracle` compare losses and gradients with it. Pictures are
(1, height, width, 3) NumPy arrays on the way in and NCHW tensors inside.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from nst_jax.encoders.preprocessing import Preprocessing
from nst_jax.papers.gatys_2016 import Config

Terms = dict[str, torch.Tensor]
Objective = Callable[[torch.Tensor], tuple[torch.Tensor, Terms]]

_POOLS = {"max": functional.max_pool2d, "average": functional.avg_pool2d}


class TorchVGG:
    """VGG's convolutional part with zero padding: layer names to features, as deep as asked."""

    def __init__(
        self,
        arrays: Mapping[str, Mapping[str, Any]],
        preprocessing: Preprocessing,
        *,
        pooling: str,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ):
        self.convolutions = {}
        for name in sorted(arrays):
            kernel = torch.tensor(np.asarray(arrays[name]["kernel"]), dtype=dtype)
            kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=memory_format)
            bias = torch.tensor(np.asarray(arrays[name]["bias"]), dtype=dtype)
            self.convolutions[name] = kernel, bias
        self.order = [0, 1, 2] if preprocessing.channel_order == "rgb" else [2, 1, 0]
        self.scale, self.pooling = preprocessing.scale, pooling
        mean, std = preprocessing.mean, preprocessing.std
        self.mean, self.std = (torch.tensor(v, dtype=dtype).view(1, 3, 1, 1) for v in (mean, std))

    def __call__(self, image: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return the features of RGB in [0, 1], NCHW."""
        return dict(self.walk(image, layers))

    def walk(
        self, image: torch.Tensor, layers: Sequence[str]
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield each wanted layer as soon as it is computed.

        A loss that is taken on the way is differentiated on the way back, just before the layer
        itself. Taken at the end, all of them are differentiated first, and PyTorch holds their
        gradients, half as much again as it needs.
        """
        x = (image[:, self.order] * self.scale - self.mean) / self.std
        wanted, block = set(layers), "1"
        for name, (kernel, bias) in self.convolutions.items():
            if name[4] != block:
                x, block = _POOLS[self.pooling](x, 2, 2), name[4]
            x = functional.conv2d(x, kernel, bias, padding=1)
            if name in wanted:
                yield name, x
            # In place, to be as sparing with memory as PyTorch can be.
            x = functional.relu(x, inplace=name not in wanted)
            relu = name.replace("conv", "relu")
            if relu in wanted:
                yield relu, x
            wanted -= {name, relu}
            if not wanted:
                return


def to_torch(picture: Any, like: TorchVGG) -> torch.Tensor:
    """A picture as a tensor of the network's type and memory format."""
    kernel, _ = next(iter(like.convolutions.values()))
    tensor = torch.tensor(np.asarray(picture), dtype=kernel.dtype).permute(0, 3, 1, 2)
    channels_last = kernel.is_contiguous(memory_format=torch.channels_last)
    return tensor.contiguous(
        memory_format=torch.channels_last if channels_last else torch.contiguous_format
    )


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as a picture, (1, height, width, 3)."""
    return tensor.detach().permute(0, 2, 3, 1).cpu().numpy().copy()


def gram_matrix(features: torch.Tensor) -> torch.Tensor:
    """F Fᵀ over the number of positions; as matrices, of which autograd keeps one copy, not two."""
    return torch.stack([flat @ flat.T / flat.shape[1] for flat in features.flatten(2)])


def make_objective(config: Config, vgg: TorchVGG, content: Any, style: Any) -> Objective:
    """objective(image) -> (total, weighted terms) for pictures that have their final sizes."""
    content_layers, style_layers = dict(config.content_layers), dict(config.style_layers)
    with torch.no_grad():
        targets = vgg(to_torch(content, vgg), tuple(content_layers))
        style_features = vgg(to_torch(style, vgg), tuple(style_layers))
        grams = {name: gram_matrix(found) for name, found in style_features.items()}
    layers = (*content_layers, *style_layers)

    def objective(image: torch.Tensor) -> tuple[torch.Tensor, Terms]:
        content = style = torch.zeros((), dtype=image.dtype)
        for name, found in vgg.walk(image, layers):
            if name in content_layers:
                weight = config.content_weight * content_layers[name]
                content = content + weight * functional.mse_loss(found, targets[name])
            if name in style_layers:
                weight = config.style_weight * style_layers[name]
                style = style + weight * functional.mse_loss(gram_matrix(found), grams[name])
        tv = torch.zeros((), dtype=image.dtype)
        if config.tv_weight:
            tv = config.tv_weight * total_variation(image, config.tv_loss)
        terms = {"content": content, "style": style, "tv": tv}
        return terms["content"] + terms["style"] + terms["tv"], terms

    return objective


def total_variation(image: torch.Tensor, kind: str) -> torch.Tensor:
    """The total variation of that kind, "mean" or "half_sum", a mean over the batch."""
    down, right = image.diff(dim=2), image.diff(dim=3)
    if kind == "mean":
        return down.square().mean() + right.square().mean()
    total = down[..., :-1].square().sum() + right[..., :-1, :].square().sum()
    return total / (2 * len(image))
