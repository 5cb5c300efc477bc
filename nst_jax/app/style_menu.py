"""The list from which visitors choose styles: no other name reaches a network or a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import files
from nst_jax.jobs.named_styles import NamedStyle, list_named_styles
from nst_jax.jobs.pictures import Pixels
from nst_jax.stylizers import DEFAULT_MODEL

MINE = "my painting"
"""Stands for a painting that the visitor uploads."""

_FOLDER = "style"


class Item(NamedTuple):
    """A style of the list.

    Attributes:
        painting: A bundled painting; None for a style that has a network.
        style: A named style; None for a painting.
    """

    painting: Path | None
    style: NamedStyle | None


class Picked(NamedTuple):
    """Styles that one network paints.

    Attributes:
        model: The network's name.
        names: What jobs.styles.StyleChoice is told of them.
        words: What the command line and Python call them.
        takes_paintings: Whether the network paints after any painting.
    """

    model: str
    names: tuple[Any, ...]
    words: tuple[str, ...]
    takes_paintings: bool


def list_items() -> dict[str, Item]:
    """Return the styles by what the page calls them: bundled paintings, then named styles."""
    folder = files.asset_path(f"{_FOLDER}/van_gogh_harvest.jpg").parent
    paintings = {
        path.stem.replace("_", " "): Item(path, None) for path in files.list_images(folder)
    }
    named = {f"{each.name} ({each.model})": Item(None, each) for each in list_named_styles()}
    return {**paintings, **named}


def pick_styles(labels: Sequence[Any], paintings: Sequence[Pixels | None], *, size: int) -> Picked:
    """Return the network and the styles that visitors' words stand for.

    Args:
        labels: Of the list, or MINE.
        paintings: As many: what was uploaded, where the label is MINE.
        size: Pixels of the longer side of bundled paintings.

    Raises:
        ValueError: A label is not on the list, a painting is missing, or no network has all of the
            styles.
    """
    items = list_items()
    named: list[NamedStyle] = []
    pictures: list[tuple[Any, str]] = []
    for number, (label, painting) in enumerate(zip(labels, paintings, strict=True), start=1):
        if label == MINE:
            if painting is None:
                raise ValueError("painting: wanted one, got none; drop one on the page")
            called = "painting.jpg" if len(labels) == 1 else f"painting{number}.jpg"
            pictures.append((painting[None], called))
            continue
        item = items.get(label) if isinstance(label, str) else None
        if item is None:
            raise ValueError("style: wanted one of the list; choose another")
        if item.style is None:
            assert item.painting is not None
            pixels = files.load_pixels(item.painting, size=size)
            pictures.append((pixels[None], item.painting.name))
        else:
            named.append(item.style)
    models = {style.model for style in named}
    if len(models) > 1 or (named and pictures):
        raise ValueError(
            "style: wanted paintings alone, or styles of one network, got a mixture; choose again"
        )
    if named:
        names = () if named[0].is_only else tuple(style.name for style in named)
        return Picked(named[0].model, names, names, takes_paintings=False)
    words = tuple(word for _, word in pictures)
    return Picked(DEFAULT_MODEL, tuple(each for each, _ in pictures), words, takes_paintings=True)
