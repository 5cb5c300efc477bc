"""What configurations of trainings have: an encoder, pictures, and an optimiser."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from nst_jax.encoders.vgg import Architecture
from nst_jax.ops.convolution import Precision
from nst_jax.runs.config_checks import check, check_types
from nst_jax.train.transformations import Optimizer, Schedule

Decode = Literal["always", "once", "auto"]

_MOST = 2**30 - 1  # optimisers and schedules count in 32 bits

_Own = TypeVar("_Own", bound="TrainingConfig")
_Cropped = TypeVar("_Cropped", bound="CroppedConfig")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What all papers' configurations have in common; each names its own values and sources.

    Attributes:
        encoder: The network that judges.
        weights: The encoder's weights, a set's name or a file's; None is the encoder's usual set.
        precision: Of the encoder's convolutions, and of a decoder that mirrors it.
        size: Side of the training pictures in pixels.
        batch_size: Pictures a step.
        num_steps: Steps in all, without those of a stage before.
        optimizer: adam, or muon, which suits decoders whose inputs are all positive.
        learning_rate: Length of a step, of the first ones where the schedule lets it fall.
        schedule: How the rate goes on: constant, cosine to 0, inverse_time, or halving.
        decay: Of the schedule inverse_time, whose rate is learning_rate / (1 + decay t).
        halve_every: Steps after which the schedule halving halves the rate.
        clip_norm: Gradients above this norm are shortened, for a run that diverges.
        average_decay: The share that a moving average of the parameters keeps a step; None is none.
        seed: Decides the first parameters, and the order of the pictures.
    """

    LEAST_SIZE: ClassVar[int] = 16  # of training pictures, for which a network may want more
    SIZE_STEP: ClassVar[int] = 4  # what sizes are multiples of, likewise

    # The loss.
    encoder: Architecture = "vgg16"
    weights: str | None = None
    precision: Precision = "float32"
    # The pictures.
    size: int
    batch_size: int
    # The optimiser.
    num_steps: int
    optimizer: Optimizer = "adam"
    learning_rate: float
    schedule: Schedule = "constant"
    decay: float = 5e-5
    halve_every: int | None = None
    clip_norm: float | None = None
    average_decay: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        check_types(self)
        self.check_least({"batch_size": 1, "num_steps": 1})
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and field.name != "seed":
                check(value <= _MOST, field.name, f"at most {_MOST}", value)
        least, step = self.LEAST_SIZE, self.SIZE_STEP
        fits = self.size >= least and self.size % step == 0
        check(fits, "size", f"a multiple of {step} from {least} on", self.size)
        self.check_weights("decay")
        if self.halve_every is not None:
            self.check_least({"halve_every": 1})
        share = self.average_decay
        check(share is None or 0 <= share < 1, "average_decay", "a share from 0 to below 1", share)
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            positive = value is None or 0 < value < float("inf")
            check(positive, name, "a finite number above 0", value)
        check(0 <= self.seed < 2**32, "seed", "0 to 4294967295", self.seed)

    def vary(self: _Own, changes: Mapping[str, Any]) -> _Own:
        """Return the configuration with these fields changed, and with what follows from them.

        Args:
            changes: Values by the names of fields.

        Raises:
            ValueError: One line that names the field.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes.keys() - set(known):
            raise ValueError(f"{name}: wanted one of {', '.join(known)}, got another name")
        return dataclasses.replace(self, **changes)

    def check_least(self, least_values: Mapping[str, int]) -> None:
        """Raise a ValueError where a field of that name is less than that."""
        for name, least in least_values.items():
            check(getattr(self, name) >= least, name, f"{least} or more", getattr(self, name))

    def check_weights(self, *names: str) -> None:
        """Raise a ValueError unless these fields are finite and not negative."""
        for name in names:
            value = getattr(self, name)
            check(0 <= value < float("inf"), name, "a finite number, 0 or more", value)


@dataclass(frozen=True, kw_only=True)
class CroppedConfig(TrainingConfig):
    """A training on squares that are cut out of picture files.

    Attributes:
        shorter_side: The least and the most pixels that a picture's shorter side is scaled to
            before a square is cut out; None squeezes the whole picture into the square.
        flip: Whether half of the pictures are mirrored.
        decode: Whether picture files are decoded always, whenever a picture is needed, or once,
            into an array on the device, of which the compiled step cuts squares; auto is once on an
            accelerator where all pictures fit in its memory. Once keeps the central squares alone.
    """

    shorter_side: tuple[int, int] | None = None
    flip: bool = False
    decode: Decode = "always"

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        if self.shorter_side is not None:
            low, high = self.shorter_side
            rising = self.size <= low <= high
            check(rising, "shorter_side", f"a range from size, {self.size}, on", (low, high))

    def vary(self: _Cropped, changes: Mapping[str, Any]) -> _Cropped:
        """Return TrainingConfig.vary's, where shorter_side grows with size unless it is given.

        What matters is which part of a picture a square shows.

        Args:
            changes: Values by the names of fields.

        Raises:
            ValueError: One line that names the field.
        """
        changes = dict(changes)
        if "size" in changes and self.shorter_side is not None:
            scaled = tuple(round(side * changes["size"] / self.size) for side in self.shorter_side)
            changes.setdefault("shorter_side", scaled)
        return super().vary(changes)


@dataclass(frozen=True, kw_only=True)
class TransferConfig(CroppedConfig):
    """A training whose loss weighs a photograph against paintings.

    Attributes:
        content_weight: More keeps more of the photograph.
        style_weight: More paints more boldly.
    """

    content_weight: float
    style_weight: float

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_weights("content_weight", "style_weight")
