"""The configuration of a training, and the presets with their sources."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from nst_jax import losses, train
from nst_jax.encoders.vgg import FIRST_LAYERS, Architecture, channels_of
from nst_jax.losses import LayerWeights
from nst_jax.runs.config_checks import check
from nst_jax.train.against_paintings import LEAST_SIZE
from nst_jax.train.config import TransferConfig

STYLE_LAYERS = FIRST_LAYERS[:4]  # §6

DEEPER_LAYERS = FIRST_LAYERS
"""Those that a style may be compared in. The last is Park and Lee's (2019), for larger forms."""

WARM_START = "warm_start"
"""The folder in a run's own of the steps before AdaIN."""


def _published(source: str) -> LayerWeights:
    """Weight 1 on every layer in a codebase's convention, in units of our moment_loss."""
    return tuple(
        (layer, losses.convert_moment_weight(1.0, source=source, channels=channels_of(layer)))
        for layer in STYLE_LAYERS
    )


_CODE_LAYERS = _published("huang_2017")


@dataclass(frozen=True, kw_only=True)
class Config(TransferConfig):
    """What is trained, on what, and how. Weights are in units of content_loss and moment_loss.

    total = content_weight · content_loss(relu4_1, the AdaIN features)
    + style_weight · Σ_l s_l · moment_loss_l, with s the layers' own weights,
    + identity_weight · mean (D(f(x)) − x)² + Σ_l i_l · content_loss_l, with i the weights of
    identity_layers, over the identity pairs: those of a photograph x with itself as the painting,
    which every batch has identity_pairs of, and whose features the second sum compares,
    + adversarial_weight · (the generator's loss against a discriminator of paintings at three
    sizes): see train.against_paintings.

    With distances "relative", content_loss is relative_content_loss in the first term and
    moment_loss is log_relative_moment_loss.

    Attributes:
        distances: How the decoder's features are compared with AdaIN's and the painting's: mean
            squares, or shares of what they are compared with, for which all layers and paintings
            count alike.
        style_layers: Pairs of a layer whose moments are matched and its weight.
        identity_pairs: How many photographs of a batch are painted after themselves.
        identity_weight: More keeps pictures that are painted after themselves as they are.
        identity_layers: Pairs of a layer in which these pairs' features are compared and its
            weight.
        adversarial_weight: More makes pictures harder to tell from paintings, of any kind. 0 trains
            no discriminator. Where there is one, the network that comes out is the one with the
            least held-out style loss.
        warm_start_steps: Steps before all others, in which the decoder's parts learn to invert the
            encoder's.
        warm_start_rate: Length of these steps.
    """

    SIZE_STEP: ClassVar[int] = 8  # three poolings, which the decoder undoes

    # The loss.
    encoder: Architecture = "vgg19"  # §6
    weights: str | None = "vgg19-adain"  # §6: normalised
    distances: Literal["mean", "relative"] = "mean"  # train.lua
    style_layers: LayerWeights = _CODE_LAYERS  # §6: equal weights
    content_weight: float = 1.0  # train.lua
    style_weight: float = 1e-2  # train.lua
    identity_pairs: int = 0  # none here; the identity loss is Park and Lee's (2019)
    identity_weight: float = 0.0  # the same
    identity_layers: LayerWeights = ()  # the same
    adversarial_weight: float = 0.0  # none here; Chen et al. 2021 (IEContraAST) have 5
    # The pictures.
    size: int = 256  # §6.1
    shorter_side: tuple[int, int] | None = (512, 512)  # §6.1
    batch_size: int = 8  # §6.1
    # The optimiser.
    num_steps: int = 160_000  # train.lua
    learning_rate: float = 1e-4  # train.lua
    schedule: train.Schedule = "inverse_time"  # train.lua
    decay: float = 5e-5  # train.lua
    warm_start_steps: int = 0  # ours: each part of the decoder alone, before AdaIN
    warm_start_rate: float = 5e-4  # ours: of these steps

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_least({"warm_start_steps": 0, "identity_pairs": 0})
        pairs = self.identity_pairs
        check(pairs <= self.batch_size, "identity_pairs", f"at most {self.batch_size}", pairs)
        weight = self.identity_weight
        check(0 <= weight < float("inf"), "identity_weight", "a finite number, 0 or more", weight)
        self.check_weights("adversarial_weight")
        if self.adversarial_weight:
            least = LEAST_SIZE
            check(self.size >= least, "size", f"{least} or more with adversarial_weight", self.size)
            wanted = f"fewer than batch_size, {self.batch_size}, with adversarial_weight"
            check(pairs < self.batch_size, "identity_pairs", wanted, pairs)
        rate = self.warm_start_rate
        check(0 < rate < float("inf"), "warm_start_rate", "a finite number above 0", rate)
        for field, known in (("style_layers", DEEPER_LAYERS), ("identity_layers", STYLE_LAYERS)):
            given = getattr(self, field)
            finite = all(0 <= share < float("inf") for _, share in given)
            check(finite, field, "finite weights, 0 or more", given)
            unknown = {layer for layer, _ in given} - set(known)
            check(not unknown, field, f"some of {', '.join(known)}", sorted(unknown))

    def vary(self, changes: Mapping[str, Any]) -> "Config":
        """Return the configuration with these fields changed, and with what follows from them.

        Beside what CroppedConfig says: identity_pairs, unless given, become at most half of a
        batch, so that some pictures are still painted after paintings.

        Args:
            changes: Values by the names of fields.
        """
        changes = dict(changes)
        if "batch_size" in changes:
            most = changes["batch_size"] // 2
            changes.setdefault("identity_pairs", max(0, min(self.identity_pairs, most)))
        return super().vary(changes)


_CPU = Config(
    encoder="vgg16",
    weights="vgg16-normalized",
    style_layers=tuple(zip(STYLE_LAYERS, (8.0, 5.0, 3.0, 1.0), strict=True)),
    style_weight=1.0,
    identity_pairs=2,
    identity_weight=3e2,
    identity_layers=tuple(zip(STYLE_LAYERS[:3], (4.0, 4.0, 1.0), strict=True)),
    size=128,
    shorter_side=(144, 320),
    flip=True,
    batch_size=4,
    num_steps=6_000,
    optimizer="muon",
    learning_rate=1e-4,  # at twice as much filters fall silent
    schedule="cosine",
    average_decay=0.99,
    warm_start_steps=300,
)

PRESETS: Mapping[str, Config] = {
    "paper": Config(style_weight=1e-1),  # README: what the paper's pictures are reproduced by
    "authors": Config(),
    "pytorch_adain": Config(
        style_layers=tuple((layer, 1.0) for layer in STYLE_LAYERS),  # function.py: means
        style_weight=10.0,  # train.py
    ),
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU,
        size=32,
        shorter_side=(32, 48),
        batch_size=2,
        num_steps=4,
        warm_start_steps=2,
        identity_pairs=0,
        identity_weight=0.0,
        identity_layers=(),
        average_decay=None,
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""
