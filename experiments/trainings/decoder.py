"""Train the decoder of Huang and Belongie 2017 that ships in nst_jax/assets/models.

    python -m experiments.trainings.decoder --workdir RUNS --data FOLDER

FOLDER (or NST_JAX_DATA) is as for networks.py, with style/train and style/heldout. Contents
are photographs of the tiers A and S, and as many paintings of tier A, so that the decoder learns
their colours too; styles are paintings of tier A. A run goes on from what RUNS holds; after Ctrl-C
the same command continues it.
"""

import argparse

from experiments.common import command
from experiments.common.data_folder import free_paintings, free_photographs, require_data
from experiments.huang_2017.pairs import load_pairs
from experiments.trainings.revival import revive
from experiments.trainings.shipping import (
    add_training_options,
    configure,
    describe_command,
    load_start,
    make_card,
    print_steps,
)
from nst_jax import stylizers, train
from nst_jax.encoders.weights.pretrained import describe_weights, load_encoder
from nst_jax.networks.huang import LAYER
from nst_jax.papers import huang_2017
from nst_jax.papers.huang_2017 import Pair

NAME = "huang2017"
HELD_OUT = 16  # pairs
SAMPLES = 4  # photographs, and paintings
SAMPLE_SIZE = 256  # pixels
REVIVED_BY = 32  # photographs, and as many paintings, at most


def main() -> None:
    options = parse()
    run(options)


def parse() -> argparse.Namespace:
    parser = command.make_parser(__doc__)
    add_training_options(parser)
    parser.add_argument("--schedule", help="not the preset's")
    parser.add_argument("--identity-pairs", type=int, help="not the preset's")
    parser.add_argument("--identity-weight", type=float, help="not the preset's")
    for option in ("--style-layer-weights", "--identity-layer-weights"):
        parser.add_argument(
            option,
            type=float,
            nargs=len(huang_2017.STYLE_LAYERS),
            help="of relu1_1 to relu4_1, not the preset's",
        )
    parser.add_argument(
        "--revive", action="store_true", help="begin with new weights for filters that never fire"
    )
    options = parser.parse_args()
    options.data = require_data(parser, options)
    if options.revive and options.start_from is None:
        parser.error("--revive: wanted with --start-from")
    return options


def run(options: argparse.Namespace) -> None:
    config = configure(
        huang_2017.PRESETS[options.preset],
        options,
        schedule=options.schedule,
        identity_pairs=options.identity_pairs,
        identity_weight=options.identity_weight,
        style_layers=_weigh_layers(options.style_layer_weights),
        identity_layers=_weigh_layers(options.identity_layer_weights),
        warm_start_steps=None if options.start_from is None else 0,
    )
    start, start_sha256 = load_start(options)
    photographs, photograph_licences = free_photographs(options.data, "content/train")
    paintings, painting_licences = free_paintings(options.data, "style/train")
    encoder, encoder_params = load_encoder(config.encoder, weights=config.weights)
    if options.revive:
        some = photographs[:: len(photographs) // REVIVED_BY + 1]
        some += paintings[:: len(paintings) // REVIVED_BY + 1]
        pictures = train.load_fixed_batch(some, size=config.size, count=len(some))
        network = huang_2017.make_network(config, encoder)
        features = network.encoder.apply(encoder_params, pictures, layers=(LAYER,))[LAYER]
        decoder = huang_2017.make_decoder(config)
        start["params"]["decoder"] = revive(decoder, start["params"]["decoder"], features)
    stream = train.open_pair_stream(
        Pair,
        photographs,
        paintings,
        size=config.size,
        shorter_side=config.shorter_side,
        flip=config.flip,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    trained = huang_2017.fit(
        stream,
        config,
        encoder,
        encoder_params,
        held_out=load_pairs(options.data, size=config.size, count=HELD_OUT),
        samples=load_pairs(options.data, size=SAMPLE_SIZE, count=SAMPLES),
        reporting=train.Reporting(
            workdir=options.workdir / NAME,
            data={
                "photographs": train.describe_pictures(photographs),
                "paintings": train.describe_pictures(paintings),
                **start_sha256,
            },
            on_step=print_steps(),
            save_every=options.report_every,
            report_every=options.report_every,
        ),
        start=start,
    )
    wanted = config.num_steps + config.warm_start_steps
    if trained.step < wanted:
        print(f"stopped after step {trained.step} of {wanted}; the same command goes on")
        return
    card = make_card(
        options,
        config,
        trained,
        paper="Huang and Belongie 2017",
        command=describe_command(options),
        data={
            "content": "photographs and paintings, half and half",
            "photographs": len(photographs),
            "photograph_licences": photograph_licences,
            "paintings": len(paintings),
            "painting_licences": painting_licences,
        },
        start_sha256=start_sha256,
    )
    described = describe_weights(config.encoder, weights=config.weights)
    path = options.out / f"{NAME}.safetensors"
    options.out.mkdir(exist_ok=True)
    stylizers.save_model(
        path,
        trained.network,
        trained.variables,
        styles=(),
        card=card,
        encoder={name: described[name] for name in ("weights", "arrays_sha256")},
    )
    print(f"{path}: {card}")


def _weigh_layers(weights: list[float] | None) -> tuple[tuple[str, float], ...] | None:
    if weights is None:
        return None
    return tuple(zip(huang_2017.STYLE_LAYERS, weights, strict=True))


if __name__ == "__main__":
    command.run(main)
