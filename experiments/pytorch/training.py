"""Painting and a training step of the feed-forward networks in PyTorch, as network_benchmark times.

The networks are those of networks.py with the parameters of ours, and the losses those of
gatys.py. Pictures are NumPy or JAX arrays, (batch, height, width, 3), on the way in.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from experiments.pytorch import gatys as torch_gatys
from experiments.pytorch import networks as torch_networks
from experiments.pytorch.gatys import TorchVGG
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.papers import dumoulin_2017, johnson_2016

Config = johnson_2016.Config | dumoulin_2017.Config
Grams = dict[str, torch.Tensor]


class Painter(NamedTuple):
    """A network that paints NCHW pictures, with style weights where it has several styles."""

    paint: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]
    leaves: list[torch.Tensor]
    """Its parameters."""


def make_painter(network: Any, variables: Any, *, memory_format: torch.memory_format) -> Painter:
    """The PyTorch twin of one of our networks."""
    params = torch_networks.to_tensors(variables["params"], dtype=torch.float32)
    if isinstance(network, JohnsonNetwork):
        params = torch_networks.johnson_parameters(params, memory_format=memory_format)
        stats = None
        if network.normalization == "batch":
            stats = torch_networks.to_tensors(variables["batch_stats"], dtype=torch.float32)

        def paint(images: torch.Tensor, style_weights: torch.Tensor | None) -> torch.Tensor:
            del style_weights
            return torch_networks.johnson(params, images, output=network.output, batch_stats=stats)
    else:
        params = torch_networks.dumoulin_parameters(params, memory_format=memory_format)

        def paint(images: torch.Tensor, style_weights: torch.Tensor | None) -> torch.Tensor:
            assert style_weights is not None
            return torch_networks.dumoulin(params, images, style_weights)

    return Painter(paint, [tensor for layer in params.values() for tensor in layer.values()])


def compute_grams(config: Config, vgg: TorchVGG, styles: Sequence[Any]) -> Grams:
    """The paintings' Gram matrices by layer, (styles, N, N); they have their final sizes."""
    layers = tuple(layer for layer, _ in config.style_layers)
    with torch.no_grad():
        found = [vgg(torch_gatys.to_torch(style, vgg), layers) for style in styles]
    return {
        layer: torch.cat([torch_gatys.gram_matrix(features[layer]) for features in found])
        for layer in layers
    }


def make_step(
    painter: Painter,
    config: Config,
    vgg: TorchVGG,
    photographs: Any,
    grams: Grams,
    *,
    autocast: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Callable[[], torch.Tensor]:
    """A training step on one batch: losses, gradient, Adam and the moving average, as config says.

    Every picture of the batch gets one of the styles by chance. The learning rate is constant,
    since a schedule takes no time. A step answers the loss before it.
    """
    images = torch_gatys.to_torch(photographs, vgg)
    content_layers = tuple(layer for layer, _ in config.content_layers)
    num_styles = len(next(iter(grams.values())))
    for leaf in painter.leaves:
        leaf.requires_grad_(True)
    optimizer = torch.optim.Adam(painter.leaves, lr=config.learning_rate, fused=True)
    decay = config.average_decay
    average = [leaf.detach().clone() for leaf in painter.leaves]

    def step() -> torch.Tensor:
        drawn = torch.randint(num_styles, (len(images),))
        with autocast():
            with torch.no_grad():
                targets = vgg(images, content_layers)
            stylized = painter.paint(images, functional.one_hot(drawn, num_styles).float())
            wanted = {layer: gram[drawn] for layer, gram in grams.items()}
            total = _total(config, vgg, stylized, targets, wanted)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        if decay is not None:
            for mean, leaf in zip(average, painter.leaves, strict=True):
                mean.lerp_(leaf.detach(), 1 - decay)
        return total.detach()

    return step


def _total(
    config: Config,
    vgg: TorchVGG,
    stylized: torch.Tensor,
    targets: dict[str, torch.Tensor],
    grams: Grams,
) -> torch.Tensor:
    content_layers, style_layers = dict(config.content_layers), dict(config.style_layers)
    total = torch.zeros(())
    for name, found in vgg.walk(stylized, (*content_layers, *style_layers)):
        if name in content_layers:
            weight = config.content_weight * content_layers[name]
            total = total + weight * functional.mse_loss(found, targets[name])
        if name in style_layers:
            weight = config.style_weight * style_layers[name]
            total = total + weight * functional.mse_loss(
                torch_gatys.gram_matrix(found), grams[name]
            )
    if config.tv_weight:
        # Dumoulin's configurations have one kind.
        kind = getattr(config, "tv_loss", "mean")
        total = total + config.tv_weight * torch_gatys.total_variation(stylized, kind)
    return total
