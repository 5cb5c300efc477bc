"""Train the networks whose weights ship in nst_jax/assets/models, and write them with their cards.

    python experiments/shipped_networks.py johnson2016 starry_night --workdir RUNS --data FOLDER

FOLDER (or NST_JAX_DATA) holds content/train, content/heldout, style/train and papers/style, and a
manifest.csv that gives every file's licence and tier. Only photographs of the tiers A (public
domain, CC0, CC BY) and S (free, share-alike) and paintings of tier A are used, so that anyone may
use the weights. A run goes on from what RUNS holds; after Ctrl-C the same command continues it.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import jax
from data_folder import STYLES, add_data_option, free_photographs, require_data

from nst_jax import files, stylizers, train
from nst_jax.encoders.pretrained import describe_weights, load_encoder
from nst_jax.papers import johnson_2016

HELD_OUT = 8  # pictures
SAMPLE_SIZE = 256  # pixels


def main() -> None:
    options = parse()
    jax.config.update("jax_compilation_cache_dir", str(files.cache_dir() / "xla"))
    {"johnson2016": train_johnson}[options.paper](options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a network that ships.")
    parser.add_argument("paper", choices=["johnson2016"])
    parser.add_argument("style", choices=sorted(STYLES))
    add_data_option(parser)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("nst_jax/assets/models"))
    options = parser.parse_args()
    options.data = require_data(parser, options)
    return options


def report(started: float):
    """Print a line every hundred steps."""

    def on_step(report) -> None:
        if report.step % 100 == 0:
            terms = "  ".join(f"{name} {value:.4g}" for name, value in report.terms.items())
            print(f"{time.time() - started:7.0f} s  step {report.step}  {terms}", flush=True)

    return on_step


def train_johnson(options: argparse.Namespace) -> None:
    config = johnson_2016.PRESETS[options.preset]
    file, title = STYLES[options.style]
    paths, licences = free_photographs(options.data, "content/train")
    held_out, _ = free_photographs(options.data, "content/heldout")
    encoder, encoder_params = load_encoder(config.encoder, weights=config.weights)
    style_hash = files.sha256_of(options.data / file)
    workdir = options.workdir / f"johnson2016-{options.style}"
    started = time.time()
    trained = johnson_2016.fit(
        files.load_image(options.data / file),
        train.open_stream(
            paths,
            size=config.size,
            shorter_side=config.shorter_side,
            flip=config.flip,
            batch_size=config.batch_size,
            seed=config.seed,
        ),
        config,
        encoder,
        encoder_params,
        workdir=str(workdir),
        held_out=train.load_fixed_batch(held_out, size=SAMPLE_SIZE, count=HELD_OUT),
        samples=train.load_fixed_batch(held_out, size=SAMPLE_SIZE, count=HELD_OUT),
        data={"content": train.describe_pictures(paths), "style_sha256": style_hash},
        on_step=report(started),
    )
    card: dict[str, Any] = {
        "paper": "Johnson, Alahi and Fei-Fei 2016",
        "command": f"python experiments/shipped_networks.py johnson2016 {options.style}",
        "preset": options.preset,
        "style": title,
        "style_sha256": style_hash,
        "content_pictures": len(paths),
        "content_licences": licences,
        "steps": trained.step,
        "batch_size": config.batch_size,
        "size": config.size,
        "seed": config.seed,
        "held_out_losses": dict(trained.held_out),
        "encoder": describe_weights(config.encoder, weights=config.weights)["arrays_sha256"],
        "device": jax.devices()[0].device_kind,
        "licence": "Apache-2.0",
    }
    if trained.step < config.num_steps:
        print(f"stopped after step {trained.step} of {config.num_steps}; the same command goes on")
        return
    name = f"johnson2016-{options.style}.safetensors"
    stylizers.save_model(
        options.out / name, trained.network, trained.variables, styles=[options.style], card=card
    )
    print(f"{options.out / name}: {card}")


if __name__ == "__main__":
    main()
