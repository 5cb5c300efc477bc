"""The figure `few_shot` of dumoulin_2017: a new style learnt by its own arrays alone.

The paper's figure 6: teaching a trained network one more style by training nothing but that style's
scales and biases gets in 5,000 steps where a network trained for the style from scratch gets in
40,000. Here both learn one painting that the network of many styles does not know, by the same
objective, on the same photographs and at the same rate.
"""

import argparse
import dataclasses
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.common import network_figures, training_curves
from experiments.common.contact_sheet import save_sheet
from experiments.common.data_folder import find_picture, free_photographs, spread
from experiments.common.network_figures import HELD_OUT
from experiments.common.training_curves import Training, config_defaults
from nst_jax import files, train
from nst_jax.array_types import Image
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import dumoulin_2017
from nst_jax.papers.dumoulin_2017 import Config
from nst_jax.stylizers import Stylizer

NEW_STYLE = "style/heldout/wk_albert_gleizes_composition_for_jazz_1915.jpg"
NUM_HELD_OUT = 16
SHOWN = "content/neuschwanstein_castle.jpg"
SHOWN_SIZE = 320
ADDED, ALONE = "a row of a trained network", "a network from scratch"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this figure alone wants to know."""
    parser.add_argument(
        "--new-style", default=NEW_STYLE, metavar="FILE", help="a painting, for `few_shot`"
    )


class _Setting(NamedTuple):
    """What both trainings have in common."""

    network: Stylizer
    painting: Any
    photographs: list[Path]
    held_out: Image
    encoder: Any
    encoder_params: Any
    every: int
    data: dict[str, Any]


def few_shot(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `few_shot`."""
    network = network_figures.load_networks("dumoulin2017", options.models)[0]
    config = training_curves.shorten(
        network_figures.config_of(network, dumoulin_2017.PRESETS),
        options,
        add_style_steps=options.train_steps,
    )
    painting = find_picture(options.data, options.new_style)
    photographs, held_out = (
        free_photographs(options.data, part)[0] for part in ("content/train", HELD_OUT)
    )
    setting = _Setting(
        network,
        files.load_image(painting.path),
        photographs,
        train.load_fixed_batch(
            spread(held_out, NUM_HELD_OUT), size=config.size, count=NUM_HELD_OUT
        ),
        *load_encoder(config.encoder, weights=config.weights),
        options.every,
        {
            "style_sha256": files.sha256_of(painting.path),
            "pictures": train.describe_pictures(photographs),
        },
    )
    trainings = {
        name: training_curves.for_seeds(
            config, options, partial(_make_training, setting=setting, name=name)
        )
        for name in (ADDED, ALONE)
    }
    records = training_curves.run_all(trainings, out, options.workdir)
    training_curves.finish(out, {painting.author: records}, records)
    cells = [(training_curves.load_picture(out, name), name) for name in records]
    save_sheet(out / "sheet.jpg", [cells], side=SHOWN_SIZE)


def _make_training(config: Config, *, setting: _Setting, name: str) -> Training:
    added = name == ADDED
    data = {**setting.data, "trained": name}
    if added:
        data["network"] = setting.network.name

    def fit(workdir: str) -> train.Trained:
        teach = (
            partial(
                dumoulin_2017.add_style,
                setting.painting,
                setting.network.network,
                setting.network.variables,
            )
            if added
            else partial(dumoulin_2017.fit, [setting.painting])
        )
        with closing(training_curves.open_stream(setting.photographs, config)) as stream:
            return teach(
                stream,
                config,
                setting.encoder,
                setting.encoder_params,
                held_out=setting.held_out,
                samples=setting.held_out[:2],
                reporting=train.Reporting(workdir=workdir, data=data, report_every=setting.every),
            )

    def paint(trained: train.Trained) -> Image:
        image = files.load_image(files.asset_path(SHOWN), size=SHOWN_SIZE)
        height, width = (side // 4 * 4 for side in image.shape[1:3])
        last = trained.network.num_styles - 1
        weights = dumoulin_2017.one_hot(jnp.array([last]), trained.network.num_styles)
        paint_all = jax.jit(trained.network.apply)
        return paint_all(trained.variables, image[:, :height, :width], weights)

    settings = {"config": dataclasses.asdict(config), **data, "every": setting.every}
    return Training(settings, fit, paint, config_defaults(config))
