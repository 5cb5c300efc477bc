"""What trainings on the perceptual loss of fixed styles share: its configuration and objective."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax

from nst_jax.array_types import (
    Image,
    ImageOfAnySize,
    Params,
    PRNGKey,
    Scalar,
    check_picture,
)
from nst_jax.encoders.vgg import VGG, Pooling, check_layers
from nst_jax.losses import LayerWeights, perceptual
from nst_jax.losses.perceptual import Terms, Weights, weigh_layers
from nst_jax.losses.styles import StyleLoss, StyleLossName, find_style_loss
from nst_jax.ops.resizing import resize_longer_side
from nst_jax.runs.config_checks import check
from nst_jax.train.config import TransferConfig
from nst_jax.train.synthetic_motion import consistency_loss


@dataclass(frozen=True, kw_only=True)
class PerceptualConfig(TransferConfig):
    """A training on content and style losses, in units of content_loss and the style's distance.

    total = content_weight · Σ_l c_l · content_loss_l + style_weight · Σ_l s_l · distance_l
    + tv_weight · (the total variation), with c and s the layers' own weights and the distance that
    style_loss names.

    Attributes:
        width: Maps of the first convolution. Half of them is a quarter of the parameters.
        pooling: How the encoder shrinks its maps.
        style_size: Longer side of the paintings in pixels. Smaller means finer strokes.
        content_layers: Pairs of a layer in which the photograph is kept and its weight.
        style_layers: Pairs of a layer in which the painting's texture is matched and its weight.
        style_loss: What of a painting is matched: a name in losses.STYLE_LOSSES, or a StyleLoss of
            your own. Another one than gram wants a style_weight of its own.
        tv_weight: More makes a smoother picture (total variation).
        tv_loss: The mean, or the half sum of Johnson's code, which grows with the area.
        temporal_weight: More makes clips more consistent, and strokes weaker: of the difference
            between what is painted of a photograph and of the same, moved. A third more time a
            step.
    """

    # The network.
    width: int
    # The loss.
    pooling: Pooling = "max"
    style_size: int
    content_layers: LayerWeights
    style_layers: LayerWeights
    style_loss: StyleLossName | StyleLoss = "gram"
    tv_weight: float = 0.0
    tv_loss: Literal["mean", "half_sum"] = "mean"  # losses.TOTAL_VARIATION_LOSSES
    temporal_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_least({"width": 1, "style_size": 16})
        self.check_weights("tv_weight", "temporal_weight")
        find_style_loss(self.style_loss)
        shares = [w for _, w in (*self.content_layers, *self.style_layers)]
        finite = all(0 <= share < float("inf") for share in shares)
        check(finite, "style_layers", "finite weights, 0 or more", shares)
        used = tuple(layer for layer, _ in (*self.content_layers, *self.style_layers))
        if used:
            check_layers(used, self.encoder)


_OF_MOTION = 0x6D6F7665  # sets what frames are moved by apart from what else a step draws

TransferObjective = Callable[..., tuple[Scalar, Terms]]


def make_loss_weights(config: PerceptualConfig) -> Weights:
    """Return a configuration's layers and weights, as the objective wants them."""
    return Weights(
        weigh_layers(config.content_layers, config.content_weight),
        weigh_layers(config.style_layers, config.style_weight),
        config.tv_weight or None,
    )


def make_objective(config: PerceptualConfig, encoder: VGG) -> TransferObjective:
    """Return objective(stylized, content_images, grams, encoder_params) -> (total, terms).

    grams are what the style loss keeps of a style, from compute_style_grams.

    Args:
        config: Its loss counts.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.

    Reference: Johnson et al. 2016, eq. (5); Dumoulin et al. 2017, eqs. (2) and (3).
    """
    weigh = partial(perceptual.transfer_objective, set_encoder(encoder, config))
    weights = make_loss_weights(config)

    def objective(stylized: Any, content_images: Any, grams: Any, encoder_params: Params):
        given = (stylized, content_images, grams, encoder_params, weights)
        return weigh(*given, style_loss=config.style_loss, tv_loss=config.tv_loss)

    return objective


def add_consistency(
    key: PRNGKey,
    config: PerceptualConfig,
    found: tuple[Scalar, Mapping[str, Scalar]],
    images: Image,
    stylized: Image,
    paint: Callable[[Image], Image],
) -> tuple[Scalar, Mapping[str, Scalar]]:
    """Return a total and its terms with "temporal" added, where a configuration asks for it.

    Args:
        key: A step's; its other draws stay as they are.
        config: Its temporal_weight counts.
        found: The total and the terms without it.
        images: The step's photographs.
        stylized: What is painted of them.
        paint: Paints others alike.
    """
    if not config.temporal_weight:
        return found
    total, terms = found
    own = jax.random.fold_in(key, _OF_MOTION)
    temporal = config.temporal_weight * consistency_loss(own, images, stylized, paint)
    return total + temporal, {**terms, "temporal": temporal}


def compute_style_grams(
    config: PerceptualConfig, style: ImageOfAnySize, encoder: VGG, encoder_params: Params
) -> Mapping[str, Any]:
    """Return what the style loss keeps of the style image at config.style_size, by layer.

    By default that is Gram matrices.

    Args:
        config: Its style_size and loss count.
        style: One painting.
        encoder: From load_encoder.
        encoder_params: Its parameters.
    """
    style = resize_longer_side(check_picture("style", style), config.style_size)
    return perceptual.compute_styles(
        *(set_encoder(encoder, config), encoder_params, style),
        weights=make_loss_weights(config),
        style_loss=config.style_loss,
    )


def set_encoder(encoder: VGG, config: PerceptualConfig) -> VGG:
    """Return the encoder with the pooling and the precision that a configuration wants."""
    return dataclasses.replace(encoder, pooling=config.pooling, precision=config.precision)
