"""A photograph and a painting in, a picture out: stylize in one pass, optimize by its pixels.

Photographs and paintings are paths, Pillow's pictures or arrays (1, height, width, 3) in [0, 1].
The answer is Pillow's picture, or an array where the photograph is one.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from nst_jax.jobs import folder
from nst_jax.jobs.color_words import ColorWord
from nst_jax.jobs.folder import FolderJob
from nst_jax.jobs.paint import PaintJob, paint
from nst_jax.jobs.pictures import answer_like, as_pictures
from nst_jax.jobs.presets import vary_preset
from nst_jax.jobs.sampled_styles import asks_for_random
from nst_jax.jobs.styles import StyleChoice
from nst_jax.ops.color import When
from nst_jax.ops.convolution import Precision
from nst_jax.progress import follow_painting, is_watched
from nst_jax.runs.interrupts import Cancel
from nst_jax.stylizers import MAX_PIXELS, Transform


def stylize(
    photo: Any,
    painting: Any = None,
    *,
    model: Any = None,
    transform: Transform | None = None,
    alpha: float | None = None,
    blend: Sequence[float] = (),
    size: int | None = None,
    style_size: int | None = None,
    masks: Sequence[Any] = (),
    style_masks: Sequence[Any] = (),
    seed: int | None = None,
    color: ColorWord | None = None,
    color_when: When | None = None,
    precision: Precision = "float32",
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Return the photograph painted in one pass of a trained network.

    For many pictures of one style load_stylizer is faster, whose answer can also be the model here.

    Args:
        photo: The photograph: a path, Pillow's picture or an array (1, height, width, 3) in [0, 1].
        painting: A painting, or a sequence of several, which are mixed in one picture; for a model
            of certain styles their names; None for a model of one style; "random" for a style
            that is drawn, for a model of ghiasi2017.
        model: A name from stylizers.list_models(), a model's file, or what load_stylizer answered;
            by default ghiasi2017, with a transform huang2017.
        transform: How features take on a painting's, by default "adain"; see load_stylizer.
        alpha: How much of the style: from 0, the photograph, to 1, the default.
        blend: Weights of several paintings; equal ones by default.
        size: Pixels of the result's longer side; the photograph's own by default.
        style_size: Pixels of the paintings' longer side; by default the model's own, mostly 512.
        masks: Where in the photograph each painting's style goes, in place of a blend.
        style_masks: Which part of each painting counts, or "whole".
        seed: Which style is drawn, where the painting is "random".
        color: Whose colours the result gets: "style", "keep", or a means; see ops.color.
        color_when: Whether the paintings are recoloured, or the result.
        precision: Of the convolutions; bfloat16 is faster and almost as exact.
        max_pixels: Pixels that run at once; larger photographs run in tiles.

    Returns:
        Pillow's picture, or an array where the photograph is one.

    Raises:
        ValueError: A picture or an option is wrong, or two do not fit together.
        OSError: A file cannot be read.

    Example:
        nst_jax.stylize("photo.jpg", "painting.jpg").save("out.png")
    """
    masks = as_pictures(masks, name="masks")
    several = isinstance(painting, list | tuple)
    names = () if painting is None else tuple(painting) if several else (painting,)
    if len(names) > 1 and not masks and not blend and not asks_for_random(names):
        blend = (1.0,) * len(names)
    choice = StyleChoice(
        names=names,
        blend=tuple(blend),
        size=style_size,
        alpha=alpha,
        masks=masks,
        style_masks=as_pictures(style_masks, name="style_masks"),
        seed=seed,
        color=color,
        color_when=color_when,
    )
    job = FolderJob(
        [photo],
        choice,
        model=model,
        transform=transform,
        precision=precision,
        size=size,
        max_pixels=max_pixels,
    )
    report = folder.run(job)
    if report.failures:
        raise report.failures[0]
    ((painted,),) = report.pictures
    assert painted is not None  # what failed is among the failures
    return answer_like(photo, jnp.asarray(painted[None]))


def optimize(
    photo: Any,
    painting: Any,
    *,
    preset: str = "default",
    masks: Sequence[Any] = (),
    style_masks: Sequence[Any] = (),
    initial: Any = None,
    fine_style: Any = None,
    devices: int = 1,
    tile: int | None = None,
    scratch: Any = None,
    progress: bool | None = None,
    cancel: Cancel | None = None,
    **settings: Any,
) -> Any:
    """Return the photograph painted by optimising its pixels (Gatys et al. 2016).

    papers.gatys_2016.stylize takes arrays and an encoder, and returns the record too.

    Args:
        photo: The photograph: a path, Pillow's picture or an array (1, height, width, 3) in [0, 1].
        painting: A painting, or a sequence of several, which are blended.
        preset: A name in papers.gatys_2016.PRESETS, for all settings that are not given.
        masks: Where in the photograph each painting's style goes, in place of a blend.
        style_masks: Which part of each painting counts, or "whole".
        initial: A picture to begin with, in place of what the setting init says.
        fine_style: A painting whose fine texture the others get before they are used.
        devices: Over how many devices the picture's rows are parted.
        tile: The longest side, in pixels, of tiles that are computed one at a time, for pictures
            that memory cannot hold otherwise; the result is the same but for rounding.
        scratch: With tile, a folder that keeps what the optimiser remembers.
        progress: Whether a bar is shown; by default where it can be seen, on a terminal or in a
            notebook.
        cancel: A flag that any thread may set, such as a threading.Event: the picture is then
            returned as it stands.
        **settings: Fields of papers.gatys_2016.Config: size, num_steps, style_weight, style_loss,
            color ("keep" too), encoder, ...

    Returns:
        Pillow's picture, or an array where the photograph is one.

    Raises:
        ValueError: A picture or a setting is wrong, or two do not fit together.
        OSError: A file cannot be read.
        DivergedError: The loss ceased to be a sensible number; it carries the best picture.

    Example:
        nst_jax.optimize("photo.jpg", "painting.jpg", size=384, num_steps=100).save("out.png")
    """
    if initial is not None:
        settings.setdefault("init", "initial")  # neither of the words that Config knows
    job = PaintJob(
        content=photo,
        styles=tuple(painting) if isinstance(painting, list | tuple) else (painting,),
        config=vary_preset(preset, settings),
        initial=initial,
        masks=as_pictures(masks, name="masks"),
        style_masks=as_pictures(style_masks, name="style_masks"),
        fine_style=fine_style,
        devices=devices,
        tile=tile,
        scratch=scratch,
    )
    quiet = not (is_watched() if progress is None else progress)
    with follow_painting(quiet=quiet) as on_progress:
        return answer_like(photo, paint(job, on_progress=on_progress, cancel=cancel).image)
