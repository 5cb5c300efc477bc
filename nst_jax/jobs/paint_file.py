"""One picture painted by optimising its pixels, into a file: its state, its record, its name."""

import dataclasses
import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np

import nst_jax
from nst_jax import files
from nst_jax.encoders.weights.pretrained import describe_weights
from nst_jax.files.disk import ABANDONED, FilePath, quoted, remove_temporaries
from nst_jax.jobs.paint import (
    Hooks,
    OnNote,
    OnProgress,
    Painted,
    PaintJob,
    Pictures,
    load_pictures,
    mixing_config,
    paint_loaded,
)
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.papers.gatys_2016 import Config
from nst_jax.pixels.saved_state import SavedRun
from nst_jax.pixels.stylize import check_same_run
from nst_jax.runs.interrupts import Cancel, cancelled_by
from nst_jax.runs.record import describe_config
from nst_jax.runs.report import DivergedError

_MAY_OVERWRITE, _IDENTITY = "overwrite", "identity"  # what a saved state says besides
_ORIGIN = re.compile(r"nst-jax \S+, (?P<steps>\d+) steps, (?P<identity>[0-9a-f]{64})")


def paint_file(
    job: PaintJob,
    out: FilePath,
    *,
    record: FilePath | None = None,
    command: str | None = None,
    save_every: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
    cancel: Cancel | None = None,
) -> Painted | None:
    """Paint a picture into a file, and return it; None where it was finished before.

    The state of an unfinished run lies in OUT.state/, and goes when the picture is written.

    Args:
        job: What to paint. Files, so that the record can name them, or any pictures.
        out: The picture to write.
        record: Where the record is written too.
        command: What the record says of the command.
        save_every: Steps between saves of the state; 0 saves where the run is stopped.
        resume: Whether to go on with a state that is there.
        overwrite: Whether files that exist may be replaced. If not, names are claimed at the end
            without a race.
        on_progress: Called at the beginning of every stage and after every step.
        on_note: Called with a line for the user where something is worth one.
        cancel: As for paint.

    Raises:
        ValueError: As paint; or the picture would replace one that it is made of; or a state or a
            finished picture is another run's; or another process is painting it.
        FileExistsError: A file exists, or a state that was not asked for.
        OSError: A file cannot be read or written.
        DivergedError: The loss ceased to be a sensible number; the best picture is in OUT.state/.
        KeyboardInterrupt: The run was stopped before it had begun to paint, or stopped twice.
    """
    out, unfinished = Path(out), Unfinished(Path(out))
    note = on_note or (lambda line: None)
    _refuse_inputs(job, out)
    unfinished.check(out, resume=resume)
    remove_temporaries(out.parent, idle=ABANDONED)  # what killed runs have left
    saved = unfinished.load()
    overwrite = overwrite or (saved is not None and bool(saved[1].get(_MAY_OVERWRITE)))
    is_there = resume and saved is None and out.exists()
    if save_every < 0:
        raise ValueError(f"save_every: wanted 0 or more steps, got {save_every}")
    files.check_output(out, overwrite=overwrite or is_there)
    if record is not None:
        allowed = overwrite or is_there
        files.check_output(record, overwrite=allowed, extensions=(".json",))
    loaded = load_pictures(job)
    described = describe_weights(job.config.encoder, weights=job.config.weights)
    config = dataclasses.replace(job.config, weights=job.config.weights or described["weights"])
    job = dataclasses.replace(job, config=config)
    identity = identify(job, loaded)
    if is_there and _is_finished(out, identity, config.num_steps, overwrite=overwrite):
        note(f"{out} is finished: nothing to resume; --init {out} goes on from it under a new name")
        return None
    if saved is not None:
        _check_identity(saved, identity, config)
        note(f"going on after step {saved[1]['step']} of {config.num_steps}")
    elif resume:
        note(f"no unfinished run in {unfinished.folder}: starting afresh")
    if save_every:
        note(f"the picture so far will be {unfinished.preview}, every {save_every} steps")
    also = {_MAY_OVERWRITE: overwrite, _IDENTITY: identity}
    hooks = Hooks(
        on_progress,
        lambda picture, step: unfinished.show(picture),
        lambda arrays, metadata: unfinished.save(arrays, {**metadata, **also}),
        save_every,
        saved,
    )
    with unfinished.held():
        with cancelled_by(cancel):
            painted = _paint_with_state(job, loaded, hooks, unfinished)
        if not painted.is_finished:
            return painted
        try:
            origin = describe_origin(identity, config.num_steps)
            files.save_image(out, painted.image, overwrite=overwrite, origin=origin)
        except FileExistsError as error:
            unfinished.keep_finished(painted.image)
            raise FileExistsError(
                f"{quoted(out)} was made by another process meanwhile; this run's picture is "
                f"{unfinished.finished}"
            ) from error
        if record is not None:
            painted.record["info"]["weights"] = described
            kept = {} if command is None else {"command": command}
            files.write_record(record, {**kept, **painted.record}, overwrite=overwrite)
        unfinished.remove()
    return painted


def identify(job: PaintJob, loaded: Pictures) -> str:
    """Return a hash by which a run knows its own state and picture, however many steps it has.

    Args:
        job: What is painted; its config names the weights.
        loaded: Its pictures.
    """
    mixing = None if job.fine_style is None else mixing_config(job.config, scale=job.scale)
    configs = [describe_config(each) | {"num_steps": 0} for each in (job.config, mixing) if each]
    digest = hashlib.sha256(json.dumps(configs).encode())
    arrays = [loaded.content, *loaded.styles, loaded.initial, loaded.masks]
    for array in (*arrays, *loaded.style_masks, loaded.fine_style):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def describe_origin(identity: str, num_steps: int) -> str:
    """Return the line by which a finished picture is known again.

    Args:
        identity: From identify.
        num_steps: Of the run.
    """
    return f"nst-jax {nst_jax.__version__}, {num_steps} steps, {identity}"


def _is_finished(out: Path, identity: str, num_steps: int, *, overwrite: bool) -> bool:
    """Whether OUT is this run's picture; an error if it is another's, and may not be replaced."""
    found = _ORIGIN.fullmatch(files.load_origin(out) or "")
    if found is None:  # BMP, or edited: who can tell?
        return not overwrite
    steps, made_by = int(found["steps"]), found["identity"]
    if made_by == identity and steps == num_steps:
        return True
    if overwrite:
        return False
    if made_by == identity:
        raise ValueError(
            f"resume: {quoted(out)} is finished with {steps} steps, and {num_steps} are asked for; "
            f"--init {out} goes on from it under a new name, or --overwrite begins afresh"
        )
    raise ValueError(
        f"resume: {quoted(out)} is finished, and was made of other pictures or with other options; "
        "choose another name, or say --overwrite"
    )


def _check_identity(saved: SavedRun, identity: str, config: Config) -> None:
    """Refuse another run's state now: stylize would, after a minute of preparing."""
    before = saved[1]
    if _IDENTITY in before:  # else an older version saved it
        now = {"config": describe_config(config), "fingerprint": identity}
        check_same_run(now, {"config": before["config"], "fingerprint": before[_IDENTITY]})


def _refuse_inputs(job: PaintJob, out: Path) -> None:
    """Refuse an OUT that is one of the pictures that it is made of."""
    given = [job.content, *job.styles, *job.masks, *job.style_masks, job.fine_style]
    named = [each for each in given if isinstance(each, str | os.PathLike)]
    if files.real_path(out) in {files.real_path(each) for each in named}:
        raise ValueError(
            f"out: {quoted(out)} is one of the pictures that it is made of; choose another name"
        )


def _paint_with_state(
    job: PaintJob, loaded: Pictures, hooks: Hooks, unfinished: Unfinished
) -> Painted:
    """What paint_loaded returns; its errors say what they leave in OUT.state/."""
    try:
        return paint_loaded(job, loaded, hooks, keeper=unfinished)
    except DivergedError as error:
        unfinished.keep_best(error.best_image)
        raise DivergedError(
            f"{error} The best picture so far is {unfinished.best}",
            step=error.step,
            best_image=error.best_image,
            best_total=error.best_total,
        ) from error
    except KeyboardInterrupt as error:  # the second one, which waits for nothing
        if str(error):
            raise
        left = "add --resume to go on from the last save" if unfinished.exists() else "nothing kept"
        raise KeyboardInterrupt(f"stopped at once; {left}") from error
