"""Optical flow between the frames of a clip: DIS, as OpenCV has it, on the host.

DIS is dense inverse search (Kroeger et al. 2016). It needs no weights and runs on a CPU.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, UInt8

from nst_jax.files.video_libraries import require_opencv

FlowPreset = Literal["ultrafast", "fast", "medium"]
"""OpenCV's names for three settings of DIS, from the fastest to the most exact."""

HostFlow = Float[np.ndarray, "height width 2"]
"""Displacements in pixels: to the right, and down."""

LEAST_SIDE = 16
"""Pixels: OpenCV's DIS needs so many along each axis for its coarsest level."""


class Flows(NamedTuple):
    """The flow between two frames in both directions.

    Attributes:
        flow: From this frame to the other, at this frame's pixels.
        opposite: From the other to this one, at the other's pixels.
    """

    flow: HostFlow
    opposite: HostFlow


def estimate_flow(
    frame: Float[np.ndarray, "height width 3"],
    other: Float[np.ndarray, "height width 3"],
    *,
    preset: FlowPreset = "medium",
) -> HostFlow:
    """Return where each pixel of a frame is in another: other(x + f(x)) looks like frame(x).

    Args:
        frame: RGB in [0, 1], at least 16 pixels a side.
        other: Of the same size.
        preset: DIS' settings.

    Raises:
        VideoLibraryMissingError: OpenCV is not installed.
        ValueError: The frames' sizes differ, they are too small, or there is no such preset.

    Reference: Kroeger et al. 2016, arXiv 1603.03590; OpenCV's DISOpticalFlow.
    """
    cv2 = require_opencv()
    if preset not in get_args(FlowPreset):
        raise ValueError(f"preset: wanted one of {', '.join(get_args(FlowPreset))}, got {preset!r}")
    if frame.shape != other.shape or min(frame.shape[:2]) < LEAST_SIDE:
        raise ValueError(
            f"frame: wanted two of one size and at least {LEAST_SIDE} pixels a side, got "
            f"{frame.shape} and {other.shape}"
        )
    settings = {
        "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
        "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
        "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
    }
    engine = cv2.DISOpticalFlow.create(settings[preset])
    found = engine.calc(_grey(frame), _grey(other), np.zeros((*frame.shape[:2], 2), np.float32))
    return np.asarray(found, np.float32)


def estimate_flows(
    frame: Float[np.ndarray, "height width 3"],
    other: Float[np.ndarray, "height width 3"],
    *,
    preset: FlowPreset = "medium",
) -> Flows:
    """Return the flow from a frame to another, and back.

    Args:
        frame: As for estimate_flow.
        other: As for estimate_flow.
        preset: As for estimate_flow.

    Raises:
        VideoLibraryMissingError: As estimate_flow.
        ValueError: As estimate_flow.
    """
    return Flows(
        estimate_flow(frame, other, preset=preset), estimate_flow(other, frame, preset=preset)
    )


def endpoint_error(
    flow: Float[np.ndarray, "height width 2"],
    truth: Float[np.ndarray, "height width 2"],
    *,
    known: Float[np.ndarray, "height width"] | None = None,
) -> float:
    """Return the mean distance, in pixels, between where two flows lead.

    Args:
        flow: What was estimated.
        truth: What is true.
        known: How much each pixel counts; None counts all alike.

    Reference: Baker et al. 2011 (Middlebury), endpoint error.
    """
    distance = np.sqrt(np.square(flow - truth).sum(-1))
    return float(np.average(distance, weights=known))


def _grey(frame: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width"]:
    """Luma in 8 bits, by BT.601, which is what DIS takes."""
    return np.rint(frame @ np.array([76.245, 149.685, 29.07], np.float32)).astype(np.uint8)
