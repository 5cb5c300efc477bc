"""Frames of an unfinished clip that are painted: kept in OUT.state/ until the clip is whole."""

import hashlib
import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import nst_jax
from nst_jax import files
from nst_jax.files.disk import quoted
from nst_jax.files.video_output import Sound, frame_name, is_folder_name, writing_clip
from nst_jax.files.videos import Clip, Frame
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.jobs.video_job import OnFrame, Pixels, VideoJob

MAY_OVERWRITE = "overwrite"
"""What a saved state says of a clip that is there."""

FOLDERS = ("frames", "frames_before", "source")
"""Pictures of a run: those that the clip gets, those of the pass before, and the clip's own."""


class KeptFrames:
    """The frames of one run, as PNGs in folders of its own.

    Attributes:
        unfinished: The folder of the whole run.
        times: Of each frame that is known, in seconds.
        saved: How much of the run is kept, in frames.
    """

    def __init__(
        self, unfinished: Unfinished, identity: Mapping[str, Any], *, may_overwrite: bool = False
    ):
        self.unfinished = unfinished
        self._identity = json.loads(json.dumps(dict(identity)))  # as a file gives it back
        self._may_overwrite = may_overwrite
        self.times: list[Fraction] = []
        self.saved = 0
        self._folders: set[str] = set()

    @property
    def origin(self) -> str:
        """Return the line by which the finished clip is known again."""
        text = json.dumps(self._identity, sort_keys=True)
        return f"nst-jax {nst_jax.__version__}, {hashlib.sha256(text.encode()).hexdigest()}"

    def path(self, number: int, *, folder: str = "frames") -> Path:
        """Return a frame's file.

        Args:
            number: The frame's, counted from 0.
            folder: Which of the run's folders.
        """
        place = self.unfinished.folder / folder
        if folder not in self._folders:
            files.make_folder(place)
            self._folders.add(folder)
        return place / frame_name(number + 1)

    def load(self) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]] | None:
        """Return what save kept last, having taken over its times; None where there is nothing.

        Raises:
            ValueError: It is another run's.
        """
        found = self.unfinished.load()
        if found is None:
            return None
        arrays, kept = found
        if kept.get("identity") != self._identity:
            raise ValueError(
                f"resume: {quoted(self.unfinished.folder)} holds a run with other settings or of "
                "another clip; give the same ones, or delete the folder to start afresh"
            )
        self.times = [Fraction(*time) for time in kept["times"]]
        return arrays, kept

    def save(self, arrays: Mapping[str, np.ndarray], kept: Mapping[str, Any], *, done: int) -> None:
        """Keep what a run goes on from.

        Args:
            arrays: Whatever it needs.
            kept: The same, as what JSON can hold.
            done: How many frames are painted.
        """
        times = [[time.numerator, time.denominator] for time in self.times]
        own = {"identity": self._identity, "times": times, MAY_OVERWRITE: self._may_overwrite}
        self.unfinished.save(arrays, {**kept, **own})
        self.saved = done

    def write(
        self,
        out: Path,
        job: VideoJob,
        clip: Clip,
        on_frame: OnFrame,
        *,
        finish: Callable[[int, Pixels], Pixels] | None = None,
    ) -> None:
        """Write the clip of the frames that are kept.

        Args:
            out: The clip.
            job: Its selection and overwrite count.
            clip: What it was made of.
            on_frame: Called after every frame.
            finish: What a frame is in the clip, given its number and what is kept of it.
        """
        start, end = job.selection.start, job.selection.end
        sound = None if is_folder_name(out) else Sound(job.clip, start, end)
        origin = self.origin
        with writing_clip(out, clip, sound=sound, overwrite=job.overwrite, origin=origin) as add:
            for number, time in enumerate(self.times):
                pixels = files.load_pixels(self.path(number))
                add(Frame(pixels if finish is None else finish(number, pixels), time))
                on_frame("writing", number + 1, len(self.times))

    def remove(self) -> None:
        """Remove what was kept."""
        for folder in FOLDERS:
            files.remove_folder(self.unfinished.folder / folder)
        self.unfinished.remove()
