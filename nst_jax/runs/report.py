"""What a run reports of each step, and the error of one that diverged."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class DivergedError(Exception):
    """The objective became NaN, infinite or absurdly large.

    Attributes:
        step: The step after which it was found.
        best_image: The picture with the lowest total until then, a NumPy array.
        best_total: Its total.
    """

    def __init__(self, message: str, *, step: int, best_image: np.ndarray, best_total: float):
        super().__init__(message)
        self.step, self.best_image, self.best_total = step, best_image, best_total


class Report(NamedTuple):
    """What a run reports of a step: its number, counted from 1, and losses on the host."""

    step: int
    total: float
    terms: Mapping[str, float]
