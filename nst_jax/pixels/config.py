"""How pixels are optimised: every setting of a run, its default and where that comes from."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from nst_jax.encoders.vgg import Architecture, Pooling
from nst_jax.losses import LayerWeights
from nst_jax.losses.styles import STYLE_LOSSES, StyleLoss, StyleLossName, find_style_loss
from nst_jax.ops.color import Color, When
from nst_jax.ops.convolution import Precision
from nst_jax.pixels.levels import plan_levels
from nst_jax.pixels.transformations import OptimizerName
from nst_jax.regions.guidance import MaskMode
from nst_jax.runs.config_checks import check, check_types

_EQUAL_LAYERS = STYLE_LOSSES["gram"].layers


@dataclass(frozen=True)
class Config:
    """How a picture is optimised. Weights are in units of content_loss and the style's distance.

    total = content_weight · Σ_l c_l · content_loss_l + style_weight · Σ_l s_l · distance_l
    + tv_weight · (the total variation), with c and s the layers' own weights and the distance that
    style_loss names: gram_loss, or another of losses.STYLE_LOSSES, or one of your own.

    Sources beside the defaults are sections of Gatys et al. 2016, unless another is named.

    Attributes:
        encoder: The network that judges the picture.
        weights: The encoder's weights, a set's name or a file's; None is the encoder's usual set.
        pooling: How the encoder shrinks feature maps.
        size: The longer side of the result in pixels; None keeps the content image's size.
        style_size: The longer side of the paintings in pixels; None is that of the result. Smaller
            means finer strokes.
        num_steps: Steps in all, over all scales.
        scales: Pairs of a part of the size and a share of the steps, coarse to fine; the last part
            is 1. Coarse sizes that are too small for the encoder are left out.
        init: The picture to begin with: content, noise, style, or else a picture file's path, whose
            picture is given as initial_image.
        noise_std: Standard deviation of the noise of init "noise", where white is 1.
        seed: Of that noise.
        content_layers: Pairs of a layer's name and its weight.
        style_layers: The same for the style.
        style_loss: What of a painting is matched: a name in losses.STYLE_LOSSES, or a StyleLoss of
            your own. with_style_loss sets it with the layers and the weight that suit it.
        style_blend: Shares of several paintings, one for each; None is equal shares.
        color: Where the colours come from; see ops.color.
        color_when: Whether colours are changed before or after the picture is painted.
        mask_mode: How masks reach the encoder's layers; see regions.guidance.
        mask_growth: By how many units of a layer masks are dilated there, or eroded if negative.
        content_weight: More keeps more of the photograph.
        style_weight: More paints more boldly.
        tv_weight: More makes a smoother picture (total variation).
        tv_loss: The mean, or the half sum of jcjohnson/neural-style, which grows with the area.
        optimizer: lbfgs (Torch's, of fixed steps), adam, or lbfgs_zoom (with a line search).
        learning_rate: The step of lbfgs in units of its own, of adam in units of the range.
        history: The pairs that L-BFGS keeps; each costs two pictures of memory.
        precision: Of the encoder's convolutions.
        remat: Whether the encoder runs block by block, which takes less memory and more time.
    """

    encoder: Architecture = "vgg16"  # ours: its weights come with the package
    weights: str | None = None  # the encoder's usual set
    pooling: Pooling = "max"  # as VGG was trained
    size: int | None = 512  # §4: about 512 x 512
    style_size: int | None = None  # §2.3: as the content image
    num_steps: int = 200  # ours: two minutes on two CPU cores
    scales: tuple[tuple[float, float], ...] = ((0.5, 0.65), (1.0, 0.35))  # ours
    init: str = "content"  # the authors' notebook
    noise_std: float = 1 / 255  # the authors' notebook: 1 in pixels of 0 to 255
    seed: int = 0
    content_layers: LayerWeights = (("relu4_2", 1.0),)  # §2.1, fig. 3 caption
    style_layers: LayerWeights = _EQUAL_LAYERS  # §2.2: w_l = 1/5
    style_loss: StyleLossName | StyleLoss = "gram"  # §2.2; the others are later papers'
    style_blend: tuple[float, ...] | None = None
    color: Color = "style"  # the others are those of Gatys et al. 2017, §5
    color_when: When = "before"  # Gatys et al. 2017, §5: what goes in is changed
    mask_mode: MaskMode = "simple"  # SpatialControl.ipynb, the example of two styles
    mask_growth: int = 0  # the same: k, in units of each layer
    content_weight: float = 1.0  # ours
    style_weight: float = 50.0  # ours
    tv_weight: float = 50.0  # ours: takes out noise of one pixel
    tv_loss: Literal["mean", "half_sum"] = "mean"  # losses.TOTAL_VARIATION_LOSSES
    optimizer: OptimizerName = "lbfgs"  # §2.3
    learning_rate: float = 1.0  # the authors' notebook
    history: int = 20  # ours: a fifth of Torch's 100 in memory, no visible difference
    precision: Precision = "float32"
    remat: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        check_types(self)
        loss = find_style_loss(self.style_loss)
        check(0 <= self.num_steps < 2**31, "num_steps", "0 to 2147483647", self.num_steps)
        check(self.size is None or self.size >= 16, "size", "16 pixels or more", self.size)
        style_size = self.style_size
        check(style_size is None or style_size >= 16, "style_size", "16 or more", style_size)
        for name in ("content_weight", "style_weight", "tv_weight", "noise_std"):
            value = getattr(self, name)
            check(0 <= value < float("inf"), name, "a finite number, 0 or more", value)
        pairs = {name: getattr(self, name) for name in ("scales", "content_layers", "style_layers")}
        shares = {name: [share for _, share in given] for name, given in pairs.items()}
        for name, values in {**shares, "style_blend": list(self.style_blend or ())}.items():
            finite = all(0 <= value < float("inf") for value in values)
            check(finite, name, "finite weights, 0 or more", values)
        for name in ("content_layers", "style_layers"):
            names = [layer for layer, _ in pairs[name]]
            check(len(set(names)) == len(names), name, "each layer once", ", ".join(names))
        check(abs(self.mask_growth) <= 64, "mask_growth", "-64 to 64", self.mask_growth)
        check(0 <= self.seed < 2**32, "seed", "0 to 4294967295", self.seed)
        check(1 <= self.history <= 10_000, "history", "1 to 10000", self.history)
        positive = 0 < self.learning_rate < float("inf")
        check(positive, "learning_rate", "a number above 0", self.learning_rate)
        plan_levels(16, 16, scales=self.scales, num_steps=self.num_steps)
        check(
            self.content_layers != () or self.style_layers != (),
            "style_layers",
            "at least one layer of content or style",
            "none",
        )
        check(
            loss.takes_shares or len(set(self.style_blend or ())) < 2,
            "style_blend",
            f"equal shares with style_loss {loss}, which takes the nearest of any style",
            self.style_blend,
        )
        check(
            not (self.remat and self.optimizer == "lbfgs_zoom"),
            "remat",
            "optimizer lbfgs or adam, since a line search evaluates inside one program",
            self.optimizer,
        )

    @property
    def loss(self) -> StyleLoss:
        """The record of the style loss."""
        return find_style_loss(self.style_loss)

    @property
    def begins_with_file(self) -> bool:
        """Whether init is a picture file's path."""
        return self.init not in ("content", "noise", "style")

    @property
    def is_mean(self) -> bool:
        """Whether the total is a mean over pixels, whose gradient falls with their number."""
        return self.loss.is_mean and (self.tv_loss == "mean" or self.tv_weight == 0)


def with_style_loss(config: Config, style_loss: StyleLossName | StyleLoss) -> Config:
    """Return config with another way to compare styles, in layers and with a weight that suit it.

    Style losses have other units each, so one weight does not do for all. These, in parts of the
    content weight, paint about as boldly as the preset default on torchvision's networks; on others
    they are where to begin.

    Args:
        config: Keeps all but style_loss, style_layers and style_weight.
        style_loss: A name in losses.STYLE_LOSSES, or a StyleLoss of your own.

    Raises:
        ValueError: There is no such style loss.
    """
    loss = find_style_loss(style_loss)
    return dataclasses.replace(
        config,
        style_loss=style_loss,
        style_layers=loss.layers,
        style_weight=loss.weight * (config.content_weight or 1.0),
    )


def batch_key(config: Config) -> Config | None:
    """Return what configs that stylize_together takes have in common; None if it takes none."""
    if config.optimizer != "lbfgs" or config.remat:
        return None
    plain: dict[str, Any] = {name: getattr(_PLAIN, name) for name in _DATA_FIELDS}
    if config.loss.keeps_positions:  # what is kept of a style has the style's size
        del plain["style_size"]
    return dataclasses.replace(
        config,
        content_layers=tuple((layer, 1.0) for layer, _ in config.content_layers),
        style_layers=tuple((layer, 1.0) for layer, _ in config.style_layers),
        **plain,
    )


# What a compiled program takes as data, besides the layers' weights.
_DATA_FIELDS = (
    *("content_weight", "style_weight", "tv_weight"),
    *("seed", "noise_std", "init", "style_size", "style_blend"),
)
_PLAIN = Config()
