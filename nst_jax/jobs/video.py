"""A clip painted frame by frame into another, with progress by callback and a state to go on from.

Finished frames lie in OUT.state/frames as PNGs until the clip is whole; the last of them shows how
far it is. Nothing is printed; see run.
"""

import dataclasses
import re
from pathlib import Path

from nst_jax import files
from nst_jax.files.disk import ABANDONED, quoted, remove_temporaries
from nst_jax.files.video_libraries import require_opencv
from nst_jax.files.video_output import check_clip_output, clip_exists, load_clip_origin
from nst_jax.files.videos import Clip, describe_clip
from nst_jax.jobs.kept_frames import MAY_OVERWRITE, KeptFrames
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.jobs.video_by_network import NetworkPainter, load_network
from nst_jax.jobs.video_by_pixels import PixelPainter
from nst_jax.jobs.video_job import SIZE as SIZE
from nst_jax.jobs.video_job import OnFrame as OnFrame
from nst_jax.jobs.video_job import OnNote as OnNote
from nst_jax.jobs.video_job import VideoJob as VideoJob
from nst_jax.jobs.video_job import VideoReport as VideoReport
from nst_jax.runs.interrupts import Cancel, cancelled_by

_ORIGIN = re.compile(r"nst-jax \S+, (?P<identity>[0-9a-f]{64})")


def run(
    job: VideoJob,
    *,
    on_frame: OnFrame | None = None,
    on_note: OnNote | None = None,
    cancel: Cancel | None = None,
) -> VideoReport:
    """Paint a clip.

    Args:
        job: What to paint.
        on_frame: Called with what is done and how far it is.
        on_note: Called with a line for the user where something is worth one.
        cancel: Where it is set, the run stops after the frame at hand, or after the step at hand
            where pixels are optimised; resume goes on.

    Raises:
        ValueError: Something in the job does not fit, the clip is damaged, another process is
            painting to the same place, or resume finds another run's frames or clip.
        FileExistsError: The clip exists, or an unfinished one does.
        OSError: The clip cannot be read or written.
        VideoLibraryMissingError: PyAV or OpenCV is missing.
        DivergedError: Pixels are optimised, and the loss ceased to be a sensible number.
        KeyboardInterrupt: As it came, with a line on how to go on.
    """
    out = Path(job.out)
    if files.real_path(job.clip) == files.real_path(out):
        raise ValueError(f"out: {quoted(out)} is the clip itself; choose another place")
    unfinished, note = Unfinished(out), on_note or (lambda line: None)
    unfinished.check(out, resume=job.resume)
    remove_temporaries(out.parent, idle=ABANDONED)  # what killed runs have left
    saved = unfinished.load()
    if saved is not None and saved[1].get(MAY_OVERWRITE):
        job = dataclasses.replace(job, overwrite=True)
    is_there = job.resume and saved is None and clip_exists(out)
    check_clip_output(out, overwrite=job.overwrite or is_there)
    make = PixelPainter if job.method == "optimize" else NetworkPainter
    if make is PixelPainter or job.temporal in ("blend", "all"):
        require_opencv()
    if make is NetworkPainter:
        job = dataclasses.replace(job, model=load_network(job))
    clip = describe_clip(job.clip, selection=job.selection)
    painter = make(job, clip, unfinished, on_frame or (lambda *_: None))
    if is_there and _is_finished(out, painter.kept, overwrite=job.overwrite):
        note(f"{out} is finished: nothing to resume")
        return _describe_finished(out, clip)
    if job.resume and saved is None:
        note(f"no unfinished run in {unfinished.folder}: starting afresh")
    with unfinished.held():
        try:
            with cancelled_by(cancel):
                report = painter.paint(cancel)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(
                f"stopped; {painter.kept.saved} frames are kept; the same command with --resume "
                "goes on"
            ) from error
        if report.is_finished:
            painter.write(out)
            painter.kept.remove()
    return report


def _is_finished(out: Path, kept: KeptFrames, *, overwrite: bool) -> bool:
    """Whether OUT is this run's clip; an error if it is another's, and may not be replaced."""
    made, own = (_ORIGIN.fullmatch(line or "") for line in (load_clip_origin(out), kept.origin))
    assert own is not None
    if made is not None and made["identity"] == own["identity"]:
        return True
    if overwrite:
        return False
    told = "does not say what made it"
    if made is not None:
        told = "is finished, and was made of another clip or with other options"
    raise ValueError(f"resume: {quoted(out)} {told}; choose another name, or say --overwrite")


def _describe_finished(out: Path, clip: Clip) -> VideoReport:
    count = describe_clip(out).num_frames or 0
    return VideoReport(frames=count, first=count, size=(clip.width, clip.height), is_new=False)
