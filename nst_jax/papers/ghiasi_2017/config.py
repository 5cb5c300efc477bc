"""The configuration of a training, and the presets with their sources."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nst_jax import train
from nst_jax.encoders.preprocessing import CAFFE_GAIN
from nst_jax.encoders.vgg import Pooling
from nst_jax.losses import LayerWeights
from nst_jax.runs.config_checks import check
from nst_jax.train.against_paintings import least_side
from nst_jax.train.perceptual_training import PerceptualConfig

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")  # vgg_16/conv1 … conv4


@dataclass(frozen=True, kw_only=True)
class Config(PerceptualConfig):
    """What is trained, on what, and how.

    total = content_weight · Σ_l c_l · content_l + style_weight · Σ_l s_l · style_l
    + color_weight · (the colours' distance) + tv_weight · (the total variation), with c and s the
    layers' own weights, and content_l and style_l as distances names them,
    + adversarial_weight · (the generator's loss against a discriminator of paintings at three
    sizes): see train.against_paintings.

    Attributes:
        distances: mean compares by content_loss and gram_loss; relative by relative_content_loss
            and log_relative_gram_loss, for which all paintings count alike.
        color_weight: How much the palette's distance counts (log_relative_color_loss).
        adversarial_weight: More makes pictures harder to tell from paintings, of any kind. 0 trains
            no discriminator. Where there is one, the network that comes out is the one with the
            least held-out style loss.
        style_size: Side in pixels of the squares that are cut out of paintings.
        style_shorter_side: The least and the most pixels that a painting's shorter side is scaled
            to before.
    """

    # The network.
    width: int = 32  # appendix; model.py
    # The loss.
    pooling: Pooling = "average"  # image_stylization/vgg.py
    distances: Literal["mean", "relative"] = "mean"  # arbitrary_image_stylization_losses.py
    content_layers: LayerWeights = (("relu3_3", 1.0),)  # arbitrary_image_stylization_train.py
    style_layers: LayerWeights = tuple((layer, 1.0) for layer in STYLE_LAYERS)  # the same
    content_weight: float = CAFFE_GAIN**2  # arbitrary_image_stylization_train.py: 1.0
    style_weight: float = 0.5e-3 * CAFFE_GAIN**4  # the same: 0.5e-3 a layer
    color_weight: float = 0.0
    adversarial_weight: float = 0.0  # none here; Chen et al. 2021 (IEContraAST) have 5
    # The pictures.
    size: int = 256  # arbitrary_image_stylization_train.py
    shorter_side: tuple[int, int] | None = (256, 256)  # ours: square pictures from ImageNet's
    style_size: int = 256  # arbitrary_image_stylization_train.py
    style_shorter_side: tuple[int, int] = (256, 512)  # ours: crops of random sizes, unpublished
    batch_size: int = 8  # arbitrary_image_stylization_train.py
    # The optimiser.
    num_steps: int = 4_000_000  # section 3
    learning_rate: float = 1e-5  # arbitrary_image_stylization_train.py
    schedule: train.Schedule = "constant"  # arbitrary_image_stylization_train.py

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_weights("color_weight", "adversarial_weight")
        if self.adversarial_weight:
            for name in ("size", "style_size"):
                side, least = getattr(self, name), least_side(self.size)
                check(side >= least, name, f"{least} or more with adversarial_weight", side)
        check(self.encoder == "vgg16", "encoder", "vgg16, which the predictor reads", self.encoder)
        check(bool(self.style_layers), "style_layers", "at least one layer", "none")
        wanted = "gram, which distances compares in one of two ways"
        check(self.style_loss == "gram", "style_loss", wanted, self.style_loss)
        low, high = sides = self.style_shorter_side
        wanted = f"a range from style_size, {self.style_size}, on"
        check(self.style_size <= low <= high, "style_shorter_side", wanted, sides)

    def vary(self, changes: Mapping[str, Any]) -> "Config":
        """Return CroppedConfig.vary's, where style_shorter_side grows with style_size.

        Args:
            changes: Values by the names of fields.
        """
        changes = dict(changes)
        if "style_size" in changes:
            factor = changes["style_size"] / self.style_size
            scaled = tuple(round(side * factor) for side in self.style_shorter_side)
            changes.setdefault("style_shorter_side", scaled)
        return super().vary(changes)


_AUTHORS = Config(
    tv_weight=0.5 * 1e4,  # arbitrary_image_stylization_train.py; its code halves the squares
    num_steps=8_000_000,  # arbitrary_image_stylization_train.py
)
_CPU = Config(
    width=16,  # ours: half, so that a CPU paints a picture of 512 pixels in a tenth of a second
    pooling="max",
    distances="relative",
    content_layers=(("relu3_3", 0.5), ("relu4_2", 0.5)),
    style_layers=tuple(
        (f"relu{block}_1", share) for block, share in enumerate((0.5, 0.4, 0.25, 0.3, 0.15), 1)
    ),
    content_weight=1.0,
    style_weight=11.0,
    color_weight=4.4,
    tv_weight=2.0,
    size=128,
    shorter_side=(160, 320),
    flip=True,
    style_shorter_side=(256, 384),
    batch_size=4,
    num_steps=20_000,
    learning_rate=1e-3,
    schedule="cosine",
    clip_norm=10.0,
    average_decay=0.998,
)

PRESETS: Mapping[str, Config] = {
    "paper": Config(),
    "authors": _AUTHORS,
    "mobile": dataclasses.replace(_AUTHORS, width=8),  # alpha 0.25
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU,
        width=4,
        size=32,
        shorter_side=(32, 48),
        style_size=32,
        style_shorter_side=(32, 48),
        batch_size=2,
        num_steps=4,
        content_layers=(("relu2_2", 1.0),),
        style_layers=(("relu1_1", 0.5), ("relu2_1", 0.5)),
        average_decay=None,
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""
