"""Train the networks whose weights ship in nst_jax/assets/models, and write them with their cards.

    python -m experiments.trainings.networks johnson2016 starry_night --workdir RUNS --data FOLDER
    python -m experiments.trainings.networks johnson2016 wave --workdir RUNS --data FOLDER
    python -m experiments.trainings.networks dumoulin2017 --workdir RUNS --data FOLDER

FOLDER (or NST_JAX_DATA) holds content/train, content/heldout, style/train and papers/style, and a
manifest.csv that gives every file's licence and tier. Only photographs of the tiers A (public
domain, CC0, CC BY) and S (free, share-alike) and paintings of tier A are used, so that anyone may
use the weights. A run goes on from what RUNS holds; after Ctrl-C the same command continues it.

The networks of one style that ship were trained on a GPU, with

    --batch-size 4 --size 256 --shorter-side 256 512 --style-weight 15 --num-steps 8000

besides. The preset is for a CPU: on two cores that do nothing else its steps take 0.4 to 1 s, by
the processor; where it knows no bfloat16 --precision float32 is faster.
"""

import argparse

from experiments.common import command
from experiments.common.data_folder import STYLES, free_photographs, require_data
from experiments.trainings.shipping import (
    add_training_options,
    configure,
    describe_command,
    load_start,
    make_card,
    print_steps,
)
from nst_jax import files, stylizers, train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import dumoulin_2017, johnson_2016

HELD_OUT = 8  # pictures
SAMPLE_SIZE = 256  # pixels
PAPERS = {
    "johnson2016": ("Johnson, Alahi and Fei-Fei 2016", johnson_2016),
    "dumoulin2017": ("Dumoulin, Shlens and Kudlur 2017", dumoulin_2017),
}


def main() -> None:
    options = parse()
    run(options)


def parse() -> argparse.Namespace:
    parser = command.make_parser(__doc__)
    parser.add_argument("paper", choices=sorted(PAPERS))
    parser.add_argument("styles", nargs="*", metavar="STYLE", help=", ".join(STYLES))
    add_training_options(parser)
    options = parser.parse_args()
    options.data = require_data(parser, options)
    options.styles = options.styles or list(STYLES)
    unknown = [name for name in options.styles if name not in STYLES]
    if unknown:
        parser.error(f"no style {unknown[0]!r}; choose from {', '.join(STYLES)}")
    if options.paper == "johnson2016" and len(options.styles) != 1:
        parser.error("johnson2016 trains a network of one style: name one")
    return options


def run(options: argparse.Namespace) -> None:
    title, paper = PAPERS[options.paper]
    alone = options.paper == "johnson2016"
    name = f"johnson2016-{options.styles[0]}" if alone else options.paper
    config = configure(paper.PRESETS[options.preset], options)
    start, start_sha256 = load_start(options)
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
    fixed = train.load_fixed_batch(held_out, size=SAMPLE_SIZE, count=HELD_OUT)
    trained = paper.fit(
        images[0] if alone else images,
        stream,
        config,
        encoder,
        encoder_params,
        held_out=fixed,
        samples=fixed if alone else fixed[2:4],
        reporting=train.Reporting(
            workdir=options.workdir / name,
            data={
                "content": train.describe_pictures(paths),
                "style_sha256": hashes[options.styles[0]] if alone else hashes,
                **start_sha256,
            },
            on_step=print_steps(),
            save_every=options.report_every,
            report_every=options.report_every,
        ),
        start=start,
    )
    if trained.step < config.num_steps:
        print(f"stopped after step {trained.step} of {config.num_steps}; the same command goes on")
        return
    card = make_card(
        options,
        config,
        trained,
        paper=title,
        command=describe_command(options, options.paper, *options.styles),
        data={
            "styles": {style: STYLES[style][1] for style in options.styles},
            "style_sha256": hashes,
            "content_pictures": len(paths),
            "content_licences": licences,
        },
        start_sha256=start_sha256,
    )
    path = options.out / f"{name}.safetensors"
    options.out.mkdir(exist_ok=True)
    stylizers.save_model(path, trained.network, trained.variables, styles=options.styles, card=card)
    print(f"{path}: {card}")


if __name__ == "__main__":
    command.run(main)
