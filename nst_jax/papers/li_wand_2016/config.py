"""Every setting of a picture that is optimised against a discriminator, and where it comes from."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nst_jax import train
from nst_jax.encoders.preprocessing import EncoderInput
from nst_jax.encoders.vgg import Architecture, Pooling, check_layers
from nst_jax.losses import AdversarialLossName
from nst_jax.ops.convolution import Precision
from nst_jax.runs.config_checks import check, check_types


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a picture is optimised against a discriminator; sources are of the authors' code.

    total = content_weight · content_loss + adversarial_weight · generator_loss + tv_weight · TV.

    Attributes:
        encoder: The network on whose features both work.
        weights: Its weights, a set's name or a file's; None is the encoder's usual set.
        encoder_input: What it is given: what its weights want, or RGB from −1 to 1 as the authors.
        pooling: How it shrinks its maps.
        precision: Of its convolutions, and of the discriminator's.
        size: Longer side of the result in pixels.
        style_size: Longer side of the painting in pixels. Smaller means finer strokes.
        num_steps: Turns of discriminator and picture.
        content_layer: Where the photograph is kept.
        style_layer: Whose patches the discriminator judges.
        adversarial_loss: A name in losses.ADVERSARIAL_LOSSES.
        content_weight: More keeps more of the photograph.
        adversarial_weight: More paints more boldly.
        tv_weight: More makes a smoother picture (total variation).
        tv_loss: The mean, or the half sum of the authors' code, which grows with the area.
        learning_rate: Of the pixels' Adam, in units of their range.
        discriminator_learning_rate: Of the discriminator's.
        momentum: β₁ of both.
        rotation: The most by which the painting is turned, in degrees.
        scaling: The most by which it is scaled up, or down.
        flip: Whether half of what is shown of it is mirrored.
        contrast: How many standard deviations from the mean the result's values are cut at before
            they are stretched to [0, 1]; None clips them.
        patience: Steps that a run goes on for when the discriminator wins; see AdversarialConfig.
        seed: Of the discriminator's first parameters, and of what is shown of the painting.
    """

    encoder: Architecture = "vgg19"
    weights: str | None = "vgg19-keras"  # Caffe's VGG-19
    encoder_input: EncoderInput = "signed"  # image_source:mul(2):add(-1)
    pooling: Pooling = "max"
    precision: Precision = "float32"
    size: int = 384  # stand_imageSize_syn
    style_size: int = 384  # stand_imageSize_example
    num_steps: int = 125  # 5 epochs of 25
    content_layer: str = "relu5_1"  # netC_vgg_Outputlayer
    style_layer: str = "relu3_1"  # netS_vgg_Outputlayer
    adversarial_loss: AdversarialLossName = "margin"  # nn.MarginCriterion(1)
    content_weight: float = 0.5  # netC_weights, normalised
    adversarial_weight: float = 0.25  # 1 over the patches of a position
    tv_weight: float = 2 * 1e-4 * 2**2  # twice tv_weight, on pixels of -1 to 1
    tv_loss: Literal["mean", "half_sum"] = "half_sum"  # losses.TOTAL_VARIATION_LOSSES
    learning_rate: float = 0.01  # netG_lr 0.02 on pixels of -1 to 1
    discriminator_learning_rate: float = 0.02  # netD_lr
    momentum: float = 0.5  # netD_beta1, netG_beta1
    rotation: float = 10.0  # aug_step_rotation, π/18
    scaling: float = 1.1  # aug_step_scale
    flip: bool = True  # aug_flag_flip
    contrast: float | None = 2.0  # contrast_std
    patience: int = 500  # ours: the code has no such guard
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        check_types(self)
        check_layers((self.content_layer, self.style_layer), self.encoder)
        for name in ("size", "style_size"):
            check(getattr(self, name) >= 16, name, "16 pixels or more", getattr(self, name))
        check(1 <= self.num_steps < 2**30, "num_steps", "1 to 1073741823", self.num_steps)
        for name in ("content_weight", "adversarial_weight", "tv_weight"):
            value = getattr(self, name)
            check(0 <= value < float("inf"), name, "a finite number, 0 or more", value)
        for name in ("learning_rate", "discriminator_learning_rate", "contrast"):
            value = getattr(self, name)
            positive = value is None or 0 < value < float("inf")
            check(positive, name, "a finite number above 0", value)
        check(0 <= self.rotation <= 45, "rotation", "0 to 45 degrees", self.rotation)
        check(1 <= self.scaling <= 2, "scaling", "1 to 2", self.scaling)
        check(0 <= self.seed < 2**32, "seed", "0 to 4294967295", self.seed)
        _ = self.adversary

    @property
    def adversary(self) -> train.AdversarialConfig:
        """The discriminator's part."""
        return train.AdversarialConfig(
            loss=self.adversarial_loss,
            weight=self.adversarial_weight,
            learning_rate=self.discriminator_learning_rate,
            momentum=self.momentum,
            patience=self.patience,
        )


_CPU = Config(
    encoder="vgg16",
    weights=None,
    encoder_input="weights",
    size=256,
    style_size=256,
    num_steps=100,
    content_layer="relu4_2",
    content_weight=1.0,
    adversarial_weight=1.0,
    tv_weight=300.0,  # with less, grain of one pixel deceives the discriminator
    tv_loss="mean",
    learning_rate=8e-3,
    discriminator_learning_rate=5e-4,
    contrast=None,
)

PRESETS: Mapping[str, Config] = {
    "authors": Config(),
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU, size=48, style_size=48, num_steps=4, content_layer="relu2_2", style_layer="relu2_1"
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""
