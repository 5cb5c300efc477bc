"""What ends a training before its last step: numbers that are none, or what its trainer watches."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Params
from nst_jax.files.disk import quoted
from nst_jax.train.checkpoints import checkpoint_path, saved_steps
from nst_jax.train.trainer import Fault

# No batch of pictures is ten thousand times harder than the first ones were: their losses differ
# by a factor of ten, and a network that has come apart leaves this behind within a few steps.
_DIVERGENCE_FACTOR = 1e4
_FIRST_STEPS = 10
# Networks are saved in float16, which ends here. Adam moves a parameter by about the learning rate
# a step, so that a rate that is far too high shows here while a bounded output hides it.
_LARGEST_PARAMETER = 65504.0
_USUAL_ADVICE = "a lower learning rate or gradient clipping"


class TrainingDivergedError(Exception):
    """The loss, its gradient or a parameter became NaN, infinite or absurdly large.

    Or the trainer found a fault of its own, such as a discriminator that wins.

    Attributes:
        step: The step at which it was found.
        checkpoint: The best checkpoint where one is kept, or the newest, or None if none was saved.
    """

    def __init__(self, message: str, *, step: int, checkpoint: Path | None):
        super().__init__(message)
        self.step, self.checkpoint = step, checkpoint


class DivergenceCheck:
    """Looks at every step's numbers, and raises where the run must end.

    Attributes:
        first_totals: The losses of the first steps, with which later ones are compared.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        fault: Callable[[Mapping[str, float]], Fault | None] | None,
    ):
        """Begin to look.

        Args:
            folders: Of checkpoints, of which an error names the last one's newest.
            fault: The trainer's, if it has one.
        """
        self._folders, self._fault = folders, fault
        self.first_totals: list[float] = []

    def enter(
        self,
        step: int,
        *,
        total: float,
        grad_norm: float,
        largest: float,
        watched: Mapping[str, float],
    ) -> None:
        """Look at a step.

        Args:
            step: Its number.
            total: Its loss.
            grad_norm: Its gradient's norm.
            largest: From largest_entry.
            watched: What the trainer watches.

        Raises:
            TrainingDivergedError: The run must end.
        """
        if not math.isfinite(total):
            raise self.error(step, f"The loss became {total} at")
        if not math.isfinite(grad_norm):
            raise self.error(step, f"The gradient's norm became {grad_norm} at")
        if not largest <= _LARGEST_PARAMETER:  # said so that NaN fails as well
            raise self.error(step, f"A parameter became {largest:.4g} at")
        if self._fault is None:
            self._compare(step, total)
        elif (fault := self._fault(watched)) is not None:
            raise self.error(step, fault.what, advice=fault.advice)

    def _compare(self, step: int, total: float) -> None:
        usual = median(self.first_totals or [total])
        if total > _DIVERGENCE_FACTOR * usual > 0:
            raise self.error(step, f"The loss became {total:.4g} (first {usual:.4g}) at")
        if len(self.first_totals) < _FIRST_STEPS:
            self.first_totals.append(total)

    def error(self, step: int, what: str, *, advice: str = _USUAL_ADVICE) -> TrainingDivergedError:
        """Return the error of a run that must end.

        Args:
            step: Where.
            what: A clause that goes on with the step.
            advice: What to try.
        """
        saved = [
            checkpoint_path(folder, each)
            for folder in self._folders
            for each in saved_steps(folder)
        ]
        kept = saved[-1] if saved else None
        return TrainingDivergedError(
            f"{what} step {step}. "
            + (f"The checkpoint {quoted(kept)} stays" if kept else "There is no checkpoint yet")
            + f"; try {advice}, in another workdir.",
            step=step,
            checkpoint=kept,
        )


@jax.jit
def largest_entry(params: Params) -> Float[Array, ""]:
    """Return the largest absolute value among all parameters; NaN if one is."""
    found = [jnp.abs(leaf).max().astype(jnp.float32) for leaf in jax.tree.leaves(params)]
    return jnp.stack(found).max()
