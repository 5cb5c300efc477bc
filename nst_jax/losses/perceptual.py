"""The perceptual objective that papers share: content and style terms on an encoder's features.

Targets are computed once and passed to the objective as data. The objective exists in two forms
with equal results: traceable as a whole, and block by block for pictures that would not fit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import Features, Image, ImageOfAnySize, Params, Scalar
from nst_jax.encoders import vgg
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import styles
from nst_jax.losses.basic import Grams, TracedLayerWeights, feature_loss, guided_style_loss
from nst_jax.losses.styles import STYLE_LOSSES, StyleLossName
from nst_jax.ops.gram import guided_gram_matrices
from nst_jax.regions.guidance import Guides

LayerGuides = Mapping[str, Float[Array | np.ndarray, "1 _ _ regions"]]
"""Layer name to guidance channels, one for each region of a picture."""

Terms = dict[str, Scalar]
Objective = Callable[[Image, "Targets", Params], tuple[Scalar, Terms]]
ValueAndGradient = Callable[[Image, "Targets", Params], tuple[tuple[Scalar, Terms], Image]]
TransferObjective = Callable[[Image, Image, Grams, Params], tuple[Scalar, Terms]]
ImageTerm = Callable[[Image], Scalar]


class Targets(NamedTuple):
    """What the picture's features are compared with.

    Attributes:
        content: The content image's features.
        style: What is kept of the styles, by layer: what the style loss measures, blended; with
            guides each region's Gram matrix.
        guides: The picture's guidance channels, where its regions have styles of their own.
    """

    content: Features
    style: Mapping[str, Any]
    guides: LayerGuides | None = None


class Weights(NamedTuple):
    """The weights of an objective's layers, in units of content_loss and the style's distance.

    The total is Σ_l content_l · content_loss_l + Σ_l style_l · distance_l + the image term, with
    the distance that style_loss names, by default losses.gram_loss.
    """

    content: TracedLayerWeights
    style: TracedLayerWeights

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that the encoder must answer, each once."""
        return tuple(dict.fromkeys(layer for layer, _ in (*self.content, *self.style)))


def compute_targets(
    encoder: VGG,
    encoder_params: Params,
    content_image: Image,
    style_images: Sequence[ImageOfAnySize],
    *,
    weights: Weights,
    style_blend: Sequence[float],
    style_guides: Sequence[LayerGuides | None] | None = None,
    style_loss: StyleLossName = "gram",
) -> Targets:
    """Return the content image's features and what is kept of the styles, blended.

    Of Gram matrices that is A_l = Σ_k b_k G_l(style_k), the blend b normalised to sum 1; of
    other style losses what styles.py says.

    Args:
        encoder: Fixed loss network.
        encoder_params: Its parameters.
        content_image: Of the size of the picture to come.
        style_images: One or more, of any sizes.
        weights: Which layers are wanted; weights of 0 need no target but get one.
        style_blend: One non-negative weight for each style.
        style_guides: For each style, which part of it counts: one guidance channel; None for all.
            Of Gram matrices alone.
        style_loss: How styles are compared, a name in styles.STYLE_LOSSES.

    Raises:
        ValueError: As many blend weights as styles are wanted, non-negative and not all zero; or
            the style loss knows no such blend.

    Reference: the blend of Gram matrices is jcjohnson/neural-style's.
    """
    total = sum(style_blend)
    if len(style_blend) != len(style_images) or min(style_blend, default=-1) < 0 or total <= 0:
        raise ValueError(
            f"style_blend: wanted {len(style_images)} non-negative weights, one a style, "
            f"not all 0; got {tuple(style_blend)}"
        )
    content = _compute_content(encoder, encoder_params, content_image, weights)
    layers = tuple(layer for layer, _ in weights.style)
    measured = [
        _measure_styles(encoder, encoder_params, style_image, layers, guides, style_loss)
        for style_image, guides in zip(
            style_images, style_guides or [None] * len(style_images), strict=True
        )
    ]
    blend, shares = STYLE_LOSSES[style_loss].blend, [share / total for share in style_blend]
    return Targets(
        content, {layer: blend([found[layer] for found in measured], shares) for layer in layers}
    )


def compute_guided_targets(
    encoder: VGG,
    encoder_params: Params,
    content_image: Image,
    style_images: Sequence[ImageOfAnySize],
    *,
    weights: Weights,
    guides: Guides,
) -> Targets:
    """Return the content image's features, and for each region the Gram matrices of its own style.

    A_lr = G_lr(style_r), as guided_gram_matrices has it. Where guides skip a region it is 0.

    Args:
        encoder: Fixed loss network.
        encoder_params: Its parameters.
        content_image: Of the size of the picture to come.
        style_images: As many as regions, in their order, of any sizes.
        weights: Which layers are wanted; weights of 0 need no target but get one.
        guides: The guidance channels of the picture and of the styles, in the style layers.

    Reference: Gatys et al. 2017, §4.
    """
    content = _compute_content(encoder, encoder_params, content_image, weights)
    of_styles = [
        compute_grams(encoder, encoder_params, image, weights=weights, guides=guide)
        for image, guide in zip(style_images, guides.styles, strict=True)
    ]
    grams = {
        layer: jnp.stack(
            [
                jnp.zeros_like(found[layer]) if (layer, region) in guides.skipped else found[layer]
                for region, found in enumerate(of_styles)
            ],
            axis=1,
        )
        for layer, _ in weights.style
    }
    return Targets(content, grams, jax.tree.map(jnp.asarray, dict(guides.content)))


def _compute_content(
    encoder: VGG, encoder_params: Params, content_image: Image, weights: Weights
) -> Features:
    layers = tuple(layer for layer, _ in weights.content)
    return _encode(encoder, encoder_params, content_image, layers)


def compute_grams(
    encoder: VGG,
    encoder_params: Params,
    style_image: Image,
    *,
    weights: Weights,
    guides: LayerGuides | None = None,
) -> Grams:
    """Return the Gram matrices of pictures in the style layers of weights, compiled once a size.

    Args:
        encoder: Fixed loss network.
        encoder_params: Its parameters.
        style_image: One or more paintings of one size.
        weights: Which layers are wanted.
        guides: Which part of them counts: one guidance channel; None for all.
    """
    layers = tuple(layer for layer, _ in weights.style)
    return _measure_styles(encoder, encoder_params, style_image, layers, guides, "gram")


# The encoder is a frozen dataclass: hashable, so a static argument. Jitted functions at module
# level keep their programs from one call to the next.
@jax.jit(static_argnums=(0, 3))
def _encode(
    encoder: VGG, encoder_params: Params, image: Image, layers: tuple[str, ...]
) -> Features:
    return _apply(encoder, encoder_params, image, layers)


@jax.jit(static_argnums=(0, 3, 5))
def _measure_styles(
    encoder: VGG,
    encoder_params: Params,
    image: Image,
    layers: tuple[str, ...],
    guides: LayerGuides | None,
    style_loss: StyleLossName,
) -> dict[str, Any]:
    features = _apply(encoder, encoder_params, image, layers)
    if guides is None:
        measure = STYLE_LOSSES[style_loss].measure
        return {layer: measure(found) for layer, found in features.items()}
    return {
        layer: guided_gram_matrices(found, jnp.asarray(guides[layer]))[:, 0]
        for layer, found in features.items()
    }


def _apply(encoder: VGG, encoder_params: Params, image: Image, layers: tuple[str, ...]) -> Features:
    return cast(Features, encoder.apply(encoder_params, image, layers=layers)) if layers else {}


def make_objective(
    encoder: VGG,
    *,
    weights: Weights,
    image_term: ImageTerm | None = None,
    style_loss: StyleLossName = "gram",
) -> Objective:
    """Return objective(image, targets, encoder_params) -> (total, terms), for jit and grad.

    terms holds 'content', 'style' and 'tv', already weighted: total is their sum.

    Args:
        encoder: Fixed loss network.
        weights: Layers and weights.
        image_term: A weighted loss on the picture itself, reported as 'tv'; none counts 0.
        style_loss: How styles are compared: that of the targets. Guided ones are of Gram matrices.
    """

    def objective(image: Image, targets: Targets, encoder_params: Params):
        features = _apply(encoder, encoder_params, image, weights.layers)
        tv = _image_term(image_term, image)
        return _sum_terms(features, targets, weights, tv, style_loss)

    return objective


def make_transfer_objective(
    encoder: VGG, *, weights: Weights, image_term: ImageTerm | None = None
) -> TransferObjective:
    """Return objective(stylized, content_images, grams, encoder_params) -> (total, terms).

    The objective of networks that paint: that of make_objective with the content images' features
    as targets, a mean over the batch. terms are as there.

    Args:
        encoder: Fixed loss network.
        weights: Layers and weights.
        image_term: A weighted loss on the stylized pictures, reported as 'tv'; none counts 0.

    Reference: Johnson et al. 2016, eq. (5); Dumoulin et al. 2017, eqs. (2) and (3).
    """
    content_layers = tuple(layer for layer, _ in weights.content)

    def objective(stylized: Image, content_images: Image, grams: Grams, encoder_params: Params):
        targets = Targets(_apply(encoder, encoder_params, content_images, content_layers), grams)
        features = _apply(encoder, encoder_params, stylized, weights.layers)
        tv = _image_term(image_term, stylized)
        return _sum_terms(features, targets, weights, tv, "gram")

    return objective


def make_blockwise_value_and_gradient(
    encoder: VGG,
    *,
    weights: Weights,
    image_term: ImageTerm | None = None,
    style_loss: StyleLossName = "gram",
) -> ValueAndGradient:
    """Return value_and_gradient(image, targets, encoder_params) -> ((total, terms), gradient).

    The same numbers as jax.value_and_grad of make_objective, in less memory: the forward pass
    keeps only what enters each of VGG's blocks, and the backward pass recomputes a block's inside
    when it gets there. Each block is a program of its own, since XLA on the CPU undoes
    jax.checkpoint within one program by merging the recomputation with the original.

    Args:
        encoder: Fixed loss network.
        weights: Layers and weights; at least one layer.
        image_term: A weighted loss on the picture itself, reported as 'tv'; none counts 0.
        style_loss: As of make_objective.
    """
    layers = weights.layers
    num_blocks = vgg.num_blocks(layers)

    def run_block(block: int, x, params) -> Any:
        return encoder.apply(params, x, block=block, layers=layers, method="encoder_block")

    def forward(x, params, block: int):
        return run_block(block, x, params)[0]

    def backward(x, d_out, targets: Targets, params, block: int):
        """The block's own terms, and the gradient of everything from here on at its input."""
        within = _within_block(weights, block)

        def block_terms(x):
            out, features = run_block(block, x, params)
            total, terms = _sum_terms(features, targets, within, jnp.zeros(()), style_loss)
            return (total, out), terms

        (total, out), pullback, terms = jax.vjp(block_terms, x, has_aux=True)
        if d_out is None:  # the deepest block: nothing comes after it
            d_out = jnp.zeros_like(out)
        return terms, pullback((jnp.ones_like(total), d_out))[0]

    forward = jax.jit(forward, static_argnames="block")
    backward = jax.jit(backward, static_argnames="block")
    on_image = jax.jit(jax.value_and_grad(lambda image: _image_term(image_term, image)))
    add = jax.jit(lambda found, tv, dx, d_image: (_add_terms(found, tv), dx + d_image))

    def value_and_gradient(image: Image, targets: Targets, encoder_params: Params):
        inputs = [image]
        for block in range(num_blocks - 1):
            inputs.append(forward(inputs[-1], _block_params(encoder_params, block), block=block))
        d_out, found = None, []
        for block in reversed(range(num_blocks)):
            within = _within_block(weights, block)
            terms, d_out = backward(
                inputs.pop(),
                d_out,
                _within_targets(targets, within),
                _block_params(encoder_params, block),
                block=block,
            )
            found.append(terms)
        tv, d_image = on_image(image)
        return add(found, tv, d_out, d_image)

    return value_and_gradient


def _within_block(weights: Weights, block: int) -> Weights:
    return Weights(
        *(tuple(pair for pair in pairs if vgg.block_of(pair[0]) == block) for pairs in weights)
    )


def _within_targets(targets: Targets, within: Weights) -> Targets:
    style_layers = [layer for layer, _ in within.style]
    guides = targets.guides
    return Targets(
        {layer: targets.content[layer] for layer, _ in within.content},
        {layer: targets.style[layer] for layer in style_layers},
        None if guides is None else {layer: guides[layer] for layer in style_layers},
    )


def _block_params(encoder_params: Params, block: int) -> Params:
    """The parameters of one block: fewer buffers for each program to check."""
    layers = encoder_params["params"]
    return {"params": {name: p for name, p in layers.items() if vgg.block_of(name) == block}}


def _image_term(image_term: ImageTerm | None, image: Image) -> Scalar:
    return jnp.zeros(()) if image_term is None else image_term(image)


def _sum_terms(
    features: Features, targets: Targets, weights: Weights, tv: Scalar, style_loss: StyleLossName
):
    terms = {
        "content": feature_loss(features, targets.content, layer_weights=weights.content),
        "style": _style_term(features, targets, weights.style, style_loss),
    }
    return _add_terms([terms], tv)


def _style_term(
    features: Features,
    targets: Targets,
    layer_weights: TracedLayerWeights,
    style_loss: StyleLossName,
) -> Scalar:
    if targets.guides is None:
        weigh = styles.style_loss
        return weigh(style_loss, features, targets.style, layer_weights=layer_weights)
    grams = {
        layer: guided_gram_matrices(features[layer], jnp.asarray(targets.guides[layer]))
        for layer, _ in layer_weights
    }
    return guided_style_loss(grams, targets.style, layer_weights=layer_weights)


def _add_terms(found: list[Terms], tv: Scalar) -> tuple[Scalar, Terms]:
    """The terms summed over blocks, and their total."""
    content = sum((terms["content"] for terms in found), jnp.zeros(()))
    style = sum((terms["style"] for terms in found), jnp.zeros(()))
    return content + style + tv, {"content": content, "style": style, "tv": tv}
