"""What the page's tabs do, as jobs of the device's queue: all through nst_jax.jobs.

What visitors say is checked here, whatever the page lets them say.
"""

import dataclasses
import functools
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from nst_jax import files
from nst_jax.app import recipes
from nst_jax.app.answers import alpha_of, color_of, number, whole
from nst_jax.app.device_queue import Emit, Work
from nst_jax.app.limits import Limits
from nst_jax.app.recipes import Recipe
from nst_jax.app.style_menu import MINE, Picked, pick_styles
from nst_jax.app.uploads import read_drawing, read_picture, split_brushes
from nst_jax.app.visits import Visit
from nst_jax.jobs import folder, sheet
from nst_jax.jobs.folder import FolderJob
from nst_jax.jobs.paint import PaintJob, Progress
from nst_jax.jobs.paint_file import paint_file
from nst_jax.jobs.pictures import Pixels
from nst_jax.jobs.presets import vary_preset
from nst_jax.jobs.sheet import SheetJob
from nst_jax.jobs.styles import StyleChoice
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.stylizers import DEFAULT_MODEL, Stylizer, load_stylizer
from nst_jax.stylizers.architectures import ARCHITECTURES

LEAST_SIZE = 64
"""Pixels of the longer side of what is painted, at least."""

BRUSHES = {"red": (230, 25, 75), "green": (60, 180, 75), "blue": (0, 130, 200)}
"""The brushes of the Regions tab."""

NOTHING = "nothing"
"""Stands for no style."""

_STYLE_SIZE = ARCHITECTURES[DEFAULT_MODEL].style_size
_PREVIEWS = 12  # of a run


class Place(NamedTuple):
    """Where a job's files come from and go to.

    Attributes:
        visit: The visitor.
        uploads: The folder of all uploads.
        limits: What may be asked for.
    """

    visit: Visit
    uploads: Path
    limits: Limits


class Outcome(NamedTuple):
    """What a job has made.

    Attributes:
        path: The result's file.
        text: What is said of it.
        recipe: How to make it again.
        others: Further files, by what they are called.
    """

    path: Path
    text: str
    recipe: Recipe
    others: Sequence[tuple[str, Path]] = ()


class Course(NamedTuple):
    """How far an optimisation is.

    Attributes:
        step: Steps done.
        steps: In all.
        totals: The loss after each.
        preview: The picture so far, as a JPEG; None before the first.
    """

    step: int
    steps: int
    totals: Sequence[float]
    preview: bytes | None


@dataclass(frozen=True)
class Look:
    """What is said of a picture's style, on several tabs.

    Attributes:
        label: A style of the list, or MINE.
        painting: What was uploaded for MINE.
        alpha: How much of the style.
        color: Whose colours.
        size: Pixels of the longer side.
        second: Another style, or NOTHING.
        second_painting: What was uploaded for it.
        share: The second one's, from 0 to 1.
    """

    label: Any
    painting: Any = None
    alpha: Any = 1.0
    color: Any = "style"
    size: Any = 512
    second: Any = NOTHING
    second_painting: Any = None
    share: Any = 0.5


def paint_work(photo: Any, look: Look, place: Place) -> Work:
    """Return the job of the Paint tab: a photograph in one or two styles, in one pass."""

    def work(cancel: threading.Event, emit: Emit) -> Outcome | None:
        size = whole("size", look.size, LEAST_SIZE, place.limits.size)
        alpha, color = alpha_of(look.alpha), color_of(look.color)
        share = number("share", look.share, 0.0, 1.0)
        labels, given = [look.label], [look.painting]
        if look.second != NOTHING:
            labels, given = [*labels, look.second], [*given, look.second_painting]
        picked = _pick(labels, given, place)
        blend = (1 - share, share) if len(labels) == 2 else ()
        choice = StyleChoice(picked.names, blend=blend, alpha=alpha, color=color)
        painted = _one_pass(photo, picked, choice, place, size, cancel, emit)
        if painted is None:
            return None
        recipe = recipes.stylize_recipe(
            picked.words,
            model=_model(picked),
            blend=blend,
            options={"alpha": alpha, "color": color, "size": size},
        )
        return _outcome(painted, recipe, place)

    return work


def regions_work(
    photo: Any,
    layers: Sequence[Any],
    labels: Sequence[Any],
    paintings: Sequence[Any],
    rest: Any,
    size: Any,
    place: Place,
) -> Work:
    """Return the job of the Regions tab: a style for each brush, and one for the rest.

    Args:
        photo: The photograph.
        layers: What was drawn: uploads, transparent where nothing is.
        labels: The style of each of BRUSHES, or NOTHING.
        paintings: What was uploaded for each.
        rest: The style of what no brush has touched, or NOTHING, where the photograph stays.
        size: Pixels of the result's longer side.
        place: Where files come from and go to.
    """

    def work(cancel: threading.Event, emit: Emit) -> Outcome | None:
        longer = whole("size", size, LEAST_SIZE, place.limits.size)
        masks = _masks_of(layers, place)
        used: list[tuple[Any, Any, np.ndarray]] = []
        for name, label, given, mask in zip(BRUSHES, labels, paintings, masks, strict=True):
            if mask.any():
                if label == NOTHING:
                    raise ValueError(f"{name}: wanted a style for what is drawn with it, got none")
                used.append((label, given, mask))
        if not used:
            raise ValueError("regions: wanted something drawn on the photograph, got nothing")
        if rest != NOTHING:
            used.append((rest, None, 1 - np.max(masks, axis=0)))
        picked = _pick([label for label, _, _ in used], [given for _, given, _ in used], place)
        kept = tuple(mask for _, _, mask in used)
        choice = StyleChoice(picked.names, masks=kept)
        painted = _one_pass(photo, picked, choice, place, longer, cancel, emit)
        if painted is None:
            return None
        others = []
        for position, mask in enumerate(kept, start=1):
            path = place.visit.claim(f"mask{position}.png")
            files.save_image(path, jnp.asarray(np.repeat(mask[None, ..., None], 3, -1)))
            others.append((f"mask{position}.png", path))
        recipe = recipes.stylize_recipe(
            picked.words,
            model=_model(picked),
            masks=[name for name, _ in others],
            options={"size": longer},
        )
        return _outcome(painted, recipe, place)._replace(others=others)

    return work


def sheet_work(photo: Any, place: Place) -> Work:
    """Return the job of the Styles tab: the photograph in all named styles."""

    def work(cancel: threading.Event, emit: Emit) -> Outcome | None:
        content = _read(photo, place, size=sheet.SIZE, name="photograph")

        def tell(done: int, of: int | None) -> None:
            emit(f"{done} of {of} styles")

        job = SheetJob(content[None], size=sheet.SIZE)
        made = sheet.make_sheet(job, on_progress=tell, cancel=cancel)
        if not made.is_finished:
            return None
        others = []
        for entry in made.entries:
            assert entry.style is not None  # as of all named styles
            path = place.visit.claim(f"style{entry.number}.jpg")
            files.save_image(path, jnp.asarray(entry.pixels[None]))
            others.append((f"{entry.name} ({entry.style.model})", path))
        whole_sheet = place.visit.claim("sheet.png")
        sheet.save_sheet(whole_sheet, made)
        recipe = recipes.sheet_recipe(size=sheet.SIZE)
        return Outcome(whole_sheet, f"{len(others)} styles; click one to use it", recipe, others)

    return work


def optimise_work(
    photo: Any, look: Look, steps: Any, style_weight: Any, place: Place, *, goes_on: bool
) -> Work:
    """Return the job of the Optimise tab: a photograph painted by optimising its pixels.

    Args:
        photo: The photograph.
        look: Its painting, colours and size.
        steps: How many.
        style_weight: How boldly.
        place: Where files come from and go to.
        goes_on: Whether to go on with what was stopped, of the same pictures and settings.
    """

    def work(cancel: threading.Event, emit: Emit) -> Outcome | None:
        limits = place.limits
        size = whole("size", look.size, LEAST_SIZE, limits.optimise_size)
        count = whole("steps", steps, 1, limits.steps)
        weight = number("style weight", style_weight, 0.0, 1e6)
        color = color_of(look.color)
        options = {"size": size, "num_steps": count, "style_weight": weight, "color": color}
        said = {name: value for name, value in options.items() if value is not None}
        picked = _pick([look.label], [look.painting], place, size=size)
        if not picked.takes_paintings:
            raise ValueError("style: wanted a painting, got a network's style; choose another")
        content = _read(photo, place, size=size, name="photograph")
        out = place.visit.folder / "optimise.png"
        unfinished = Unfinished(out)
        if goes_on and not unfinished.exists():
            raise ValueError("go on: wanted a picture that was stopped, got none; start one")
        if not goes_on:
            files.remove_folder(unfinished.folder)
        files.remove_file(out)
        every = max(1, count // _PREVIEWS)
        totals: list[float] = []

        def tell(progress: Progress) -> None:
            if progress.report is None:
                emit(Course(progress.first_step, count, (), None))
                return
            totals.append(progress.report.total)
            step = progress.report.step
            emit(Course(step, count, tuple(totals), _preview(unfinished.preview)))

        job = PaintJob(content[None], picked.names, vary_preset("default", said))
        painted = paint_file(
            job, out, save_every=every, resume=goes_on, on_progress=tell, cancel=cancel
        )
        assert painted is not None  # what was there before is removed
        recipe = recipes.optimize_recipe(picked.words[0], options=options)
        step = painted.record["steps"][-1]["step"] if painted.record["steps"] else 0
        outcome = _outcome(np.asarray(painted.image[0]), recipe, place)
        if not painted.is_finished:
            return outcome._replace(text=f"stopped after step {step} of {count}; go on if you like")
        return outcome._replace(text=f"{outcome.text} after {step} steps")

    return work


def clip_work(clip: Any, look: Look, steadies: Any, place: Place) -> Work:
    """Return the job of the Video tab: the beginning of a clip, painted without flicker.

    Args:
        clip: The clip.
        look: Its style and size.
        steadies: Whether something is done against flicker.
        place: Where files come from and go to.
    """
    from nst_jax.app.clips import paint_clip  # needs libraries that the other tabs do not

    return functools.partial(paint_clip, clip, look, bool(steadies), place)


def choose_styles(look: Look, place: Place) -> Picked:
    """Return the style of a look, for one pass.

    Raises:
        ValueError: It is not on the list, or its painting cannot be read.
    """
    return _pick([look.label], [look.painting], place)


@functools.lru_cache(maxsize=4)
def stylizer_of(model: str) -> Stylizer:
    """Return a network of the list, loaded once."""
    return load_stylizer(model)


def _one_pass(
    photo: Any,
    picked: Picked,
    choice: StyleChoice,
    place: Place,
    size: int,
    cancel: threading.Event,
    emit: Emit,
) -> Pixels | None:
    content = _read(photo, place, size=size, name="photograph")
    emit("painting")
    choice = dataclasses.replace(choice, size=_STYLE_SIZE if picked.takes_paintings else None)
    job = FolderJob([content[None]], choice, model=stylizer_of(picked.model))
    report = folder.run(job, cancel=cancel)
    if report.failures:
        raise report.failures[0]
    return report.pictures[0][0]


def _pick(
    labels: Sequence[Any], given: Sequence[Any], place: Place, *, size: int | None = None
) -> Picked:
    """The styles, with paintings as large as they are used, so that commands make the same."""
    size = size or _STYLE_SIZE
    paintings = [
        _read(each, place, size=size, name="painting") if label == MINE else None
        for label, each in zip(labels, given, strict=True)
    ]
    return pick_styles(labels, paintings, size=size)


def _read(given: Any, place: Place, *, size: int, name: str) -> Pixels:
    return read_picture(
        given, place.visit, place.uploads, limits=place.limits, size=size, name=name
    )


def _masks_of(layers: Sequence[Any], place: Place) -> list[np.ndarray]:
    if not layers or len(layers) > len(BRUSHES):
        raise ValueError(
            f"regions: wanted 1 to {len(BRUSHES)} layers of drawing, got {len(layers)}; draw on "
            "the photograph"
        )
    drawings = [
        read_drawing(layer, place.visit, place.uploads, limits=place.limits, name="regions")
        for layer in layers
    ]
    if len({drawing.shape for drawing in drawings}) > 1:
        raise ValueError("regions: wanted layers of one size, got several; clear and draw again")
    split = [split_brushes(drawing, list(BRUSHES.values())) for drawing in drawings]
    masks = [np.max(masks, axis=0) for masks in zip(*split, strict=True)]
    for position in range(1, len(masks)):  # where layers overlap, the first brush counts
        masks[position] = masks[position] * (1 - np.max(masks[:position], axis=0))
    return masks


def _model(picked: Picked) -> str | None:
    return None if picked.model == DEFAULT_MODEL else picked.model


def _outcome(painted: Pixels, recipe: Recipe, place: Place) -> Outcome:
    path = place.visit.claim("painted.png")
    files.save_image(path, jnp.asarray(painted[None]))
    height, width = painted.shape[:2]
    return Outcome(path, f"painted: {width} by {height} pixels", recipe)


def _preview(path: Path) -> bytes | None:
    """The preview as a JPEG; None where there is none."""
    if not path.exists():
        return None
    stream = io.BytesIO()
    files.to_pillow(files.load_image(path)).save(stream, "JPEG", quality=85)
    return stream.getvalue()
