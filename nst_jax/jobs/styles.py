"""In which styles photographs are to be painted in one pass: by names, or after pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.jobs import pictures
from nst_jax.jobs.color_words import ColorWord, choose_color
from nst_jax.jobs.masks import check_mask, check_style_masks, load_masks, load_style_masks
from nst_jax.jobs.paintings import load_paintings
from nst_jax.jobs.sampled_styles import asks_for_random, sample_style
from nst_jax.ops import color
from nst_jax.ops.color import Color, When
from nst_jax.regions.masks import Mask, Masks
from nst_jax.stylizers import (
    AnyStyleStylizer,
    ManyStylesStylizer,
    OneStyleStylizer,
    Stylizer,
)

ALL = "all"
"""Stands for every style of a model."""

Pixels = Float[np.ndarray, "_ _ 3"]


@runtime_checkable
class Rendering(Protocol):
    """A way to paint photographs."""

    @property
    def suffix(self) -> str:
        """What file names get for it."""
        ...

    def check(self, pixels: Pixels) -> None:
        """Raise a ValueError for a photograph that cannot be painted so."""
        ...

    def paint(
        self, stylizer: Stylizer, photographs: Sequence[Pixels], *, max_pixels: int
    ) -> list[Pixels]:
        """Return photographs of like size painted."""
        ...


class Regions(NamedTuple):
    """Masks, and what they were made of; the masks are None where a style goes everywhere."""

    given: tuple[Any, ...] = ()
    masks: Masks | None = None

    def check(self, pixels: Pixels) -> None:
        """Raise a ValueError where the masks do not fit a photograph."""
        check_mask(self.given, self.masks, pixels)


_EVERYWHERE = Regions()


class Painting(NamedTuple):
    """A painting, and which part of it counts, if not all."""

    pixels: Pixels
    mask: Mask | None


@dataclass(frozen=True)
class SameStyle:
    """Every photograph in one style, whose colours it takes.

    Attributes:
        suffix: What file names get for it.
        style: What the stylizer is told.
        regions: Where the style's parts go.
    """

    suffix: str
    style: Any
    regions: Regions = _EVERYWHERE

    def check(self, pixels: Pixels) -> None:
        """Raise a ValueError for a photograph that cannot be painted so."""
        self.regions.check(pixels)

    def paint(
        self, stylizer: Stylizer, photographs: Sequence[Pixels], *, max_pixels: int
    ) -> list[Pixels]:
        """Return photographs of like size painted."""
        return stylizer.paint(photographs, self.style, max_pixels=max_pixels)


@dataclass(frozen=True)
class RecoloredResults:
    """Another rendering, whose results then get the photographs' colours."""

    inner: Rendering
    color: Color

    @property
    def suffix(self) -> str:
        """What file names get for it."""
        return self.inner.suffix

    def check(self, pixels: Pixels) -> None:
        """Raise a ValueError for a photograph that cannot be painted so."""
        self.inner.check(pixels)

    def paint(
        self, stylizer: Stylizer, photographs: Sequence[Pixels], *, max_pixels: int
    ) -> list[Pixels]:
        """Return photographs of like size painted."""
        painted = self.inner.paint(stylizer, photographs, max_pixels=max_pixels)
        return _finish(painted, photographs, self.color, "after")


@dataclass(frozen=True)
class RecoloredPaintings:
    """Each photograph after paintings that first get its own colours.

    Attributes:
        suffix: What file names get for it.
        paintings: What is painted after.
        color: By which means they are recoloured.
        mixing: How the stylizer mixes them.
    """

    suffix: str
    paintings: tuple[Painting, ...]
    color: Color
    mixing: "Mixing"

    def check(self, pixels: Pixels) -> None:
        """Raise a ValueError for a photograph that cannot be painted so."""
        self.mixing.regions.check(pixels)

    def paint(
        self, stylizer: Stylizer, photographs: Sequence[Pixels], *, max_pixels: int
    ) -> list[Pixels]:
        """Return photographs of like size painted."""
        assert isinstance(stylizer, AnyStyleStylizer)
        contents, styles = [], []
        for pixels in photographs:
            photograph = jnp.asarray(pixels[None])
            content = color.prepare_content(photograph, color=self.color, when="before")
            contents.append(np.asarray(content)[0])
            recolored = [
                color.prepare_style(
                    jnp.asarray(painting.pixels[None]), photograph, color=self.color, when="before"
                )
                for painting in self.paintings
            ]
            paintings = [
                painting._replace(pixels=np.asarray(style)[0])
                for painting, style in zip(self.paintings, recolored, strict=True)
            ]
            styles.append(self.mixing.mix(stylizer, paintings))
        painted = stylizer.paint_each(contents, styles, max_pixels=max_pixels)
        return _finish(painted, photographs, self.color, "before")


class Mixing(NamedTuple):
    """How paintings become what an any-style network paints by."""

    alpha: float
    blend: tuple[float, ...]
    regions: Regions

    def mix(self, stylizer: AnyStyleStylizer, paintings: Sequence[Painting]) -> Any:
        """Return what the network paints by: a mixture of its own kind."""
        encoded = [stylizer.encode_style(pixels[None], mask=mask) for pixels, mask in paintings]
        masks, blend = self.regions.masks, self.blend or None
        return stylizer.prepare(encoded, alpha=self.alpha, blend=blend, masks=masks)


@dataclass(frozen=True)
class StyleChoice:
    """What the user says of styles; None and () where nothing is said.

    Attributes:
        names: Of a model's own styles; or pictures, or folders of them.
        blend: Weights of the styles in one picture.
        size: Pixels of the paintings' longer side; None is what the model is best given.
        alpha: How much of the style is taken.
        masks: Pictures of where each style is painted.
        style_masks: Pictures of which part of each painting counts.
        seed: Which style is drawn where names hold the word random.
        color: Whose colours a result gets.
        color_when: Whether paintings are recoloured, or results.
    """

    names: tuple[Any, ...] = ()
    blend: tuple[float, ...] = ()
    size: int | None = None
    alpha: float | None = None
    masks: tuple[Any, ...] = ()
    style_masks: tuple[Any, ...] = ()
    seed: int | None = None
    color: ColorWord | None = None
    color_when: When | None = None

    def __post_init__(self) -> None:
        """Check the size, which pictures are scaled to before anything else is looked at.

        Raises:
            ValueError: It is out of range.
        """
        pictures.check_size("style_size", self.size)


def choose_renderings(stylizer: Stylizer, choice: StyleChoice) -> list[Rendering]:
    """Return a rendering for each style, or the one in which they are blended or share a picture.

    Raises:
        ValueError: The model has no such styles, or options do not fit them or each other.
        OSError: A painting or a mask cannot be read.
    """
    if asks_for_random(choice.names):
        return _at_random(stylizer, choice)
    if choice.seed is not None:
        raise ValueError("seed: wanted with --style random, got it alone; leave out --seed")
    takes_pictures = isinstance(stylizer, AnyStyleStylizer)
    chosen, when = choose_color(
        choice.color, choice.color_when, default="before" if takes_pictures else "after"
    )
    if takes_pictures:
        return _after_pictures(stylizer, choice, chosen, when)
    if when == "before":
        raise ValueError(
            f"color_when: wanted after, since {stylizer.name} has styles of its own and takes "
            "no painting to recolour, got before; leave out --color-when"
        )
    return _recolored(_of_its_own(stylizer, choice), chosen)


def _at_random(stylizer: Stylizer, choice: StyleChoice) -> list[Rendering]:
    """The rendering in a style that is drawn."""
    chosen, when = choose_color(choice.color, choice.color_when, default="after")
    if when == "before" and chosen != "style":
        raise ValueError(
            "color_when: wanted after, since a style that is drawn has no painting to recolour, "
            "got before; leave out --color-when"
        )
    for name, option in {
        "blend": "style_blend",
        "masks": "mask",
        "style_masks": "style_mask",
    }.items():
        if getattr(choice, name):
            raise ValueError(
                f"{option}: wanted without --style random, which draws one style for the whole "
                "picture"
            )
    style = sample_style(
        stylizer, choice.names, size=choice.size, seed=choice.seed or 0, alpha=choice.alpha
    )
    return _recolored([SameStyle("", style)], chosen)


def _recolored(found: list[Rendering], chosen: Color) -> list[Rendering]:
    return found if chosen == "style" else [RecoloredResults(each, chosen) for each in found]


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
        return [SameStyle("", None)]
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
    regions = _regions_for(choice, len(chosen))
    if regions.masks is not None:
        style = stylizer.prepare(chosen, masks=regions.masks)
        return [SameStyle("", style, regions)]
    styles = {"": dict(zip(chosen, blend, strict=True))} if blend else _apart(chosen, chosen)
    for style in styles.values():
        stylizer.conditions(style)  # for its errors
    return [SameStyle(suffix, style) for suffix, style in styles.items()]


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
    loaded = load_paintings(choice.names, choice.size or stylizer.style_size)
    names = tuple(loaded)
    _check_blend(choice.blend, names)
    regions = _regions_for(choice, len(names))
    of_styles = load_style_masks(choice.style_masks, len(names))
    check_style_masks(choice.style_masks, of_styles, list(loaded.values()))
    paintings = [Painting(*pair) for pair in zip(loaded.values(), of_styles, strict=True)]
    together = regions.masks is not None or bool(choice.blend)
    apart = _apart(names, [(painting,) for painting in paintings])
    styles: dict[str, tuple[Painting, ...]] = {"": tuple(paintings)} if together else apart
    mixing = Mixing(alpha, choice.blend, regions)
    if chosen != "style" and when == "before":
        return [
            RecoloredPaintings(suffix, chosen_ones, chosen, mixing)
            for suffix, chosen_ones in styles.items()
        ]
    same = [
        SameStyle(suffix, mixing.mix(stylizer, chosen_ones), regions)
        for suffix, chosen_ones in styles.items()
    ]
    return _recolored(list(same), chosen)


def _finish(
    painted: Sequence[Pixels], photographs: Sequence[Pixels], chosen: Color, when: When
) -> list[Pixels]:
    """Results with the colours that they are to have."""
    finished = [
        color.finish(jnp.asarray(result[None]), jnp.asarray(pixels[None]), color=chosen, when=when)
        for result, pixels in zip(painted, photographs, strict=True)
    ]
    return [np.asarray(picture)[0] for picture in finished]


def _regions_for(choice: StyleChoice, count: int) -> Regions:
    """Where each of so many styles is painted."""
    if choice.masks and choice.blend:
        raise ValueError("mask: wanted without --style-blend, which mixes styles everywhere")
    return Regions(choice.masks, load_masks(choice.masks, count))


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
