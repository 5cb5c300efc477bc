"""The objective and its gradient block by block of VGG, in less memory than in one program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nst_jax.array_types import Image, Params, Scalar
from nst_jax.encoders import vgg
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import perceptual
from nst_jax.losses.perceptual import Targets, Terms, Weights
from nst_jax.losses.styles import StyleLoss, StyleLossName

ValueAndGradient = Callable[[Image, Targets, Params, Weights], tuple[tuple[Scalar, Terms], Image]]


def make_value_and_gradient(
    encoder: VGG, *, style_loss: StyleLossName | StyleLoss = "gram", tv_loss: str = "mean"
) -> ValueAndGradient:
    """Return f(image, targets, encoder_params, weights) -> ((total, terms), gradient).

    The same numbers as jax.value_and_grad of perceptual.objective, in less memory: the forward pass
    keeps only what enters each of VGG's blocks, and the backward pass recomputes a block's inside
    when it gets there. Each block is a program of its own, since XLA on the CPU undoes
    jax.checkpoint within one program by merging the recomputation with the original.

    Args:
        encoder: Fixed loss network.
        style_loss: As of perceptual.objective.
        tv_loss: As of perceptual.objective.
    """

    def run_block(block: int, x: Any, params: Params, layers: tuple[str, ...]) -> Any:
        return encoder.apply(params, x, block=block, layers=layers, method="encoder_block")

    def forward(x, params, *, block: int, layers: tuple[str, ...]):
        return run_block(block, x, params, layers)[0]

    def backward(
        x, d_out, targets: Targets, params, within: Weights, *, block: int, layers: tuple[str, ...]
    ):
        """The block's own terms, and the gradient of everything from here on at its input."""

        def block_terms(x):
            out, features = run_block(block, x, params, layers)
            terms = perceptual.feature_terms(features, targets, within, style_loss=style_loss)
            total, terms = perceptual.add_terms([terms], jnp.zeros((), jnp.float32))
            return (total, out), terms

        (total, out), pullback, terms = jax.vjp(block_terms, x, has_aux=True)
        if d_out is None:  # the deepest block: nothing comes after it
            d_out = jnp.zeros_like(out)
        return terms, pullback((jnp.ones_like(total), d_out))[0]

    def variation(image: Image, tv: Any) -> Scalar:
        return perceptual.variation_term(image, Weights({}, {}, tv), tv_loss=tv_loss)

    forward = jax.jit(forward, static_argnames=("block", "layers"))
    backward = jax.jit(backward, static_argnames=("block", "layers"))
    on_image = jax.jit(jax.value_and_grad(variation))
    add = jax.jit(lambda found, tv, dx, d_image: (perceptual.add_terms(found, tv), dx + d_image))

    def value_and_gradient(
        image: Image, targets: Targets, encoder_params: Params, weights: Weights
    ):
        layers = weights.layers
        blocks, inputs = vgg.num_blocks(layers), [image]
        for block in range(blocks - 1):
            params = _block_params(encoder_params, block)
            inputs.append(forward(inputs[-1], params, block=block, layers=layers))
        d_out, found = None, []
        for block in reversed(range(blocks)):
            within = _within_block(weights, block)
            terms, d_out = backward(
                inputs.pop(),
                d_out,
                _within_targets(targets, within),
                _block_params(encoder_params, block),
                within,
                block=block,
                layers=layers,
            )
            found.append(terms)
        tv, d_image = on_image(image, weights.tv)
        return add(found, tv, d_out, d_image)

    return value_and_gradient


def _within_block(weights: Weights, block: int) -> Weights:
    content, style = (
        {layer: weight for layer, weight in of.items() if vgg.block_of(layer) == block}
        for of in (weights.content, weights.style)
    )
    return Weights(content, style)


def _within_targets(targets: Targets, within: Weights) -> Targets:
    guides = targets.guides
    return Targets(
        {layer: targets.content[layer] for layer in within.content},
        {layer: targets.style[layer] for layer in within.style},
        None if guides is None else {layer: guides[layer] for layer in within.style},
    )


def _block_params(encoder_params: Params, block: int) -> Params:
    """The parameters of one block: fewer buffers for each program to check."""
    layers = encoder_params["params"]
    return {"params": {name: p for name, p in layers.items() if vgg.block_of(name) == block}}
