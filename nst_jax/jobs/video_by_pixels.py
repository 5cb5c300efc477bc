"""The frames of a clip painted by optimising their pixels: see papers.ruder_2016.

The clip's own frames are kept as PNGs too, since several passes go through it in both directions.
Whatever a frame takes up of others is read from their files, so that a run that was killed goes on
to the same frames.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from nst_jax import files
from nst_jax.encoders.weights.pretrained import describe_weights, load_encoder
from nst_jax.files.videos import Clip, read_frames
from nst_jax.flow import estimate_flows
from nst_jax.jobs.color_words import choose_color
from nst_jax.jobs.kept_frames import KeptFrames
from nst_jax.jobs.paintings import load_paintings
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.jobs.video_job import OnFrame, Pixels, VideoJob, VideoReport, identify
from nst_jax.ops import color
from nst_jax.ops.cuts import is_cut
from nst_jax.papers.ruder_2016 import Neighbour, Painter, Turn, paint_frame, plan_turns, prepare
from nst_jax.runs.interrupts import Cancel
from nst_jax.runs.record import describe_config

_SOURCE = "source"


class PixelPainter:
    """A clip on its way, with the folder that keeps what is done.

    Attributes:
        kept: The frames that are painted, and the clip's own.
    """

    def __init__(self, job: VideoJob, clip: Clip, unfinished: Unfinished, on_frame: OnFrame):
        _refuse_what_networks_do(job)
        self._job, self._clip, self._on_frame = job, clip, on_frame
        picture = job.config.picture
        paintings = load_paintings(
            job.choice.names, job.choice.size or picture.style_size or max(clip[:2])
        )
        if not paintings:
            raise ValueError("style: wanted at least one painting, got none; name it with --style")
        network = load_encoder(picture.encoder, weights=picture.weights)
        styles = [jnp.asarray(pixels[None]) for pixels in paintings.values()]
        self._painter: Painter = prepare(
            styles, job.config, *network, height=clip.height, width=clip.width
        )
        identity = _identify(job, clip)
        self.kept = KeptFrames(unfinished, identity, may_overwrite=job.overwrite)
        self._color = choose_color(job.choice.color, job.choice.color_when, default="after")
        if self._color[0] != "style" and self._color[1] != "after":
            raise ValueError("color_when: wanted after for a clip, got before; leave it out")

    def paint(self, cancel: Cancel | None) -> VideoReport:
        """Paint the frames that are not done, and keep them."""
        kept, found = self.kept, self.kept.load()
        done, scenes = (0, ()) if found is None else (found[1]["turns"], tuple(found[1]["scenes"]))
        if found is None:
            scenes = self._keep_source()
            self._save(scenes, 0, 0)
        count = len(kept.times)
        turns = plan_turns(count, self._job.config, scenes=scenes)
        kept.saved = min(done, count)
        report = VideoReport(
            frames=count,
            first=kept.saved,
            size=(self._clip.width, self._clip.height),
            scenes=scenes,
        )
        self._on_frame("painting", done, len(turns))
        for number, turn in enumerate(turns[done:], start=done + 1):
            if not self._paint_turn(turn):
                if cancel is None or not cancel.is_set():
                    raise KeyboardInterrupt
                report.is_finished, report.frames = False, kept.saved
                break
            self._save(scenes, number, min(number, count))
            self._on_frame("painting", number, len(turns))
        return report

    def write(self, out: Path) -> None:
        """Write the clip, in the colours that are asked for."""
        wanted, when = self._color

        def finish(number: int, pixels: Pixels) -> Pixels:
            own = self._load(number, _SOURCE)
            picture, frame = (jnp.asarray(each[None]) for each in (pixels, own))
            return np.asarray(color.finish(picture, frame, color=wanted, when=when)[0])

        self.kept.write(
            out,
            self._job,
            self._clip,
            self._on_frame,
            finish=None if wanted == "style" else finish,
        )

    def _keep_source(self) -> tuple[int, ...]:
        """Keep the clip's own frames, and return at which of them scenes begin."""
        job, kept, total = self._job, self.kept, self._clip.num_frames
        last: Pixels | None = None
        scenes: list[int] = []
        kept.times.clear()
        for number, frame in enumerate(read_frames(job.clip, selection=job.selection)):
            if last is None or is_cut(last, frame.pixels):
                scenes.append(number)
            last = frame.pixels
            kept.times.append(frame.time)
            files.save_image(kept.path(number, folder=_SOURCE), jnp.asarray(last[None]))
            self._on_frame("looking", number + 1, max(total or 0, number + 1))
        return tuple(scenes)

    def _paint_turn(self, turn: Turn) -> bool:
        """Paint a frame once; False where the user stopped it."""
        frame = self._load(turn.frame, _SOURCE)
        neighbours = []
        for other in turn.neighbours:
            flows = estimate_flows(frame, self._load(other, _SOURCE), preset=self._job.flow)
            picture = self._load(other, self._folder(turn.number))
            neighbours.append(
                Neighbour(jnp.asarray(picture[None]), *(jnp.asarray(flow[None]) for flow in flows))
            )
        own = None
        if turn.number > 1:
            own = jnp.asarray(self._load(turn.frame, self._folder(turn.number - 1))[None])
        result = paint_frame(
            self._painter,
            jnp.asarray(frame[None]),
            neighbours=neighbours,
            number=turn.number,
            own=own,
        )
        if result.interrupted:
            return False
        path = self.kept.path(turn.frame, folder=self._folder(turn.number))
        files.save_image(path, result.image)
        return True

    def _folder(self, number: int) -> str:
        """Where the pictures of a pass lie: those of the last one where the clip is made from."""
        is_last = (self._job.config.passes - number) % 2 == 0
        return "frames" if is_last else "frames_before"

    def _load(self, number: int, folder: str) -> Pixels:
        return files.load_pixels(self.kept.path(number, folder=folder))

    def _save(self, scenes: tuple[int, ...], turns: int, frames: int) -> None:
        self.kept.save(
            {"turns": np.asarray(turns)}, {"turns": turns, "scenes": scenes}, done=frames
        )


def _refuse_what_networks_do(job: VideoJob) -> None:
    choice = job.choice
    given = {
        "style_times": job.style_times,
        "mask": choice.masks,
        "style_mask": choice.style_masks,
        "alpha": choice.alpha,
        "seed": choice.seed,
    }
    for name, value in given.items():
        if value not in (None, ()):
            raise ValueError(
                f"{name}: wanted with --method network, got it with optimize; leave out "
                f"--{name.replace('_', '-')}"
            )


def _identify(job: VideoJob, clip: Clip) -> Mapping[str, Any]:
    config = job.config
    described = describe_weights(config.picture.encoder, weights=config.picture.weights)
    return {
        **identify(job, clip),
        "config": {**describe_config(config), "picture": describe_config(config.picture)},
        "weights": dict(described),
    }
