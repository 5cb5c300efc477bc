"""A clip painted frame by frame into another, with progress by callback and a state to go on from.

Finished frames lie in OUT.state/frames as PNGs until the clip is whole; the last of them shows how
far it is. Nothing is printed; see run.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Float

from nst_jax import files
from nst_jax.files.disk import FilePath, quoted
from nst_jax.files.video_libraries import require_opencv
from nst_jax.files.video_output import (
    Sound,
    check_clip_output,
    frame_name,
    is_folder_name,
    writing_clip,
)
from nst_jax.files.videos import Clip, Frame, Selection, describe_clip, read_frames
from nst_jax.flow import FlowPreset, estimate_flows
from nst_jax.jobs.styles import RecoloredPaintings, Rendering, StyleChoice, choose_renderings
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.ops.convolution import Precision
from nst_jax.ops.cuts import is_cut
from nst_jax.runs.interrupts import Cancel
from nst_jax.stylizers import (
    DEFAULT_MODEL,
    MAX_PIXELS,
    SAMPLE_EVERY,
    Blend,
    Stylizer,
    Temporal,
    VideoState,
    VideoStylizer,
    load_stylizer,
)
from nst_jax.stylizers.clip_statistics import combine

SIZE = 640
"""Pixels of the longer side of a painted clip where the user says nothing."""

_SELECTION = Selection(size=SIZE)
_SAVE_EVERY = 10  # frames, which are painted again at most after a run was killed
_SAMPLES = 8  # frames that are held at once for their statistics

Pixels = Float[np.ndarray, "_ _ 3"]
OnFrame = Callable[[str, int, int | None], None]
"""What is done, frames done, and frames in all, if known."""


@dataclass(frozen=True)
class VideoJob:
    """What is to be painted, and how.

    Attributes:
        clip: A clip that FFmpeg reads, or a folder of pictures.
        out: A name that ends in .mp4, or a folder.
        choice: The style: one, or several that are blended or have masks.
        model: A network's name or file, or one that is loaded.
        precision: Of a network that is loaded now.
        selection: Which part of the clip, at which size and rate.
        temporal: What is done for consistency.
        blend: How pictures are blended.
        flow: DIS' settings.
        max_pixels: How many pixels run at once.
        overwrite: Whether a clip that exists may be replaced.
        resume: Whether to go on with a run that was stopped.
    """

    clip: FilePath
    out: FilePath
    choice: StyleChoice = field(default_factory=StyleChoice)
    model: FilePath | Stylizer = DEFAULT_MODEL
    precision: Precision = "float32"
    selection: Selection = _SELECTION
    temporal: Temporal = "blend"
    blend: Blend = field(default_factory=Blend)
    flow: FlowPreset = "medium"
    max_pixels: int = MAX_PIXELS
    overwrite: bool = False
    resume: bool = False


@dataclass
class VideoReport:
    """What became of a clip.

    Attributes:
        frames: How many were painted, those of an earlier run included.
        first: How many of them an earlier run had painted.
        size: Width and height.
        scenes: The frames, counted from 0, at which scenes begin, where statistics were pooled.
        is_finished: Whether the clip is written.
    """

    frames: int = 0
    first: int = 0
    size: tuple[int, int] = (0, 0)
    scenes: tuple[int, ...] = ()
    is_finished: bool = True


def run(
    job: VideoJob, *, on_frame: OnFrame | None = None, cancel: Cancel | None = None
) -> VideoReport:
    """Paint a clip.

    Args:
        job: What to paint.
        on_frame: Called with what is done and how far it is.
        cancel: Where it is set, the run stops after the frame at hand; resume goes on.

    Raises:
        ValueError: Something in the job does not fit, the clip is damaged, or another process is
            painting to the same place.
        FileExistsError: The clip exists, or an unfinished one does.
        OSError: The clip cannot be read or written.
        VideoLibraryMissingError: PyAV or OpenCV is missing.
        KeyboardInterrupt: As it came, with a line on how to go on.
    """
    out = Path(job.out)
    if files.real_path(job.clip) == files.real_path(out):
        raise ValueError(f"out: {quoted(out)} is the clip itself; choose another place")
    unfinished = Unfinished(out)
    unfinished.check(out, resume=job.resume)
    check_clip_output(out, overwrite=job.overwrite)
    if job.temporal in ("blend", "all"):
        require_opencv()
    stylizer = job.model
    if not isinstance(stylizer, Stylizer):
        stylizer = load_stylizer(stylizer, precision=job.precision)
    stylizer.check_max_pixels(job.max_pixels)
    clip = describe_clip(job.clip, selection=job.selection)
    video = _video_stylizer(job, stylizer)
    painter = _Painter(job, clip, video, unfinished, on_frame or (lambda *_: None))
    with unfinished.held():
        try:
            report = painter.paint(cancel)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(
                f"stopped; {painter.saved} frames are kept; the same command with --resume goes on"
            ) from error
        if report.is_finished:
            painter.write(out)
            painter.remove()
    return report


def _video_stylizer(job: VideoJob, stylizer: Stylizer) -> VideoStylizer:
    choice = job.choice
    if choice.color not in (None, "style") and choice.color_when is None:
        choice = dataclasses.replace(choice, color_when="after")
    renderings = choose_renderings(stylizer, choice)
    if len(renderings) != 1:
        raise ValueError(
            f"style: wanted one style for a clip, got {len(renderings)}; blend them with "
            "--style-blend, give each a part with --mask, or paint a clip for each"
        )
    rendering = renderings[0]
    if isinstance(rendering, RecoloredPaintings):
        raise ValueError(
            "color_when: wanted after for a clip, got before, which would give each frame a style "
            "of its own; leave out --color-when"
        )

    def paint(stylizer: Stylizer, pixels: Pixels) -> Pixels:
        rendering.check(pixels)
        return rendering.paint(stylizer, [pixels], max_pixels=job.max_pixels)[0]

    return VideoStylizer(
        stylizer,
        _style_of(rendering),
        temporal=job.temporal,
        blend=job.blend,
        max_pixels=job.max_pixels,
        paint=paint,
    )


def _style_of(rendering: Rendering) -> Any:
    inner = getattr(rendering, "inner", rendering)
    return getattr(inner, "style", None)


class _Painter:
    """A clip on its way, with the folder that keeps what is done."""

    def __init__(
        self,
        job: VideoJob,
        clip: Clip,
        video: VideoStylizer,
        unfinished: Unfinished,
        on_frame: OnFrame,
    ):
        self._job, self._clip, self._video = job, clip, video
        self._unfinished, self._on_frame = unfinished, on_frame
        self._frames = unfinished.folder / "frames"
        self._times: list[Fraction] = []
        self.saved = 0

    def paint(self, cancel: Cancel | None) -> VideoReport:
        """Paint the frames that are not done, and keep them."""
        job, video = self._job, self._video
        identity = _identify(job, self._clip, video.stylizer)
        state = self._go_on(identity)
        report = VideoReport(first=len(self._times), size=(self._clip.width, self._clip.height))
        scenes = dict(self._scenes()) if video.pools_statistics else {}
        report.scenes = tuple(scenes)
        files.make_folder(self._frames)
        state = state or video.init(())
        total = self._clip.num_frames
        if self._times and scenes:
            begun = max(number for number in scenes if number <= len(self._times) - 1)
            state = state._replace(statistics=scenes[begun], are_fixed=True)
        self._on_frame("painting", len(self._times), total)
        try:
            for frame in read_frames(job.clip, selection=job.selection, skip=len(self._times)):
                number = len(self._times)
                if number in scenes:
                    state = VideoState(scenes[number], are_fixed=True, frame=None, picture=None)
                state = self._paint_frame(state, frame, number)
                self._on_frame("painting", number + 1, max(total or 0, number + 1))
                if cancel is not None and cancel.is_set():
                    report.is_finished = False
                    break
                if len(self._times) % _SAVE_EVERY == 0:
                    self._save(state, identity)
        finally:
            if state.frame is not None:
                self._save(state, identity)
        report.frames = len(self._times)
        return report

    def _paint_frame(self, state: VideoState, frame: Frame, number: int) -> VideoState:
        flows = None
        if self._video.blends and state.frame is not None:
            last = np.asarray(state.frame[0])
            flows = estimate_flows(frame.pixels, last, preset=self._job.flow)
        after, picture = self._video.step(state, jnp.asarray(frame.pixels[None]), flows)
        files.save_image(self._frames / frame_name(number + 1), picture)
        self._times.append(frame.time)
        return after

    def _scenes(self) -> Iterator[tuple[int, Any]]:
        """Each scene's first frame, and its statistics."""
        last: Pixels | None = None
        begin, groups, samples, number = 0, [], [], 0

        def pool() -> None:
            found = self._video.stylizer.pool_statistics(
                samples, self._video.style, max_pixels=self._video.max_pixels
            )
            if found is not None:
                groups.append((len(samples), found))
            samples.clear()

        total = self._clip.num_frames
        frames = read_frames(self._job.clip, selection=self._job.selection)
        for number, frame in enumerate(frames):
            if last is not None and is_cut(last, frame.pixels):
                pool()
                yield begin, combine(groups) if groups else None
                begin, groups = number, []
            if (number - begin) % SAMPLE_EVERY == 0:
                samples.append(frame.pixels)
            if len(samples) == _SAMPLES:
                pool()
            last = frame.pixels
            self._on_frame("looking", number + 1, max(total or 0, number + 1))
        if samples:
            pool()
        yield begin, combine(groups) if groups else None

    def _go_on(self, identity: Mapping[str, Any]) -> VideoState | None:
        """The state after the last frame that is kept, or None."""
        found = self._unfinished.load()
        if found is None:
            return None
        arrays, kept = found
        if kept.get("identity") != dict(identity):
            raise ValueError(
                f"resume: {quoted(self._unfinished.folder)} holds a run with other settings or of "
                "another clip; give the same ones, or delete the folder to start afresh"
            )
        self._times = [Fraction(*time) for time in kept["times"]]
        self.saved = len(self._times)
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

    def _save(self, state: VideoState, identity: Mapping[str, Any]) -> None:
        arrays = {"frame": np.asarray(state.frame), "picture": np.asarray(state.picture)}
        if state.statistics is not None and not state.are_fixed:
            flat = flatten_dict(state.statistics)
            arrays |= {"/".join(("statistics", *path)): np.asarray(x) for path, x in flat.items()}
        times = [[time.numerator, time.denominator] for time in self._times]
        self._unfinished.save(arrays, {"identity": dict(identity), "times": times})
        self.saved = len(self._times)

    def write(self, out: Path) -> None:
        """Write the clip of the frames that are kept."""
        start, end = self._job.selection.start, self._job.selection.end
        sound = None if is_folder_name(out) else Sound(self._job.clip, start, end)
        with writing_clip(out, self._clip, sound=sound, overwrite=self._job.overwrite) as add:
            for number, time in enumerate(self._times, start=1):
                add(Frame(files.load_pixels(self._frames / frame_name(number)), time))
                self._on_frame("writing", number, len(self._times))

    def remove(self) -> None:
        """Remove what was kept."""
        files.remove_folder(self._frames)
        self._unfinished.remove()


def _identify(job: VideoJob, clip: Clip, stylizer: Stylizer) -> dict[str, Any]:
    """What must be the same for a run to be gone on with: settings, and what files hold."""
    fields = dataclasses.fields(job.choice)
    choice = {field.name: getattr(job.choice, field.name) for field in fields}
    variables = hashlib.sha256()
    for array in jax.tree.leaves(stylizer.variables):
        variables.update(np.asarray(array).tobytes())
    return {
        "clip": [files.sha256_of(path) for path in _files_of(job.clip)],
        "frames": str(tuple(clip)),
        "selection": str(tuple(job.selection)),
        "model": variables.hexdigest(),
        "style": {
            name: [*map(_describe, given)] if isinstance(given, tuple) else _describe(given)
            for name, given in choice.items()
        },
        "temporal": job.temporal,
        "blend": dataclasses.asdict(job.blend),
        "flow": job.flow,
    }


def _files_of(clip: FilePath) -> list[Path]:
    return files.list_images(clip) if Path(clip).is_dir() else [Path(clip)]


def _describe(given: Any) -> str:
    """A word or a number as it is; of a picture a hash."""
    if isinstance(given, str | Path) and Path(given).is_file():
        return files.sha256_of(given)
    if isinstance(given, np.ndarray | jax.Array | PIL.Image.Image):
        return hashlib.sha256(np.asarray(given).tobytes()).hexdigest()
    return str(given)
