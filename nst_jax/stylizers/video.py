"""Clips painted frame by frame by any network, without flicker and without training.

    video = VideoStylizer(load_stylizer("huang2017"), style)
    state = video.init(every_eighth_frame)
    state, picture = video.step(state, frame, estimate_flows(frame, last_frame))

A network that paints frames one by one flickers for two reasons. Its instance normalisations divide
by statistics of each frame, so that all of a picture changes when something enters it. And small
changes of a frame, such as noise, are painted as other strokes. "statistics" takes care of the
first, "blend" of the second. A network that is trained to see its last picture needs no blend: it
is given that picture in its place.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.array_types import Image
from nst_jax.flow import Flows
from nst_jax.ops.cuts import is_cut
from nst_jax.stylizers.blending import Blend, blend_along_flow
from nst_jax.stylizers.clip_statistics import combine, follow
from nst_jax.stylizers.following import FollowingStylizer
from nst_jax.stylizers.painting import MAX_PIXELS, Statistics
from nst_jax.stylizers.style_over_time import Mixes, StyleOverTime
from nst_jax.stylizers.stylizer import Stylizer
from nst_jax.stylizers.tiling import Pixels

Temporal = Literal["off", "statistics", "blend", "all"]
"""What is done for consistency: nothing, one set of statistics, the blend, or both."""

SAMPLE_EVERY = 8
"""Every so many frames one is sampled for a clip's statistics, as in the code of ReReVST."""

_KEPT = 0.9  # of running statistics with each frame, where a clip's are not known

ClipStatistics = Any
"""Statistics or None; those of a clip whose style changes are a tuple, one for each style."""

Paint = Callable[[Stylizer, Pixels, Any], Pixels]
"""Paints one frame by a stylizer in a style."""


class VideoState(NamedTuple):
    """What a clip's next picture depends on besides the next frame.

    Attributes:
        statistics: What the network normalises by; None for each frame's own.
        are_fixed: Whether the statistics are a clip's, or follow its frames.
        frame: The last frame; None before the first one.
        picture: What was painted of it.
    """

    statistics: ClipStatistics
    are_fixed: bool
    frame: Image | None
    picture: Image | None


@dataclasses.dataclass(frozen=True)
class VideoStylizer:
    """A stylizer for the frames of a clip: init gives a state, step a picture and the next state.

    Both are pure: the same arguments give the same answers, and nothing is kept here.

    Attributes:
        stylizer: The network.
        style: As for the stylizer; or a StyleOverTime.
        temporal: What is done for consistency.
        blend: How pictures are blended.
        max_pixels: How many pixels run at once; larger frames run in tiles.
        paint: In place of stylizer.paint([frame], style): what else makes a picture of a frame.
    """

    stylizer: Stylizer
    style: Any = None
    temporal: Temporal = "blend"
    blend: Blend = dataclasses.field(default_factory=Blend)
    max_pixels: int = MAX_PIXELS
    paint: Paint | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.temporal not in get_args(Temporal):
            choices = ", ".join(get_args(Temporal))
            raise ValueError(f"temporal: wanted one of {choices}, got {self.temporal!r}")
        if isinstance(self.style, StyleOverTime) and not isinstance(self.stylizer, Mixes):
            raise ValueError(
                f"style: wanted one for {self.stylizer.name}, which has no styles to change between"
            )

    @property
    def pools_statistics(self) -> bool:
        """Whether frames of a clip share statistics."""
        return self.temporal in ("statistics", "all")

    @property
    def blends(self) -> bool:
        """Whether pictures are blended, so that step wants flow."""
        return self.temporal in ("blend", "all")

    def init(self, samples: Sequence[Pixels]) -> VideoState:
        """Return the state before a clip, or before one of its scenes.

        Args:
            samples: Frames from all over it, such as every eighth one, whose pooled statistics all
                frames are normalised by. Where it is empty, statistics follow the frames, as a
                camera needs it.
        """
        if not (samples and self.pools_statistics):
            return VideoState(None, are_fixed=False, frame=None, picture=None)
        return VideoState(self.pool(samples), are_fixed=True, frame=None, picture=None)

    def pool(self, samples: Sequence[Pixels]) -> ClipStatistics:
        """Return what the network normalises by in a clip, as VideoState has it.

        Args:
            samples: As for init, one at least.
        """
        if not isinstance(self.style, StyleOverTime):
            return self._pool(samples, self.style)
        found = [self._pool(samples, style) for style in self.style.styles]
        return None if any(each is None for each in found) else tuple(found)

    def combine(self, groups: Sequence[tuple[int, ClipStatistics]]) -> ClipStatistics:
        """Return what pool would of all frames of several groups together; None without any.

        Args:
            groups: How many frames each has, and what pool answered of them.
        """
        if not groups:
            return None
        if not isinstance(self.style, StyleOverTime):
            return combine(groups)
        counts, found = zip(*groups, strict=True)
        return tuple(
            combine(list(zip(counts, of_style, strict=True)))
            for of_style in zip(*found, strict=True)
        )

    def _pool(self, samples: Sequence[Pixels], style: Any) -> Statistics | None:
        return self.stylizer.pool_statistics(samples, style, max_pixels=self.max_pixels)

    def step(
        self,
        state: VideoState,
        frame: Image | Float[np.ndarray, "batch height width 3"],
        flows: Flows | None,
        *,
        time: float = 0.0,
    ) -> tuple[VideoState, Image]:
        """Return the state after a frame, and its picture.

        Args:
            state: The state before it, from init or the last step.
            frame: RGB in [0, 1], (1, height, width, 3), of the last one's size.
            flows: Those between this frame and the last, estimate_flows(frame, last_frame). For

            time: Of the frame in seconds, for a style that changes.

        Raises:
            ValueError: The frame is of another size than the last one.
        """
        if state.frame is not None and state.frame.shape != frame.shape:
            raise ValueError(
                f"frame: wanted the last one's shape {state.frame.shape}, got {frame.shape}"
            )
        pixels = np.asarray(frame[0])
        begins = state.frame is None or is_cut(np.asarray(state.frame[0]), pixels)
        stylizer, last = self.stylizer, None
        if self.blends and flows is not None and not begins:
            assert state.frame is not None
            assert state.picture is not None
            last = (state.picture, *(jnp.asarray(each[None]) for each in flows))
        if last is not None and isinstance(stylizer, FollowingStylizer):
            stylizer, last = stylizer.following(*last), None
        style, mixed = self.style, None
        if isinstance(style, StyleOverTime):
            assert isinstance(self.stylizer, Mixes)
            if state.are_fixed and state.statistics is not None:
                mixed = style.mix_statistics(state.statistics, time)
            style = style.at(self.stylizer, time)
        statistics = self._next_statistics(state, pixels, style, begins)
        given = statistics if mixed is None else mixed
        picture = jnp.asarray(self._painted(stylizer, pixels, style, given)[None])
        if last is not None:
            assert state.frame is not None
            moved = (last[0], jnp.asarray(frame), state.frame, *last[1:])
            picture = blend_along_flow(picture, *moved, blend=self.blend)
        return VideoState(statistics, state.are_fixed, jnp.asarray(frame), picture), picture

    def _next_statistics(self, state: VideoState, pixels: Pixels, style: Any, begins: bool) -> Any:
        if state.are_fixed or not self.pools_statistics:
            return state.statistics
        own = self._pool([pixels], style)
        if own is None or state.statistics is None or begins:
            return own
        return follow(state.statistics, own, keep=_KEPT)

    def _painted(
        self, stylizer: Stylizer, pixels: Pixels, style: Any, statistics: Statistics | None
    ) -> Pixels:
        if statistics is not None:
            stylizer = stylizer.with_statistics(statistics)
        if self.paint is not None:
            return self.paint(stylizer, pixels, style)
        return stylizer.paint([pixels], style, max_pixels=self.max_pixels)[0]
