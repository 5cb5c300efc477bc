"""Train the networks whose weights ship in nst_jax/assets/models, and write them with their cards.

    python experiments/shipped_networks.py johnson2016 starry_night --workdir RUNS --data FOLDER
    python experiments/shipped_networks.py dumoulin2017 --workdir RUNS --data FOLDER

FOLDER (or NST_JAX_DATA) holds content/train, content/heldout, style/train and papers/style, and a
manifest.csv that gives every file's licence and tier. Only photographs of the tiers A (public
domain, CC0, CC BY) and S (free, share-alike) and paintings of tier A are used, so that anyone may
use the weights. A run goes on from what RUNS holds; after Ctrl-C the same command continues it.

On two CPU cores that do nothing else johnson2016 takes 0.4 to 1 s a step, by the processor, and
dumoulin2017 0.65 s where a processor knows no bfloat16; there --precision float32 is faster.
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
from data_folder import STYLES, add_data_option, free_photographs, require_data

from nst_jax import files, stylizers, train
from nst_jax.encoders.pretrained import describe_weights, load_encoder
from nst_jax.papers import dumoulin_2017, johnson_2016

HELD_OUT = 8  # pictures
SAMPLE_SIZE = 256  # pixels
PAPERS = {
    "johnson2016": ("Johnson, Alahi and Fei-Fei 2016", johnson_2016),
    "dumoulin2017": ("Dumoulin, Shlens and Kudlur 2017", dumoulin_2017),
}


def main() -> None:
    options = parse()
    jax.config.update("jax_compilation_cache_dir", str(files.cache_dir() / "xla"))
    run(options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a network that ships.")
    parser.add_argument("paper", choices=sorted(PAPERS))
    parser.add_argument("styles", nargs="*", metavar="STYLE", help=", ".join(STYLES))
    add_data_option(parser)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), help="the preset's if unset"
    )
    parser.add_argument("--num-steps", type=int, help="not the preset's")
    parser.add_argument("--start-from", metavar="MODEL", help="a network to begin with")
    parser.add_argument("--out", type=Path, default=Path("nst_jax/assets/models"))
    options = parser.parse_args()
    options.data = require_data(parser, options)
    options.styles = options.styles or list(STYLES)
    unknown = [name for name in options.styles if name not in STYLES]
    if unknown:
        parser.error(f"no style {unknown[0]!r}; choose from {', '.join(STYLES)}")
    if options.paper == "johnson2016" and len(options.styles) != 1:
        parser.error("johnson2016 trains a network of one style: name one")
    return options


def report(started: float):
    """Print a line every hundred steps."""

    def on_step(report) -> None:
        if report.step % 100 == 0:
            terms = "  ".join(f"{name} {value:.4g}" for name, value in report.terms.items())
            print(f"{time.time() - started:7.0f} s  step {report.step}  {terms}", flush=True)

    return on_step


def _describe_command(options: argparse.Namespace) -> str:
    words = ["python experiments/shipped_networks.py", options.paper, *options.styles]
    for name in ("preset", "precision", "num_steps", "start_from"):
        value = getattr(options, name)
        if value not in (None, "cpu"):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return " ".join(words)


def run(options: argparse.Namespace) -> None:
    title, paper = PAPERS[options.paper]
    alone = options.paper == "johnson2016"
    name = f"johnson2016-{options.styles[0]}" if alone else options.paper
    config = paper.PRESETS[options.preset]
    given = {name: getattr(options, name) for name in ("precision", "num_steps")}
    config = dataclasses.replace(config, **{k: v for k, v in given.items() if v is not None})
    base = None if options.start_from is None else stylizers.model_path(options.start_from)
    start = {} if base is None else {"start": stylizers.load_model(base).variables}
    start_sha256 = {} if base is None else {"start_sha256": files.sha256_of(base)}
    paths, licences = free_photographs(options.data, "content/train")
    held_out, _ = free_photographs(options.data, "content/heldout")
    encoder, encoder_params = load_encoder(config.encoder, weights=config.weights)
    paintings = {style: options.data / STYLES[style][0] for style in options.styles}
    hashes = {style: files.sha256_of(path) for style, path in paintings.items()}
    images = [files.load_image(path) for path in paintings.values()]
    stream = train.open_stream(
        paths,
        size=config.size,
        shorter_side=config.shorter_side,
        flip=config.flip,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    style_sha256 = hashes[options.styles[0]] if alone else hashes
    fixed = train.load_fixed_batch(held_out, size=SAMPLE_SIZE, count=HELD_OUT)
    trained = paper.fit(
        images[0] if alone else images,
        stream,
        config,
        encoder,
        encoder_params,
        workdir=str(options.workdir / name),
        held_out=fixed,
        samples=fixed if alone else fixed[2:4],
        data={
            "content": train.describe_pictures(paths),
            "style_sha256": style_sha256,
            **start_sha256,
        },
        on_step=report(time.time()),
        **start,
    )
    if trained.step < config.num_steps:
        print(f"stopped after step {trained.step} of {config.num_steps}; the same command goes on")
        return
    card: dict[str, Any] = {
        "paper": title,
        "command": _describe_command(options),
        "preset": options.preset,
        "config": dataclasses.asdict(config),
        "styles": {style: STYLES[style][1] for style in options.styles},
        "style_sha256": hashes,
        "content_pictures": len(paths),
        "content_licences": licences,
        "steps": trained.step,
        **({"start_from": options.start_from, **start_sha256} if base else {}),
        "seed": config.seed,
        "held_out_losses": dict(trained.held_out),
        "encoder_sha256": describe_weights(config.encoder, weights=config.weights)["arrays_sha256"],
        "device": f"{jax.devices()[0].device_kind}, {jax.device_count()} device",
        "licence": "Apache-2.0",
    }
    path = options.out / f"{name}.safetensors"
    options.out.mkdir(exist_ok=True)
    stylizers.save_model(path, trained.network, trained.variables, styles=options.styles, card=card)
    print(f"{path}: {card}")


if __name__ == "__main__":
    main()
