"""The job of the Video tab."""

import threading
from fractions import Fraction
from typing import Any

from nst_jax.app import recipes
from nst_jax.app.answers import whole
from nst_jax.app.device_queue import Emit
from nst_jax.app.uploads import check_upload
from nst_jax.app.work import LEAST_SIZE, Look, Outcome, Place, choose_styles, stylizer_of
from nst_jax.files.videos import Selection
from nst_jax.jobs import video
from nst_jax.jobs.styles import StyleChoice
from nst_jax.jobs.video import VideoJob
from nst_jax.stylizers import DEFAULT_MODEL


def paint_clip(
    clip: Any,
    look: Look,
    steadies: bool,
    place: Place,
    cancel: threading.Event,
    emit: Emit,
) -> Outcome | None:
    """Paint the beginning of a clip.

    Args:
        clip: The upload.
        look: Its style and size.
        steadies: Whether something is done against flicker.
        place: Where files come from and go to.
        cancel: Ends it.
        emit: Is told how far it is.

    Raises:
        ValueError: The clip cannot be read, or something is out of bounds.
        OSError: The same.
        VideoLibraryMissingError: PyAV or OpenCV is missing.
    """
    limits = place.limits
    size = whole("size", look.size, LEAST_SIZE, limits.clip_size)
    path = check_upload(clip, place.uploads, most_bytes=limits.clip_bytes, name="clip")
    place.visit.uploads.add(path)
    picked = choose_styles(look, place)
    out = place.visit.claim("painted.mp4")
    job = VideoJob(
        clip=path,
        out=out,
        choice=StyleChoice(picked.names),
        model=stylizer_of(picked.model),
        selection=Selection(size=size, end=Fraction(limits.clip_seconds)),
        temporal="all" if steadies else "off",
    )

    def tell(what: str, done: int, of: int | None) -> None:
        emit(f"{what}: {done} of {of} frames")

    report = video.run(job, on_frame=tell, cancel=cancel)
    if not report.is_finished:
        return None
    options = {"size": size, "end": limits.clip_seconds}
    options |= {} if steadies else {"temporal": "off"}
    model = None if picked.model == DEFAULT_MODEL else picked.model
    recipe = recipes.video_recipe(picked.words, model=model, options=options)
    width, height = report.size
    return Outcome(out, f"painted: {report.frames} frames of {width} by {height} pixels", recipe)
