"""Styles that a clip goes through, each at its time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from nst_jax.stylizers.painting import Statistics


@runtime_checkable
class Mixes(Protocol):
    """A stylizer whose styles can be mixed."""

    def mix(self, styles: Sequence[Any], weights: Sequence[float]) -> Any:
        """Return the style between styles."""
        ...


@dataclass(frozen=True)
class StyleOverTime:
    """Styles, and when a clip has each of them; between two times they are mixed in proportion.

    Before the first time a clip has the first style, after the last time the last one.

    Attributes:
        times: In seconds, rising.
        styles: As many, each as the stylizer takes it.
    """

    times: tuple[float, ...]
    styles: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Check the times."""
        rising = list(self.times) == sorted({*self.times}) and np.isfinite(self.times).all()
        if not rising or len(self.times) != len(self.styles) or not self.times:
            raise ValueError(
                "style_times: wanted seconds that rise, one for each style, got "
                f"{' '.join(f'{time:g}' for time in self.times)} for {len(self.styles)} styles"
            )

    def weights(self, time: float) -> tuple[float, ...]:
        """Return how much of each style a clip has at a time; they sum to 1.

        Args:
            time: In seconds.
        """
        shares = np.eye(len(self.times))
        return tuple(float(np.interp(time, self.times, share)) for share in shares)

    def at(self, stylizer: Mixes, time: float) -> Any:
        """Return the style at a time.

        Args:
            stylizer: Whose styles these are.
            time: In seconds.
        """
        return stylizer.mix(self.styles, self.weights(time))

    def mix_statistics(self, found: Sequence[Statistics], time: float) -> Statistics:
        """Return what a network normalises by at a time, of what it does in each of the styles.

        Args:
            found: A clip's statistics in each style.
            time: In seconds.
        """
        weights = self.weights(time)
        return jax.tree.map(
            lambda *arrays: sum(w * array for w, array in zip(weights, arrays, strict=True)), *found
        )
