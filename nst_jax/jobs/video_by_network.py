"""The frames of a clip painted by a network, one pass each."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from nst_jax import files
from nst_jax.files.videos import Clip, Frame, read_frames
from nst_jax.flow import estimate_flows
from nst_jax.jobs.kept_frames import KeptFrames
from nst_jax.jobs.styles import (
    RecoloredPaintings,
    RecoloredResults,
    Rendering,
    SameStyle,
    choose_renderings,
)
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.jobs.video_job import OnFrame, Pixels, VideoJob, VideoReport, identify
from nst_jax.ops.cuts import is_cut
from nst_jax.runs.interrupts import Cancel
from nst_jax.stylizers import (
    SAMPLE_EVERY,
    FollowingStylizer,
    StyleOverTime,
    Stylizer,
    VideoState,
    VideoStylizer,
    load_stylizer,
)

_SAVE_EVERY = 10  # frames, which are painted again at most after a run was killed
_SAMPLES = 8  # frames that are held at once for their statistics


def load_network(job: VideoJob) -> Stylizer:
    """Return the network of a job, loaded if it is not.

    Args:
        job: Its model, precision and max_pixels count.

    Raises:
        ValueError: There is no such model, or max_pixels is too small for it.
        OSError: Its file cannot be read.
    """
    stylizer = job.model
    if not isinstance(stylizer, Stylizer):
        stylizer = load_stylizer(stylizer, precision=job.precision)
    stylizer.check_max_pixels(job.max_pixels)
    return stylizer


class NetworkPainter:
    """A clip on its way, with the folder that keeps what is done.

    Attributes:
        kept: The frames that are painted.
    """

    def __init__(self, job: VideoJob, clip: Clip, unfinished: Unfinished, on_frame: OnFrame):
        stylizer = load_network(job)
        self._job, self._clip, self._on_frame = job, clip, on_frame
        self._video = _video_stylizer(job, stylizer)
        identity = _identify(job, clip, stylizer)
        self.kept = KeptFrames(unfinished, identity, may_overwrite=job.overwrite)

    def paint(self, cancel: Cancel | None) -> VideoReport:
        """Paint the frames that are not done, and keep them."""
        job, video, kept = self._job, self._video, self.kept
        state = self._go_on()
        times = kept.times
        report = VideoReport(first=len(times), size=(self._clip.width, self._clip.height))
        scenes = dict(self._scenes()) if video.pools_statistics else {}
        report.scenes = tuple(scenes)
        state = state or video.init(())
        total = self._clip.num_frames
        if times and scenes:
            begun = max(number for number in scenes if number <= len(times) - 1)
            state = state._replace(statistics=scenes[begun], are_fixed=True)
        self._on_frame("painting", len(times), total)
        try:
            for frame in read_frames(job.clip, selection=job.selection, skip=len(times)):
                number = len(times)
                if number in scenes:
                    state = VideoState(scenes[number], are_fixed=True, frame=None, picture=None)
                state = self._paint_frame(state, frame, number)
                self._on_frame("painting", number + 1, max(total or 0, number + 1))
                if cancel is not None and cancel.is_set():
                    report.is_finished = False
                    break
                if len(times) % _SAVE_EVERY == 0:
                    self._save(state)
        finally:
            if state.frame is not None:
                self._save(state)
        report.frames = len(times)
        return report

    def write(self, out: Path) -> None:
        """Write the clip."""
        self.kept.write(out, self._job, self._clip, self._on_frame)

    def _paint_frame(self, state: VideoState, frame: Frame, number: int) -> VideoState:
        flows = None
        if self._video.blends and state.frame is not None:
            last = np.asarray(state.frame[0])
            flows = estimate_flows(frame.pixels, last, preset=self._job.flow)
        after, picture = self._video.step(
            state, jnp.asarray(frame.pixels[None]), flows, time=float(frame.time)
        )
        files.save_image(self.kept.path(number), picture)
        self.kept.times.append(frame.time)
        return after

    def _scenes(self) -> Iterator[tuple[int, Any]]:
        """Each scene's first frame, and its statistics."""
        last: Pixels | None = None
        begin, groups, samples, number = 0, [], [], 0

        def pool() -> None:
            found = self._video.pool(samples)
            if found is not None:
                groups.append((len(samples), found))
            samples.clear()

        total = self._clip.num_frames
        frames = read_frames(self._job.clip, selection=self._job.selection)
        for number, frame in enumerate(frames):
            if last is not None and is_cut(last, frame.pixels):
                pool()
                yield begin, self._video.combine(groups)
                begin, groups = number, []
            if (number - begin) % SAMPLE_EVERY == 0:
                samples.append(frame.pixels)
            if len(samples) == _SAMPLES:
                pool()
            last = frame.pixels
            self._on_frame("looking", number + 1, max(total or 0, number + 1))
        if samples:
            pool()
        yield begin, self._video.combine(groups)

    def _go_on(self) -> VideoState | None:
        """The state after the last frame that is kept, or None."""
        found = self.kept.load()
        if found is None:
            return None
        arrays, _ = found
        self.kept.saved = len(self.kept.times)
        statistics = {
            tuple(name.split("/")[1:]): jnp.asarray(array)
            for name, array in arrays.items()
            if name.startswith("statistics/")
        }
        return VideoState(
            unflatten_dict(statistics) if statistics else None,
            are_fixed=False,
            frame=jnp.asarray(arrays["frame"]),
            picture=jnp.asarray(arrays["picture"]),
        )

    def _save(self, state: VideoState) -> None:
        arrays = {"frame": np.asarray(state.frame), "picture": np.asarray(state.picture)}
        if state.statistics is not None and not state.are_fixed:
            flat = flatten_dict(state.statistics)
            arrays |= {"/".join(("statistics", *path)): np.asarray(x) for path, x in flat.items()}
        self.kept.save(arrays, {}, done=len(self.kept.times))


def _video_stylizer(job: VideoJob, stylizer: Stylizer) -> VideoStylizer:
    choice = job.choice
    if choice.color not in (None, "style") and choice.color_when is None:
        choice = dataclasses.replace(choice, color_when="after")
    renderings = choose_renderings(stylizer, choice)
    rendering = renderings[0]
    if isinstance(rendering, RecoloredPaintings):
        raise ValueError(
            "color_when: wanted after for a clip, got before, which would give each frame a style "
            "of its own; leave out --color-when"
        )
    if isinstance(stylizer, FollowingStylizer) and isinstance(rendering, RecoloredResults):
        raise ValueError(
            f"color: wanted style with {stylizer.name}, which goes on from its own last picture, "
            f"got {choice.color}; leave out --color"
        )
    style = _style_of(rendering)
    if job.style_times:
        style = _over_time(job, renderings)
    elif len(renderings) != 1:
        raise ValueError(
            f"style: wanted one style for a clip, got {len(renderings)}; blend them with "
            "--style-blend, give each a part with --mask or a time with --style-times, or paint a "
            "clip for each"
        )

    def paint(stylizer: Stylizer, pixels: Pixels, style: Any) -> Pixels:
        own = _with_style(rendering, style)
        own.check(pixels)
        return own.paint(stylizer, [pixels], max_pixels=job.max_pixels)[0]

    return VideoStylizer(
        stylizer,
        style,
        temporal=job.temporal,
        blend=job.blend,
        max_pixels=job.max_pixels,
        paint=paint,
    )


def _over_time(job: VideoJob, renderings: list[Rendering]) -> StyleOverTime:
    """The styles with the times at which they are painted."""
    for name, option in {"blend": "style-blend", "masks": "mask"}.items():
        if getattr(job.choice, name):
            raise ValueError(f"style_times: wanted without --{option}, got both; leave out one")
    if len(job.style_times) != len(renderings) or len(renderings) < 2:
        raise ValueError(
            "style_times: wanted two or more, one for each of --style, got "
            f"{len(job.style_times)} for {len(renderings)} styles"
        )
    return StyleOverTime(job.style_times, tuple(_style_of(each) for each in renderings))


def _style_of(rendering: Rendering) -> Any:
    inner = getattr(rendering, "inner", rendering)
    return getattr(inner, "style", None)


def _with_style(rendering: Rendering, style: Any) -> Rendering:
    """The rendering in another style of the same stylizer."""
    if isinstance(rendering, RecoloredResults):
        return dataclasses.replace(rendering, inner=_with_style(rendering.inner, style))
    assert isinstance(rendering, SameStyle)
    return dataclasses.replace(rendering, style=style)


def _identify(job: VideoJob, clip: Clip, stylizer: Stylizer) -> Mapping[str, Any]:
    variables = hashlib.sha256()
    for array in jax.tree.leaves(stylizer.variables):
        variables.update(np.asarray(array).tobytes())
    return {
        **identify(job, clip),
        "style_times": list(job.style_times),
        "model": variables.hexdigest(),
        "temporal": job.temporal,
        "blend": dataclasses.asdict(job.blend),
    }
