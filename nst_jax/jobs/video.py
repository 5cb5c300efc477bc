"""A clip painted frame by frame into another, with progress by callback and a state to go on from.

Finished frames lie in OUT.state/frames as PNGs until the clip is whole; the last of them shows how
far it is. Nothing is printed; see run.
"""

import dataclasses
from pathlib import Path

from nst_jax import files
from nst_jax.files.disk import quoted
from nst_jax.files.video_libraries import require_opencv
from nst_jax.files.video_output import check_clip_output
from nst_jax.files.videos import describe_clip
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.jobs.video_by_network import NetworkPainter, load_network
from nst_jax.jobs.video_by_pixels import PixelPainter
from nst_jax.jobs.video_job import SIZE as SIZE
from nst_jax.jobs.video_job import OnFrame as OnFrame
from nst_jax.jobs.video_job import VideoJob as VideoJob
from nst_jax.jobs.video_job import VideoReport as VideoReport
from nst_jax.runs.interrupts import Cancel, cancelled_by


def run(
    job: VideoJob, *, on_frame: OnFrame | None = None, cancel: Cancel | None = None
) -> VideoReport:
    """Paint a clip.

    Args:
        job: What to paint.
        on_frame: Called with what is done and how far it is.
        cancel: Where it is set, the run stops after the frame at hand, or after the step at hand
            where pixels are optimised; resume goes on.

    Raises:
        ValueError: Something in the job does not fit, the clip is damaged, or another process is
            painting to the same place.
        FileExistsError: The clip exists, or an unfinished one does.
        OSError: The clip cannot be read or written.
        VideoLibraryMissingError: PyAV or OpenCV is missing.
        DivergedError: Pixels are optimised, and the loss ceased to be a sensible number.
        KeyboardInterrupt: As it came, with a line on how to go on.
    """
    out = Path(job.out)
    if files.real_path(job.clip) == files.real_path(out):
        raise ValueError(f"out: {quoted(out)} is the clip itself; choose another place")
    unfinished = Unfinished(out)
    unfinished.check(out, resume=job.resume)
    check_clip_output(out, overwrite=job.overwrite)
    make = PixelPainter if job.method == "optimize" else NetworkPainter
    if make is PixelPainter or job.temporal in ("blend", "all"):
        require_opencv()
    if make is NetworkPainter:
        job = dataclasses.replace(job, model=load_network(job))
    clip = describe_clip(job.clip, selection=job.selection)
    painter = make(job, clip, unfinished, on_frame or (lambda *_: None))
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
