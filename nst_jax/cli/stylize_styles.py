"""In which styles `nst-jax stylize` is to paint: by names, or by pictures and all they allow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.array_types import Image, ImageOfAnySize
from nst_jax.cli.color_option import ColorWord, choose_color
from nst_jax.cli.masks import check_mask, check_style_masks, load_masks, load_style_masks
from nst_jax.files.disk import quoted
from nst_jax.ops import color
from nst_jax.ops.color import Color, When
from nst_jax.regions.masks import Mask, Masks
from nst_jax.stylizers import (
    AnyStyleStylizer,
    ManyStylesStylizer,
    Mixture,
    OneStyleStylizer,
    Stylizer,
)

ALL = "all"
"""Stands for every style of a model."""

STYLE_SIZE = 512
"""Pixels of the longer side that paintings are scaled to where the user says nothing."""

Pixels = Float[np.ndarray, "_ _ 3"]


def _as_it_is(pixels: Pixels, *_: Pixels) -> Pixels:
    return pixels


class Rendering(NamedTuple):
    """A way to paint every picture.

    Attributes:
        suffix: What file names get for it.
        style_for: What the stylizer is told for a photograph.
        check: Raises a ValueError for a photograph that cannot be painted so.
        content_for: What is painted of a photograph.
        finish: Gives what came of it, and the photograph, the colours it is to have.
    """

    suffix: str
    style_for: Callable[[Pixels], Any]
    check: Callable[[Pixels], None] = lambda pixels: None
    content_for: Callable[[Pixels], Pixels] = _as_it_is
    finish: Callable[[Pixels, Pixels], Pixels] = _as_it_is


@dataclass(frozen=True)
class StyleChoice:
    """What the user says of styles; None and () where nothing is said.

    Attributes:
        names: Of a model's own styles; or pictures and folders of them.
        blend: Weights of the styles in one picture.
        size: Pixels of the paintings' longer side.
        alpha: How much of the style is taken.
        masks: Pictures of where each style is painted.
        style_masks: Pictures of which part of each painting counts.
        color: Whose colours a result gets.
        color_when: Whether paintings are recoloured, or results.
    """

    names: tuple[str, ...] = ()
    blend: tuple[float, ...] = ()
    size: int | None = None
    alpha: float | None = None
    masks: tuple[Path, ...] = ()
    style_masks: tuple[str, ...] = ()
    color: ColorWord | None = None
    color_when: When | None = None


def choose_renderings(stylizer: Stylizer, choice: StyleChoice) -> list[Rendering]:
    """Return a rendering for each style, or the one in which they are blended or share a picture.

    Raises:
        ValueError: The model has no such styles, or options do not fit them or each other.
        OSError: A painting or a mask cannot be read.
    """
    takes_pictures = isinstance(stylizer, AnyStyleStylizer)
    chosen, when = choose_color(
        choice.color, choice.color_when, default="before" if takes_pictures else "after"
    )
    if takes_pictures:
        found = _after_pictures(stylizer, choice, chosen, when)
    else:
        if when == "before":
            raise ValueError(
                f"color_when: wanted after, since {stylizer.name} has styles of its own and takes "
                "no painting to recolour, got before; leave out --color-when"
            )
        found = _of_its_own(stylizer, choice)
    return found if chosen == "style" else [_recolored(each, chosen, when) for each in found]


def _recolored(rendering: Rendering, chosen: Color, when: When) -> Rendering:
    """The rendering with its photographs prepared and its results finished."""

    def content_for(pixels: Pixels) -> Pixels:
        content = jnp.asarray(pixels[None])
        return np.asarray(color.prepare_content(content, color=chosen, when=when))[0]

    def finish(painted: Pixels, pixels: Pixels) -> Pixels:
        pair = jnp.asarray(painted[None]), jnp.asarray(pixels[None])
        return np.asarray(color.finish(*pair, color=chosen, when=when))[0]

    return rendering._replace(content_for=content_for, finish=finish)


def _of_its_own(stylizer: Stylizer, choice: StyleChoice) -> list[Rendering]:
    """Renderings by a model that has certain styles."""
    options = {"size": "style_size", "alpha": "alpha", "style_masks": "style_mask"}
    for name, option in options.items():
        if getattr(choice, name) not in (None, ()):
            raise ValueError(
                f"{option}: wanted with a model that paints after any picture, and {stylizer.name} "
                f"does not; leave out --{option.replace('_', '-')}, or choose another --model"
            )
    if isinstance(stylizer, OneStyleStylizer):
        if choice.masks:
            raise ValueError(
                f"mask: wanted with a model of several styles, and {stylizer.name} has one; leave "
                "out --mask, or choose another --model"
            )
        if choice.names or choice.blend:
            raise ValueError(
                f"style: {stylizer.name} has the one style {stylizer.styles[0]}; leave out --style "
                "and --style-blend, or choose another --model"
            )
        return [Rendering("", lambda pixels: None)]
    assert isinstance(stylizer, ManyStylesStylizer)  # of whose kinds there are three
    return _by_names(stylizer, choice)


def _by_names(stylizer: ManyStylesStylizer, choice: StyleChoice) -> list[Rendering]:
    names, blend = choice.names, choice.blend
    if not names:
        raise ValueError(
            f"style: {stylizer.name} wants --style with some of {', '.join(stylizer.styles)}; "
            f"--style {ALL} takes each in turn"
        )
    chosen = stylizer.styles if list(names) == [ALL] else tuple(names)
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"style: wanted each once, got {' '.join(chosen)}")
    _check_blend(blend, chosen)
    masks = _masks_for(choice, len(chosen))
    if masks is not None:
        style = stylizer.prepare(chosen, masks=masks)
        return [Rendering("", partial(_always, style), partial(check_mask, choice.masks, masks))]
    styles = {"": dict(zip(chosen, blend, strict=True))} if blend else _apart(chosen, chosen)
    for style in styles.values():
        stylizer.conditions(style)  # for its errors
    return [Rendering(suffix, partial(_always, style)) for suffix, style in styles.items()]


def _after_pictures(
    stylizer: AnyStyleStylizer, choice: StyleChoice, chosen: Color, when: When
) -> list[Rendering]:
    if not choice.names:
        raise ValueError(
            f"style: {stylizer.name} paints after any picture: name one or several with --style, "
            "or choose a --model that has a style of its own"
        )
    alpha = 1.0 if choice.alpha is None else choice.alpha
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: wanted a number from 0 to 1, got {alpha}")
    loaded = _load_paintings(choice.names, choice.size or STYLE_SIZE)
    names = tuple(loaded)
    _check_blend(choice.blend, names)
    masks = _masks_for(choice, len(names))
    of_styles = load_style_masks(choice.style_masks, len(names))
    check_style_masks(choice.style_masks, of_styles, list(loaded.values()))
    pictures = [_Painting(*pair) for pair in zip(loaded.values(), of_styles, strict=True)]
    together = masks is not None or bool(choice.blend)
    styles = {"": pictures} if together else _apart(names, [[picture] for picture in pictures])
    mix = partial(_mix, stylizer, alpha=alpha, blend=choice.blend or None, masks=masks)
    check = partial(check_mask, choice.masks, masks)
    if chosen != "style" and when == "before":
        recolor = partial(color.prepare_style, color=chosen, when=when)
        return [
            Rendering(suffix, partial(_mix_recolored, mix, recolor, paintings), check)
            for suffix, paintings in styles.items()
        ]
    return [
        Rendering(suffix, partial(_always, mix(paintings)), check)
        for suffix, paintings in styles.items()
    ]


class _Painting(NamedTuple):
    """A painting, and which part of it counts, if not all."""

    pixels: Pixels
    mask: Mask | None


def _masks_for(choice: StyleChoice, count: int) -> Masks | None:
    """Where each of so many styles is painted."""
    if choice.masks and choice.blend:
        raise ValueError("mask: wanted without --style-blend, which mixes styles everywhere")
    return load_masks(choice.masks, count)


def _apart(names: Sequence[str], styles: Sequence[Any]) -> dict[str, Any]:
    """Each style by what file names get for it: nothing where there is but one."""
    if len(names) == 1:
        return {"": styles[0]}
    return {f"_{name}": style for name, style in zip(names, styles, strict=True)}


def _check_blend(blend: Sequence[float], names: Sequence[str]) -> None:
    if blend and len(blend) != len(names):
        raise ValueError(
            f"style_blend: wanted {len(names)} weights, one for each of --style "
            f"({' '.join(names)}), got {len(blend)}"
        )


def _load_paintings(places: Sequence[str], size: int) -> dict[str, Pixels]:
    """The paintings, by what they are called."""
    found: dict[str, Path] = {}
    for place in map(Path, places):
        for path in files.list_images(place) if place.is_dir() else [place]:
            if path.stem in found:
                raise ValueError(
                    f"style: {quoted(found[path.stem])} and {quoted(path)} have one name, by which "
                    "results are called; rename one"
                )
            found[path.stem] = path
    return {name: files.load_pixels(path, size=size) for name, path in found.items()}


def _mix(stylizer: AnyStyleStylizer, paintings: Sequence[_Painting], **options: Any) -> Mixture:
    encode = stylizer.encode_style
    return stylizer.prepare(
        [encode(pixels[None], mask=mask) for pixels, mask in paintings], **options
    )


def _always(style: Any, pixels: Pixels) -> Any:
    """The same for each photograph."""
    del pixels
    return style


def _mix_recolored(
    mix: Callable[[Sequence[_Painting]], Any],
    recolor: Callable[[Image, ImageOfAnySize], Image],
    paintings: Sequence[_Painting],
    pixels: Pixels,
) -> Any:
    """Paintings with the photograph's colours."""
    target = jnp.asarray(pixels[None])
    return mix(
        [
            _Painting(np.asarray(recolor(jnp.asarray(painting[None]), target))[0], mask)
            for painting, mask in paintings
        ]
    )
