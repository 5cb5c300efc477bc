"""Made clips whose motion is known exactly: pans, zooms, rotations, and a moving cut-out."""

from collections.abc import Callable

import numpy as np


def texture(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A smooth pattern without end, whose parts differ from one another, in [0, 1]."""
    waves = [
        np.sin(x / 3.1 + 1.3 * np.sin(y / 7.3)),
        np.sin(y / 2.7 + 1.1 * np.sin(x / 5.9) + 1),
        np.sin((x + y) / 4.3 + np.sin((x - y) / 9.1)),
    ]
    return (0.5 + 0.45 * np.stack(waves, -1)).astype(np.float32)


Motion = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Where in the texture a frame's (y, x) is."""


def pan(dx: float, dy: float) -> Motion:
    return lambda y, x: (y - dy, x - dx)


def turn_and_zoom(
    degrees: float, factor: float, *, center: tuple[float, float] = (23.5, 31.5)
) -> Motion:
    """What is in the first frame at c + r is in the second at c + factor · R(degrees) r."""
    cos, sin = np.cos(np.radians(degrees)) / factor, np.sin(np.radians(degrees)) / factor
    cy, cx = center

    def back(y, x):
        return cy + cos * (y - cy) - sin * (x - cx), cx + sin * (y - cy) + cos * (x - cx)

    return back


def moved(motion: Motion, height: int = 48, width: int = 64) -> tuple[np.ndarray, ...]:
    """Two frames, the second moved, and the exact flow from the second back to the first."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    back_y, back_x = motion(y, x)
    flow = np.stack([back_x - x, back_y - y], -1).astype(np.float32)
    return texture(y, x), texture(back_y, back_x), flow


def cut_out(
    step: int = 6, height: int = 48, width: int = 64
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A square that moves right over a still ground.

    Two frames, the exact flows from the second to the first and back, and where in the second the
    ground appears that the first one's square covers.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    ground = texture(y, x)
    frames, squares = [], []
    for offset in (0, step):
        square = (y >= 14) & (y < 34) & (x >= 18 + offset) & (x < 38 + offset)
        moving = 1 - texture(1.3 * y + 40, 1.2 * (x - offset))
        frames.append(np.where(square[..., None], moving, ground).astype(np.float32))
        squares.append(square)
    backward = np.where(squares[1][..., None], (-step, 0), (0, 0)).astype(np.float32)
    forward = np.where(squares[0][..., None], (step, 0), (0, 0)).astype(np.float32)
    return frames[0], frames[1], backward, forward, squares[0] & ~squares[1]
