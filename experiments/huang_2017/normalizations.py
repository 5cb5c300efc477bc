"""The figure `normalizations` of huang_2017: instance against batch normalisation.

The paper's figure 1: a network of one style learns faster with instance normalisation than with
batch normalisation on photographs as they are, and on photographs of equalised contrast; on
photographs that all have one style already the two are alike. From this the paper concludes that
instance normalisation normalises style, not contrast alone.

Contrast is equalised by the luminance's histogram; the one style is The Starry Night's, given to
each photograph by johnson2016-starry_night; the style that is learnt is The Great Wave. The paper
trains Ulyanov et al.'s network, we Johnson et al.'s at half width. Held-out photographs are
prepared as those trained on, and their losses are against the prepared ones. --photographs names
the panels that are made, all by default.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps

from experiments.common import training_curves
from experiments.common.contact_sheet import save_sheet
from experiments.common.data_folder import STYLES, free_photographs, spread
from experiments.common.network_figures import HELD_OUT
from experiments.common.training_curves import Training, config_defaults
from nst_jax import files, stylizers, train
from nst_jax.array_types import Image, ImageOfAnySize
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import johnson_2016
from nst_jax.train import datasets

NORMALIZATIONS = ("batch", "instance")
STYLE = "wave"
NORMALISING_NETWORK = "johnson2016-starry_night"
STYLE_NORMALISED = "style normalised"
NUM_PHOTOGRAPHS = 200  # prepared once, and held in memory
NUM_HELD_OUT = 16
SHOWN = "content/neuschwanstein_castle.jpg"
SHOWN_SIZE = 256

Preparation = Callable[[np.ndarray], np.ndarray]
"""A photograph in, (height, width, 3) in [0, 1], and what is trained on out."""


def equalize_contrast(pixels: np.ndarray) -> np.ndarray:
    """Return the picture with its luminance's histogram made even, hues kept."""
    picture = PillowImage.fromarray(np.rint(255 * pixels).astype(np.uint8))
    luminance, *colours = picture.convert("YCbCr").split()
    merged = PillowImage.merge("YCbCr", (ImageOps.equalize(luminance), *colours))
    return np.asarray(merged.convert("RGB"), np.float32) / 255


def normalize_style(stylizer: stylizers.Stylizer, pixels: np.ndarray) -> np.ndarray:
    """Return the picture in the one style of a network."""
    return np.asarray(stylizer(jnp.asarray(pixels)[None])[0])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this figure alone wants to know."""
    parser.add_argument(
        "--photographs",
        nargs="+",
        metavar="TITLE",
        help="for `normalizations`, such as 'as they are': the panels to make",
    )


def load_preparations() -> dict[str, Preparation]:
    """What photographs are made into, by the titles of the figure's panels."""
    return {
        "as they are": np.asarray,
        "contrast equalised": equalize_contrast,
        STYLE_NORMALISED: partial(normalize_style, stylizers.load_stylizer(NORMALISING_NETWORK)),
    }


class Photographs:
    """What is trained and measured on in one panel; each photograph is prepared once."""

    def __init__(self, data: Path, prepare: Preparation, size: int):
        self.paths, held_out = (
            spread(free_photographs(data, part)[0], count)
            for part, count in (("content/train", NUM_PHOTOGRAPHS), (HELD_OUT, NUM_HELD_OUT))
        )
        self._prepare, self._size = prepare, size
        self._known: dict[Path, np.ndarray] = {}
        square = datasets.random_crop(size, shorter_side=size)
        self.held_out = jnp.asarray(
            datasets.fixed_batch(held_out, load=self.load, transform=square, count=NUM_HELD_OUT)
        )

    def load(self, path: Path) -> np.ndarray:
        """Return a photograph prepared."""
        if path not in self._known:
            self._known[path] = self.load_anew(path, 3 * self._size)
        return self._known[path]

    def load_anew(self, path: Path, longer_side: int) -> np.ndarray:
        """Return a photograph prepared at another size."""
        return self._prepare(np.asarray(files.load_image(path, size=longer_side)[0]))

    def open_stream(self, config: johnson_2016.Config) -> datasets.PictureStream:
        """Return training batches."""
        return datasets.picture_stream(
            self.paths,
            load=self.load,
            transform=datasets.random_crop(
                config.size, shorter_side=config.shorter_side or config.size, flip=config.flip
            ),
            batch_size=config.batch_size,
            seed=config.seed,
        )


class _Setting(NamedTuple):
    """What the figure's trainings have in common."""

    painting: ImageOfAnySize
    encoder: Any
    encoder_params: Any
    every: int


def normalizations(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `normalizations`."""
    base = training_curves.shorten(johnson_2016.PRESETS["cpu"], options, precision="float32")
    painting = files.load_image(options.data / STYLES[STYLE][0])
    setting = _Setting(painting, *load_encoder(base.encoder), options.every)
    preparations = load_preparations()
    titles = options.photographs or list(preparations)
    if unknown := [title for title in titles if title not in preparations]:
        raise ValueError(f"photographs: wanted {' | '.join(preparations)}, got {unknown[0]!r}")
    panels: dict[str, dict[str, str]] = {}
    trainings: dict[str, list[Training]] = {}
    for title in titles:
        prepare = preparations[title]
        photographs = Photographs(options.data, prepare, options.train_size)
        panels[title] = {each: f"{each}, {title}" for each in NORMALIZATIONS}
        for normalization, name in panels[title].items():
            trainings[name] = training_curves.for_seeds(
                dataclasses.replace(base, normalization=normalization),
                options,
                partial(_make_training, setting=setting, photographs=photographs, title=title),
            )
    records = training_curves.run_all(trainings, out, options.workdir)
    _show(panels, records, out)


def _make_training(
    config: johnson_2016.Config, *, setting: _Setting, photographs: Photographs, title: str
) -> Training:
    data = {
        "photographs": title,
        "pictures": train.describe_pictures(photographs.paths),
        "style": STYLE,
    }
    if title == STYLE_NORMALISED:
        data["network_sha256"] = files.sha256_of(stylizers.model_path(NORMALISING_NETWORK))

    def fit(workdir: str) -> train.Trained:
        with closing(photographs.open_stream(config)) as stream:
            return johnson_2016.fit(
                setting.painting,
                stream,
                config,
                setting.encoder,
                setting.encoder_params,
                held_out=photographs.held_out,
                samples=photographs.held_out[:2],
                reporting=train.Reporting(workdir=workdir, data=data, report_every=setting.every),
            )

    def paint(trained: train.Trained) -> Image:
        pixels = photographs.load_anew(files.asset_path(SHOWN), SHOWN_SIZE)
        height, width = (side // 4 * 4 for side in pixels.shape[:2])
        image = jnp.asarray(pixels)[None, :height, :width]
        return jax.jit(trained.network.apply)(trained.variables, image)

    settings = {"config": dataclasses.asdict(config), **data, "every": setting.every}
    return Training(settings, fit, paint, config_defaults(config))


def _show(panels: Mapping[str, Mapping[str, str]], records: Mapping[str, Any], out: Path) -> None:
    lines = {
        title: {each: records[name] for each, name in names.items()}
        for title, names in panels.items()
    }
    training_curves.finish(out, lines, records)
    rows = [
        [(training_curves.load_picture(out, names[each]), names[each]) for names in panels.values()]
        for each in NORMALIZATIONS
    ]
    save_sheet(out / "sheet.jpg", rows, side=SHOWN_SIZE)
