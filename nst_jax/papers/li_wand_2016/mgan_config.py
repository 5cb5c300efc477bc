"""Every setting of a training of MGAN, a network, and where it comes from."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nst_jax import train
from nst_jax.encoders.preprocessing import EncoderInput
from nst_jax.encoders.vgg import Architecture, check_layers, least_side
from nst_jax.losses import AdversarialLossName
from nst_jax.papers.li_wand_2016.config import PRESETS, Config
from nst_jax.runs.config_checks import check
from nst_jax.train.config import TrainingConfig

_LEAST_POSITIONS = 12  # of DeepMarkovianDiscriminator


@dataclass(frozen=True, kw_only=True)
class MganConfig(TrainingConfig):
    """How a network learns from pictures that MDAN paints; sources are of the authors' code.

    total = pixel_weight · mean (y − p)² + adversarial_weight · (the generator's loss), for squares
    y of what the network paints of a photograph and p of what MDAN painted of it, in [0, 1].

    Attributes:
        width: Maps of the decoder, of which it has 8, 4 and 2 times as many.
        encoder_input: What the encoder is given: what its weights want, or RGB from −1 to 1.
        style_layer: Whose patches the discriminator judges.
        style_size: Longer side of the painting in pixels. Smaller means finer strokes.
        teacher: The preset by whose settings MDAN paints photographs, before the network learns.
        num_teachers: How many photographs it paints, rounded up to whole groups.
        teacher_size: Their sides in pixels.
        teacher_steps: How many steps it takes for each.
        teachers_at_once: How many are painted together, against one discriminator, which goes on
            from these to the next.
        pixel_weight: More keeps closer to MDAN's pictures, and is smoother.
        adversarial_loss: A name in losses.ADVERSARIAL_LOSSES.
        adversarial_weight: More makes sharper texture, and strays further from the photograph.
        discriminator_learning_rate: Of the discriminator's Adam.
        momentum: β₁ of both.
        flip: Whether half of the squares are mirrored.
        patience: Steps that a run goes on for when the discriminator wins; see AdversarialConfig.
    """

    SIZE_STEP: ClassVar[int] = 8  # three poolings, which the decoder undoes

    # The network.
    width: int = 64  # nf
    # The loss.
    encoder: Architecture = "vgg19"
    weights: str | None = "vgg19-keras"  # Caffe's VGG-19
    encoder_input: EncoderInput = "signed"  # BlockPixel_source:mul(2):add(-1)
    style_layer: str = "relu3_1"  # netS_vgg_Outputlayer
    pixel_weight: float = 2**2 / 1.01  # pixel_weights, normalised, on pixels of -1 to 1
    adversarial_loss: AdversarialLossName = "margin"  # nn.MarginCriterion(1)
    adversarial_weight: float = 1e-2 / 1.01 * 36 / 64  # netS_weights, normalised; 6 x 6 of 8 x 8
    discriminator_learning_rate: float = 0.02  # netD_lr
    momentum: float = 0.5  # netD_beta1, netG_beta1
    patience: int = 500  # ours: the code has no such guard
    # The pictures.
    style_size: int = 384  # stand_imageSize_example
    teacher: str = "authors"
    num_teachers: int = 100  # README: 100 photographs of ImageNet
    teacher_size: int = 384  # stand_imageSize_syn
    teacher_steps: int = 125  # MDAN_numEpoch, MDAN_numIterPerEpoch
    teachers_at_once: int = 4  # ours; the code has one at a time
    flip: bool = True  # AG_flag_flip
    size: int = 128  # train_imageSize
    batch_size: int = 64  # batchSize
    # The optimiser.
    num_steps: int = 2_000  # 5 epochs of some 25,000 squares, which is our estimate
    learning_rate: float = 0.02  # netG_lr

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        check_layers((self.style_layer,), self.encoder)
        check(self.teacher in PRESETS, "teacher", " or ".join(PRESETS), self.teacher)
        self.check_least(
            {
                "width": 1,
                "num_teachers": 1,
                "teacher_steps": 1,
                "teachers_at_once": 1,
                "teacher_size": self.size,
            }
        )
        least = least_side(self.style_layer, positions=_LEAST_POSITIONS)
        wanted = f"{least} pixels or more for patches of {self.style_layer}"
        check(self.size >= least, "size", wanted, self.size)
        self.check_weights("pixel_weight", "adversarial_weight")
        check(0 <= self.momentum < 1, "momentum", "a share from 0 to below 1", self.momentum)
        _ = self.adversary, self.painting

    @property
    def adversary(self) -> train.AdversarialConfig:
        """The discriminator's part of the network's training."""
        return train.AdversarialConfig(
            loss=self.adversarial_loss,
            weight=self.adversarial_weight,
            learning_rate=self.discriminator_learning_rate,
            momentum=self.momentum,
            patience=self.patience,
        )

    @property
    def painting(self) -> Config:
        """How MDAN paints the photographs."""
        return dataclasses.replace(
            PRESETS[self.teacher],
            encoder=self.encoder,
            weights=self.weights,
            encoder_input=self.encoder_input,
            precision=self.precision,
            size=self.teacher_size,
            style_size=self.style_size,
            num_steps=self.teacher_steps,
            patience=self.num_teacher_steps + 1,  # one picture after another is no lost game
            seed=self.seed,
        )

    @property
    def num_groups(self) -> int:
        """How many times photographs are painted together."""
        return -(-self.num_teachers // self.teachers_at_once)

    @property
    def num_teacher_steps(self) -> int:
        """How many steps all of them take."""
        return self.teacher_steps * self.num_groups

    @property
    def group_folders(self) -> tuple[str, ...]:
        """Where checkpoints of the groups lie, below the run's folder."""
        return tuple(f"teachers/{number:03d}" for number in range(self.num_groups))


_CPU = MganConfig(
    width=32,
    encoder="vgg16",
    weights=None,
    encoder_input="weights",
    style_size=192,
    teacher="cpu",
    num_teachers=16,
    teacher_size=192,
    teacher_steps=100,
    size=96,
    batch_size=4,
    num_steps=4_000,
    learning_rate=2e-3,
    discriminator_learning_rate=5e-4,
)

MGAN_PRESETS: Mapping[str, MganConfig] = {
    "authors": MganConfig(),
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU,
        width=4,
        style_layer="relu2_1",
        style_size=48,
        teacher="smoke",
        num_teachers=3,
        teacher_size=48,
        teacher_steps=2,
        teachers_at_once=2,
        size=32,
        batch_size=2,
        num_steps=4,
    ),
}
"""Ready configurations of networks by name; vary one with dataclasses.replace."""
