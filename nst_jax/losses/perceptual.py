"""The perceptual objective that papers share: content and style terms on an encoder's features.

Targets are computed once and passed to the objective as data, and so are the weights. `objective`
is traceable as a whole; pixels/blockwise.py has the same for pictures that would not fit in memory.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import Features, Image, ImageOfAnySize, Params, Scalar
from nst_jax.encoders.encoder import Encoder
from nst_jax.losses import styles
from nst_jax.losses.basic import (
    TOTAL_VARIATION_LOSSES,
    LayerWeights,
    Weight,
    feature_loss,
    sum_over_layers,
)
from nst_jax.losses.styles import StyleLoss, StyleLossName, find_style_loss
from nst_jax.regions.guidance import Guides

LayerGuides = Mapping[str, Float[Array | np.ndarray, "1 _ _ regions"]]
"""Layer name to guidance channels, one for each region of a picture."""

Terms = dict[str, Scalar]


class Targets(NamedTuple):
    """What the picture's features are compared with.

    Attributes:
        content: The content image's features.
        style: What is kept of the styles, by layer: what the style loss measures, blended; with
            guides each region's own.
        guides: The picture's guidance channels, where its regions have styles of their own.
    """

    content: Features
    style: Mapping[str, Any]
    guides: LayerGuides | None = None


class Weights(NamedTuple):
    """The weights of an objective, numbers or traced scalars.

    The total is Σ_l content_l · content_loss_l + Σ_l style_l · distance_l + tv · (the total
    variation), in units of content_loss and of the style's distance.

    Attributes:
        content: By layer.
        style: By layer.
        tv: Of the total variation; None leaves the term out of the program.
    """

    content: Mapping[str, Weight]
    style: Mapping[str, Weight]
    tv: Weight | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that the encoder must answer, each once."""
        return tuple(dict.fromkeys((*self.content, *self.style)))


def weigh_layers(layers: LayerWeights, weight: float) -> dict[str, float]:
    """Return {layer: weight · the layer's own weight}, as Weights has them.

    Raises:
        ValueError: A layer is named twice.
    """
    names = [layer for layer, _ in layers]
    if len(set(names)) < len(names):
        raise ValueError(f"layers: wanted each once, got {' '.join(names)}")
    return {layer: weight * own for layer, own in layers}


def compute_targets(
    encoder: Encoder,
    encoder_params: Params,
    content_image: Image,
    style_images: Sequence[ImageOfAnySize],
    *,
    weights: Weights,
    style_blend: Sequence[float],
    style_guides: Sequence[LayerGuides | None] | None = None,
    style_loss: StyleLossName | StyleLoss = "gram",
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
            The style loss must be one that guides can guide.
        style_loss: How styles are compared: a name in styles.STYLE_LOSSES, or a record.

    Raises:
        ValueError: As many blend weights as styles are wanted, non-negative and not all zero; or
            the style loss knows no such blend.

    Reference: the blend of Gram matrices is jcjohnson/neural-style's.
    """
    options: Any = {"style_guides": style_guides, "style_loss": style_loss}
    given = (encoder, encoder_params, style_images)
    kept = blend_styles(*given, weights=weights, style_blend=style_blend, **options)
    return Targets(compute_content(*given[:2], content_image, weights=weights), kept)


def blend_styles(
    encoder: Encoder,
    encoder_params: Params,
    style_images: Sequence[ImageOfAnySize],
    *,
    weights: Weights,
    style_blend: Sequence[float],
    style_guides: Sequence[LayerGuides | None] | None = None,
    style_loss: StyleLossName | StyleLoss = "gram",
) -> dict[str, Any]:
    """Return what is kept of the styles, blended, by layer: compute_targets without a content.

    Arguments are as for compute_targets.

    Raises:
        ValueError: As compute_targets.
    """
    total = sum(style_blend)
    if len(style_blend) != len(style_images) or min(style_blend, default=-1) < 0 or total <= 0:
        raise ValueError(
            f"style_blend: wanted {len(style_images)} non-negative weights, one a style, "
            f"not all 0; got {tuple(style_blend)}"
        )
    loss, layers = find_style_loss(style_loss), tuple(weights.style)
    measured = [
        _measure_styles(encoder, encoder_params, style_image, layers, guides, loss, ())
        for style_image, guides in zip(
            style_images, style_guides or [None] * len(style_images), strict=True
        )
    ]
    shares = [share / total for share in style_blend]
    return {layer: loss.blend([found[layer] for found in measured], shares) for layer in layers}


def compute_content(
    encoder: Encoder, encoder_params: Params, content_image: Image, *, weights: Weights
) -> Features:
    """Return the content image's features, as compute_targets has them.

    Args:
        encoder: Fixed loss network.
        encoder_params: Its parameters.
        content_image: Of the size of the picture to come.
        weights: Which layers are wanted.
    """
    return _encode(encoder, encoder_params, content_image, tuple(weights.content))


def compute_guided_targets(
    encoder: Encoder,
    encoder_params: Params,
    content_image: Image,
    style_images: Sequence[ImageOfAnySize],
    *,
    weights: Weights,
    guides: Guides,
    style_loss: StyleLossName | StyleLoss = "gram",
) -> Targets:
    """Return the content image's features, and for each region what is kept of its own style.

    Of Gram matrices A_lr = G_lr(style_r), as guided_gram_matrices has it. Where guides skip a
    region it is what an empty region has.

    Args:
        encoder: Fixed loss network.
        encoder_params: Its parameters.
        content_image: Of the size of the picture to come.
        style_images: As many as regions, in their order, of any sizes.
        weights: Which layers are wanted; weights of 0 need no target but get one.
        guides: The guidance channels of the picture and of the styles, in the style layers.
        style_loss: One whose record says how it is guided.

    Reference: Gatys et al. 2017, §4.
    """
    content = compute_content(encoder, encoder_params, content_image, weights=weights)
    loss, layers = find_style_loss(style_loss), tuple(weights.style)
    of_styles = [
        _measure_styles(
            *(encoder, encoder_params, image, layers, guide, loss),
            tuple(layer for layer in layers if (layer, region) in guides.skipped),
        )
        for region, (image, guide) in enumerate(zip(style_images, guides.styles, strict=True))
    ]
    kept = {
        layer: jax.tree.map(
            lambda *found: jnp.stack(found, axis=1), *(found[layer] for found in of_styles)
        )
        for layer in layers
    }
    return Targets(content, kept, jax.tree.map(jnp.asarray, dict(guides.content)))


def compute_styles(
    encoder: Encoder,
    encoder_params: Params,
    style_image: Image,
    *,
    weights: Weights,
    style_loss: StyleLossName | StyleLoss = "gram",
) -> dict[str, Any]:
    """Return what a style loss keeps of pictures, by style layer; compiled once a size.

    Args:
        encoder: Fixed loss network.
        encoder_params: Its parameters.
        style_image: One or more paintings of one size.
        weights: Which layers are wanted.
        style_loss: By default Gram matrices are kept.
    """
    layers, loss = tuple(weights.style), find_style_loss(style_loss)
    return _measure_styles(encoder, encoder_params, style_image, layers, None, loss, ())


# An encoder is hashable, so a static argument. Jitted functions at module level keep their programs
# from one call to the next.
@jax.jit(static_argnums=(0, 3))
def _encode(
    encoder: Encoder, encoder_params: Params, image: Image, layers: tuple[str, ...]
) -> Features:
    return _apply(encoder, encoder_params, image, layers)


@jax.jit(static_argnums=(0, 3, 5, 6))
def _measure_styles(
    encoder: Encoder,
    encoder_params: Params,
    image: Image,
    layers: tuple[str, ...],
    guides: LayerGuides | None,
    loss: StyleLoss,
    skipped: tuple[str, ...],
) -> dict[str, Any]:
    """What is kept of a style, of the part that guides say; in layers to skip, of nothing."""
    features = _apply(encoder, encoder_params, image, layers)
    kept = {}
    for layer, found in features.items():
        if layer not in skipped and guides is None:
            kept[layer] = loss.measure(found)
            continue
        guided = loss.require_guided()
        nothing = jnp.zeros((1, *found.shape[1:3], 1), found.dtype)
        guide = nothing if layer in skipped or guides is None else jnp.asarray(guides[layer])
        kept[layer] = jax.tree.map(lambda one: one[:, 0], guided.measure(found, guide))
    return kept


def _apply(
    encoder: Encoder, encoder_params: Params, image: Image, layers: tuple[str, ...]
) -> Features:
    return encoder.apply(encoder_params, image, layers=layers) if layers else {}


def objective(
    encoder: Encoder,
    image: Image,
    targets: Targets,
    encoder_params: Params,
    weights: Weights,
    *,
    style_loss: StyleLossName | StyleLoss = "gram",
    tv_loss: str = "mean",
) -> tuple[Scalar, Terms]:
    """Return the weighted sum of what is minimised, and its terms; for jit and grad.

    terms holds 'content', 'style' and 'tv', already weighted: the total is their sum.

    Args:
        encoder: Fixed loss network.
        image: The picture, or several.
        targets: What it is compared with.
        encoder_params: The encoder's parameters.
        weights: Of the layers and of the total variation.
        style_loss: How styles are compared: that of the targets.
        tv_loss: A name in losses.TOTAL_VARIATION_LOSSES.
    """
    features = _apply(encoder, encoder_params, image, weights.layers)
    terms = feature_terms(features, targets, weights, style_loss=style_loss)
    return add_terms([terms], variation_term(image, weights, tv_loss=tv_loss))


def transfer_objective(
    encoder: Encoder,
    stylized: Image,
    content_images: Image,
    styles: Mapping[str, Any],
    encoder_params: Params,
    weights: Weights,
    *,
    style_loss: StyleLossName | StyleLoss = "gram",
    tv_loss: str = "mean",
) -> tuple[Scalar, Terms]:
    """Return the objective of networks that paint, and its terms; means over the batch.

    It is `objective` with the content images' features as targets.

    Args:
        encoder: Fixed loss network.
        stylized: The network's pictures.
        content_images: What they were made from.
        styles: What is kept of the style, from compute_styles: one for all pictures, or one for
            each.
        encoder_params: The encoder's parameters.
        weights: Of the layers and of the total variation.
        style_loss: How styles are compared: that of styles.
        tv_loss: A name in losses.TOTAL_VARIATION_LOSSES.

    Reference: Johnson et al. 2016, eq. (5); Dumoulin et al. 2017, eqs. (2) and (3).
    """
    layers = tuple(weights.content)
    targets = Targets(_apply(encoder, encoder_params, content_images, layers), styles)
    return objective(
        *(encoder, stylized, targets, encoder_params, weights),
        style_loss=style_loss,
        tv_loss=tv_loss,
    )


def feature_terms(
    features: Features,
    targets: Targets,
    weights: Weights,
    *,
    style_loss: StyleLossName | StyleLoss = "gram",
) -> Terms:
    """Return the weighted content and style terms of a picture's features.

    Args:
        features: The picture's, by layer.
        targets: What they are compared with.
        weights: The layers to compare, each with its weight.
        style_loss: How styles are compared: that of the targets.

    Raises:
        ValueError: weights name a layer that the features or targets lack, or there are guides
            and the style loss has no form for regions.
    """
    loss, pairs = find_style_loss(style_loss), tuple(weights.style.items())
    if targets.guides is None:
        style = styles.style_loss(loss, features, targets.style, layer_weights=pairs)
    else:
        distance, guides = loss.require_guided().distance, targets.guides
        guided = {layer: (features[layer], jnp.asarray(guides[layer])) for layer, _ in pairs}
        style = sum_over_layers(
            lambda found, wanted: distance(found[0], wanted, found[1]),
            guided,
            targets.style,
            pairs,
        )
    content = feature_loss(features, targets.content, layer_weights=tuple(weights.content.items()))
    return {"content": content, "style": style}


def variation_term(image: Image, weights: Weights, *, tv_loss: str = "mean") -> Scalar:
    """Return the weighted total variation of a picture, by the formula that tv_loss names."""
    if weights.tv is None:
        return jnp.zeros((), jnp.float32)
    return weights.tv * TOTAL_VARIATION_LOSSES[tv_loss](image)


def add_terms(found: Sequence[Terms], tv: Scalar) -> tuple[Scalar, Terms]:
    """Return the total, and the terms summed over parts of the network.

    Args:
        found: From feature_terms, of each part.
        tv: From variation_term.
    """
    content = sum((terms["content"] for terms in found), jnp.zeros((), jnp.float32))
    style = sum((terms["style"] for terms in found), jnp.zeros((), jnp.float32))
    return content + style + tv, {"content": content, "style": style, "tv": tv}
