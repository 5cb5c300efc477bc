"""What the figures on trained networks share: the networks, what they were trained for, pictures.

Photographs of other tiers than A may be measured and looked at, but pictures made from them are
written to no other folder than the one that the user names for it by --look.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from experiments.common import command
from experiments.common.data_folder import (
    Picture,
    add_data_option,
    find_style,
    pictures_in,
    require_data,
    spread,
)
from nst_jax import files, stylizers, train
from nst_jax.array_types import Image, ImageOfAnySize
from nst_jax.papers import dumoulin_2017, huang_2017, johnson_2016
from nst_jax.stylizers import Stylizer

HELD_OUT = "content/heldout"
PAPERS = "papers/content"
SMALL, LARGE = 512, 1024  # pixels, the longer side, of pictures that are looked at
COUNTS = {HELD_OUT: 10, PAPERS: 5}

_Config = TypeVar("_Config", johnson_2016.Config, dumoulin_2017.Config, huang_2017.Config)


Figure = Callable[[argparse.Namespace, Path], None]
"""Makes one figure by the options, in the folder that is given."""


def make_base_parser(
    description: str | None, figures: Mapping[str, Figure], out: str
) -> argparse.ArgumentParser:
    """A parser of the options that all figures have."""
    parser = command.make_parser(description)
    parser.add_argument("--figures", nargs="+", choices=figures, default=list(figures))
    add_data_option(parser)
    command.add_out_option(parser, out)
    return parser


def make_parser(
    description: str | None, figures: Mapping[str, Figure], out: str
) -> argparse.ArgumentParser:
    """A parser of the options that figures on several networks have."""
    parser = make_base_parser(description, figures, out)
    parser.add_argument(
        "--models", nargs="+", default=[], help="names or files; by default all that ship"
    )
    parser.add_argument("--count", type=int, default=20, help="how many photographs to measure")
    parser.add_argument(
        "--look", type=Path, help="a folder for pictures of the sheets that may not be published"
    )
    return parser


def make_figures(
    parser: argparse.ArgumentParser,
    figures: Mapping[str, Figure],
    *,
    networks: Mapping[str, Sequence[str]],
    resuming: Collection[str] = (),
) -> None:
    """Make the figures that were asked for, each in its folder.

    Args:
        parser: From make_parser or make_base_parser, with the script's own options.
        figures: All of the script.
        networks: By figure, how the names begin of the networks that ship and that it shows.
        resuming: Figures that tell themselves what they need not do again.
    """
    options = command.parse(parser)
    options.data = require_data(parser, options)
    for name in options.figures:
        out = options.out / name
        if name in resuming:
            out.mkdir(parents=True, exist_ok=True)
            figures[name](options, out)
            print(f"wrote {out}")
        else:
            make_once(figures[name], parser, options, out, networks=networks[name])


def make_once(
    figure: Figure,
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    out: Path,
    *,
    networks: Sequence[str] = (),
) -> None:
    """Make one figure, unless its record says that it was made by the same options and networks.

    Whether the code is still the same is not asked: the record tells the commit. Pictures that are
    wanted in another folder too, by --look, are always made.

    Args:
        figure: Writes record.json and pictures into its folder.
        parser: Of the options, whose defaults need not be told.
        options: What was given.
        out: The figure's folder.
        networks: How the names begin of the networks that ship and that it shows.
    """
    path, wanted = out / "record.json", as_recorded(_describe_making(parser, options, networks))
    made = files.read_record(path).get("made", {}) if path.exists() else {}
    whole = all((out / name).exists() for name in made.get("files", []))
    if made.get("by") == wanted and whole and getattr(options, "look", None) is None:
        print(f"{out} is complete; to make it again delete its record.json")
        return
    out.mkdir(parents=True, exist_ok=True)
    figure(options, out)
    names = sorted(each.name for each in out.iterdir() if each.is_file() and each != path)
    record = files.read_record(path)
    files.write_record(path, {**record, "made": {"by": wanted, "files": names}})
    print(f"wrote {out}")


# What changes no picture and no number.
_NO_MATTER = {"figures", "data", "out", "look", "workdir", "peer_python"}


def _describe_making(
    parser: argparse.ArgumentParser, options: argparse.Namespace, networks: Sequence[str]
) -> dict[str, Any]:
    told = {name: value for name, value in vars(options).items() if name not in _NO_MATTER}
    models, model = told.pop("models", None), told.pop("model", None)
    given = [model] if model else models
    if not given:
        given = [name for name in stylizers.list_models() if name.startswith(tuple(networks))]
    return {
        "options": {k: value for k, value in told.items() if value != parser.get_default(k)},
        "with_data": getattr(options, "data", None) is not None,
        "networks": {Path(n).name: network_sha256(n) for n in given},
    }


def network_sha256(name: str) -> str:
    """The hash of a model's file, or of those of a published model."""
    if name in stylizers.list_published():
        return " ".join(stylizers.published_sha256(name))
    return files.sha256_of(stylizers.model_path(name))


def load_networks(architecture: str, models: Sequence[str]) -> list[Stylizer]:
    """The networks of one architecture among the models, or among those that ship."""
    loaded = [stylizers.load_stylizer(name) for name in models or stylizers.list_models()]
    found = [stylizer for stylizer in loaded if stylizer.architecture == architecture]
    if not found:
        kind = "given" if models else "among those that ship"
        raise ValueError(f"models: no network of {architecture} {kind}; name its file by --models")
    return found


def config_of(stylizer: Stylizer, presets: Mapping[str, _Config]) -> _Config:
    """The configuration that a network's card tells, but for the encoder's precision.

    That is float32 here, so that losses are compared and not roundings.
    """
    preset = stylizer.card.get("preset")
    if not isinstance(preset, str) or preset not in presets:
        known = ", ".join(presets)
        raise ValueError(f"{stylizer.name}: its card must name a preset, {known}; got {preset!r}")
    told = {name: _as_tuple(value) for name, value in stylizer.card.get("config", {}).items()}
    return dataclasses.replace(presets[preset], **{**told, "precision": "float32"})


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(part) for part in value) if isinstance(value, list) else value


def load_painting(stylizer: Stylizer, style: str, data: Path) -> ImageOfAnySize:
    """The painting of one of a network's styles, whose hash its card may tell."""
    told = stylizer.card.get("style_sha256")
    sha256 = told.get(style) if isinstance(told, Mapping) else told
    return files.load_image(find_style(data, style, sha256=sha256))


def load_square(picture: Picture, size: int) -> Image:
    """The central square of a picture, as networks are trained on."""
    return train.load_fixed_batch([picture.path], size=size, count=1)


def corner_shares(side: int) -> list[tuple[float, float, float, float]]:
    """Shares of four styles at the corners of a square of mixtures, row by row."""
    places = np.linspace(0, 1, side)
    return [
        (float((1 - y) * (1 - x)), float((1 - y) * x), float(y * (1 - x)), float(y * x))
        for y in places
        for x in places
    ]


def as_recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a record answers them, to be compared with those of one."""
    return json.loads(json.dumps(dict(settings)))


def make_plot(panels: int) -> Any:
    """A Matplotlib figure of so many panels in a row, or None where there is no Matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no plot: it wants matplotlib: pip install matplotlib")
        return None
    figure = Figure(figsize=(5 * panels, 4), layout="constrained")
    figure.subplots(1, panels)
    return figure


class Painted(NamedTuple):
    """A picture that a network has painted, and the photograph that it was."""

    photograph: Picture
    pixels: np.ndarray


def paint_sheet(
    stylizer: Stylizer, style: str | None, data: Path, look: Path | None
) -> tuple[list[Painted], list[Painted]]:
    """Ten held-out photographs at 512 pixels, and five of the papers' at 1024, painted.

    What may not be published goes to the folder `look`, where there is one, in full size with all
    the others, and is not answered.
    """
    small, large = (
        [
            Painted(photograph, _paint(stylizer, style, photograph, size, look))
            for photograph in _choose(pictures_in(data, part), COUNTS[part], size)
            if photograph.may_be_shown or look is not None
        ]
        for part, size in ((HELD_OUT, SMALL), (PAPERS, LARGE))
    )
    return _only_shown(small), _only_shown(large)


def _choose(pictures: list[Picture], count: int, size: int) -> list[Picture]:
    """First those that may be shown, then others, until there are enough.

    None is enlarged to more than twice its size while there are others.
    """
    large = [picture for picture in pictures if 2 * picture.longer_side >= size] or pictures
    shown = spread([picture for picture in large if picture.may_be_shown], count)
    others = [picture for picture in large if not picture.may_be_shown]
    return shown + spread(others, count - len(shown))


def _only_shown(painted: list[Painted]) -> list[Painted]:
    return [one for one in painted if one.photograph.may_be_shown]


def _paint(
    stylizer: Stylizer, style: str | None, photograph: Picture, size: int, look: Path | None
) -> np.ndarray:
    painted = stylizer(files.load_image(photograph.path, size=size), style)
    if look is not None:
        folder = look / "_".join(filter(None, (stylizer.name, style)))
        folder.mkdir(parents=True, exist_ok=True)
        files.save_image(folder / f"{photograph.path.stem}_{size}.jpg", painted)
    return np.asarray(painted[0])


def credit(photographs: Sequence[Picture]) -> dict[str, dict[str, str]]:
    """Whose photographs were painted."""
    return {one.file: {"author": one.author, "licence": one.licence} for one in photographs}
