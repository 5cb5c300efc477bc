"""In which order the frames of a clip are optimised, and which others each of them takes up."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nst_jax.papers.ruder_2016.config import Config


class Turn(NamedTuple):
    """One optimisation of one frame.

    Attributes:
        number: Of the pass, counted from 1.
        frame: Which frame, counted from 0.
        neighbours: The frames whose pictures it takes up, nearest first.
    """

    number: int
    frame: int
    neighbours: tuple[int, ...]


def plan_turns(num_frames: int, config: Config, *, scenes: Sequence[int] = (0,)) -> list[Turn]:
    """Return the optimisations that paint a clip, in their order.

    Of several passes the odd ones go forwards, the even ones backwards.

    Args:
        num_frames: Of the clip.
        config: Its distances and passes count.
        scenes: The frames at which scenes begin. Nothing is carried from one to another.
    """
    begins = np.zeros(num_frames, np.int64)
    begins[[first for first in scenes if 0 < first < num_frames]] = 1
    scene = np.cumsum(begins)

    def same(frame: int, others: Sequence[int]) -> tuple[int, ...]:
        inside = [other for other in others if 0 <= other < num_frames]
        return tuple(other for other in inside if scene[other] == scene[frame])

    frames = range(num_frames)
    if config.passes == 1:
        return [
            Turn(1, frame, same(frame, [frame - back for back in config.distances]))
            for frame in frames
        ]
    turns = [Turn(1, frame, ()) for frame in frames]
    for number in range(2, config.passes + 1):
        step = 1 if number % 2 else -1
        turns += [Turn(number, frame, same(frame, [frame - step])) for frame in frames[::step]]
    return turns
