"""The folder of pictures that training and measuring need: what is in it, and what may be shown.

FOLDER (or NST_JAX_DATA) holds content/train, content/heldout, style/train, style/heldout,
papers/content and papers/style, and a manifest.csv that gives every file's author, licence and
tier: A is public domain, CC0 or CC BY, S is free and share-alike, B and C are not free. Anything
may be measured; weights are trained on A and S, and pictures in results/ are made from A alone,
with one exception.
The papers' inputs and the held-out pictures, with where each can be had and its hash, are in
data/inputs.csv and data/held_out.csv: see python -m experiments.data.
"""

import argparse
import csv
import os
from pathlib import Path
from typing import NamedTuple, TypeVar

from nst_jax import files

# Paintings by the names of the networks that paint like them: files, and what a card says of them.
STYLES = {
    "starry_night": ("papers/style/starry_night.jpg", "Vincent van Gogh: The Starry Night, 1889"),
    "wave": ("papers/style/wave.jpg", "Hokusai: The Great Wave off Kanagawa, about 1831"),
    "udnie": ("papers/style/udnie.jpg", "Francis Picabia: Udnie, 1913"),
    "the_scream": ("papers/style/the_scream.jpg", "Edvard Munch: The Scream, 1893"),
    "composition_vii": (
        "papers/style/composition_vii.jpg",
        "Wassily Kandinsky: Composition VII, 1913",
    ),
    "woman_with_a_hat": (
        "papers/style/woman_with_hat_matisse.jpg",
        "Henri Matisse: Woman with a Hat, 1905",
    ),
    "contrast_of_forms": (
        "papers/style/adain_contrast_of_forms.jpg",
        "Fernand Léger: Contrast of Forms, 1913",
    ),
    "mondrian": ("papers/style/adain_mondrian.jpg", "Piet Mondrian, about 1913"),
    "red_chalk": (
        "papers/style/adain_woman_in_peasant_dress.jpg",
        "Woman in Peasant Dress, chalk drawing, artist unknown",
    ),
    "grande_jatte": (
        "style/train/mp_a_sunday_on_la_grande_jatte.jpg",
        "Georges Seurat: A Sunday on La Grande Jatte, 1884 to 1886",
    ),
    "water_lilies": ("style/train/mp_water_lilies.jpg", "Claude Monet: Water Lilies"),
    "senecio": ("style/train/mp_senecio.jpg", "Paul Klee: Senecio, 1922"),
}

# The photograph that the papers themselves show, by Andreas Praefcke, from Wikimedia Commons.
TUBINGEN = "papers/content/tubingen.jpg"

_T = TypeVar("_T")
_STYLE_FOLDERS = ("papers/style", "style/train", "style/heldout")


class Picture(NamedTuple):
    """A line of the manifest."""

    path: Path
    file: str
    """Its path within the folder."""
    author: str
    licence: str
    tier: str
    longer_side: int

    @property
    def may_be_shown(self) -> bool:
        """Whether pictures made from it may be published."""
        return self.tier.startswith("A") or self.file == TUBINGEN


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add --data, which names the folder."""
    parser.add_argument("--data", type=Path, default=os.environ.get("NST_JAX_DATA") or None)


def require_data(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Path:
    """Return the folder, or end with a line that says how to name it."""
    if options.data is None:
        parser.error("--data or NST_JAX_DATA must name the folder of pictures")
    return Path(options.data)


def pictures_in(data: Path, part: str) -> list[Picture]:
    """The pictures that the manifest lists in a part of the data, sorted by file."""
    manifest = data / "manifest.csv"
    if not manifest.is_file():
        raise FileNotFoundError(
            "data: wanted a folder with a manifest.csv, which python -m experiments.data --help "
            f"describes, got {data}"
        )
    with manifest.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["file"].startswith(f"{part}/")]
    found = [
        Picture(
            data / row["file"],
            row["file"],
            row["author_title"],
            row["licence"],
            row["tier"],
            max(int(row["width"]), int(row["height"])),
        )
        for row in rows
    ]
    if not found:
        raise FileNotFoundError(f"{manifest} lists nothing in {part}")
    return sorted(found, key=lambda picture: picture.file)


def find_picture(data: Path, file: str) -> Picture:
    """The picture that the manifest lists under this path within the folder."""
    found = [one for one in pictures_in(data, file.rpartition("/")[0]) if one.file == file]
    if not found:
        raise FileNotFoundError(
            f"{data / 'manifest.csv'} does not list {file}; python -m "
            "experiments.data says where pictures can be had"
        )
    return found[0]


def spread(pictures: list[_T], count: int) -> list[_T]:
    """So many of them, evenly spread, since sorted ones come from one source after another.

    The same number gives the same ones, and all where there are no more.
    """
    count = min(count, len(pictures))
    return [pictures[i * len(pictures) // count] for i in range(count)]


def free_photographs(data: Path, part: str) -> tuple[list[Path], dict[str, int]]:
    """The photographs of tiers A and S in a part of the data, and how many have each licence."""
    return _of_tiers(data, part, "AS")


def free_paintings(data: Path, part: str) -> tuple[list[Path], dict[str, int]]:
    """The paintings of tier A in a part of the data, and how many have each licence."""
    return _of_tiers(data, part, "A")


def _of_tiers(data: Path, part: str, tiers: str) -> tuple[list[Path], dict[str, int]]:
    found = [picture for picture in pictures_in(data, part) if picture.tier[0] in tiers]
    licences: dict[str, int] = {}
    for picture in found:
        licences[picture.licence] = licences.get(picture.licence, 0) + 1
    return [picture.path for picture in found], licences


def find_style(data: Path, name: str, *, sha256: str | None = None) -> Path:
    """The painting that a style of a trained network is named after.

    It is looked up among STYLES, and then by its file's name in the folders of paintings. With a
    hash it must be the very file.
    """
    known = [data / STYLES[name][0]] if name in STYLES else []
    named = [data / folder / f"{name}.jpg" for folder in _STYLE_FOLDERS]
    found = next((path for path in (*known, *named) if path.is_file()), None)
    if found is None:
        folders = ", ".join(_STYLE_FOLDERS)
        raise FileNotFoundError(
            f"style {name}: wanted {name}.jpg in {folders} of {data}, found none; put it there"
        )
    if sha256 is not None and files.sha256_of(found) != sha256:
        raise ValueError(f"style {name}: {found} is not the file that the network's card names")
    return found
