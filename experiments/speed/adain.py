"""How fast AdaIN's network paints, here and in PyTorch, and beside optimising pixels.

    python -m experiments.speed.adain [--sizes 256 512] [--repeats 7]

Huang and Belongie 2017, table 1: one picture of `size` squared after a painting of that size, with
the painting's moments at hand, and with its encoding, as in that table's parentheses. The network
is the one of the preset `cpu`, a VGG-16 and its mirror, with first weights, on which no time
depends. Methods as in networks.py: turns of one work of each side, medians of the ratio to
PyTorch's float32 in its faster memory format, compilation apart; and in each turn one L-BFGS step
on networks.py's objective, of which 500 are what optimisation takes. Meant are ratios
of at most 0.9 in float32 and 0.6 in bfloat16. PyTorch 2.13 must be installed. Results:
results/adain_benchmark/record.json. A few minutes on two CPU cores; let nothing else run.
"""

import statistics
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from experiments.common import command
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.files import write_record
from nst_jax.networks.huang import HuangNetwork, encoder_params_up_to_layer
from nst_jax.papers import huang_2017
from nst_jax.runs.compile_time import compile_seconds

try:
    import torch

    from experiments.common.turns import Work, compare, interleave
    from experiments.pytorch import networks as torch_networks
    from experiments.pytorch import side_by_side
    from experiments.pytorch.side_by_side import FORMATS, RIVALS
    from experiments.speed.networks import LBFGS, LBFGS_STEPS, PRECISIONS, lbfgs_work
except ImportError as error:
    sys.exit(f"error: {error}; for this comparison run: pip install torch==2.13.0")

PICTURES = ["content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"]
ROWS = {"style at hand": False, "with the style's encoding": True}


def painting_works(size: int, *, encode: bool) -> dict[str, Work]:
    """Every side's way to paint one picture; PyTorch's answers are NCHW."""
    config = huang_2017.PRESETS["cpu"]
    encoder, encoder_params = load_encoder(config.encoder)
    network = huang_2017.make_network(config, encoder)
    decoder = huang_2017.make_decoder(config)
    first = jax.jit(decoder.init)(jax.random.key(0), jnp.zeros((1, 2, 2, 512)))["params"]
    params = {"encoder": encoder_params_up_to_layer(encoder_params)["params"], "decoder": first}
    content, style = side_by_side.load_squares(PICTURES, size)
    ours = {
        side: _ours(network.clone(precision=precision), {"params": params}, content, style, encode)
        for side, precision in PRECISIONS.items()
    }
    theirs = {side: _theirs(side, params, content, style, encode) for side in RIVALS}
    return {**ours, **theirs}


def _ours(network: HuangNetwork, variables: Any, content: Any, style: Any, encode: bool) -> Work:
    network = network.clone(encoder=network.encoder.clone(precision=network.precision))
    moments = jax.jit(lambda variables, style: _moments(network, variables, style))
    paint = jax.jit(network.apply)
    known, alpha = moments(variables, style), jnp.ones((1, 1))

    def work() -> Any:
        found = moments(variables, style) if encode else known
        return jax.block_until_ready(paint(variables, content, *found, alpha))

    return work


def _moments(network: HuangNetwork, variables: Any, style: Any) -> tuple[Any, ...]:
    found = network.apply(variables, style, method="style_moments")
    return tuple(values[:, None] for values in found)


def _theirs(side: str, params: Mapping[str, Any], content: Any, style: Any, encode: bool) -> Work:
    memory_format = FORMATS.get(side, torch.channels_last)
    encoder, decoder = (
        torch_networks.dumoulin_parameters(
            torch_networks.to_tensors(params[part], dtype=torch.float32),
            memory_format=memory_format,
        )
        for part in ("encoder", "decoder")
    )
    content, style = (
        torch.tensor(jax.device_get(image))
        .permute(0, 3, 1, 2)
        .contiguous(memory_format=memory_format)
        for image in (content, style)
    )
    known = torch_networks.huang_moments(encoder, style)

    def work() -> Any:
        with torch.inference_mode(), side_by_side.autocast(side):
            found = torch_networks.huang_moments(encoder, style) if encode else known
            return torch_networks.huang(encoder, decoder, content, found)

    return side_by_side.until_done(work)


def measure(size: int, *, encode: bool, lbfgs: Work, repeats: int) -> dict[str, Any]:
    """One row of the table."""
    with compile_seconds() as compiling:
        works = painting_works(size, encode=encode)
        for side in PRECISIONS:
            works[side]()
        compiled = compiling()
    seconds = interleave({**works, LBFGS: lbfgs}, repeats=repeats)
    steps = seconds.pop(LBFGS)
    best = side_by_side.find_best(seconds)
    pairs = zip(steps, seconds["ours"], strict=True)
    return {
        "compile_seconds": compiled,
        "best": best,
        "sides": compare(seconds, best),
        "lbfgs": {
            "seconds_a_step": statistics.median(steps),
            "steps": LBFGS_STEPS,
            "times_as_long_as_painting": statistics.median(
                LBFGS_STEPS * step / paint for step, paint in pairs
            ),
        },
    }


def main() -> None:
    """Measure, print and write the record."""
    parser = command.make_parser(__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--repeats", type=int, default=7)
    command.add_out_option(parser, "results/adain_benchmark")
    options = command.parse(parser)
    sides = (*PRECISIONS, *RIVALS)
    table = Table("row", *sides, f"{LBFGS_STEPS} L-BFGS steps", title="seconds (ratio)")
    rows = {}
    for size in options.sizes:
        lbfgs = lbfgs_work(size)
        lbfgs()  # compiles, and fills the history
        for row, encode in ROWS.items():
            found = measure(size, encode=encode, lbfgs=lbfgs, repeats=options.repeats)
            rows[f"{size}, {row}"] = found
            cells = (found["sides"][side] for side in sides)
            times = found["lbfgs"]["times_as_long_as_painting"]
            table.add_row(
                f"{size}, {row}",
                *(f"{cell['seconds']:.3f} ({cell['ratio']:.2f})" for cell in cells),
                f"{times:.0f} times",
            )
    options.out.mkdir(parents=True, exist_ok=True)
    write_record(options.out / "record.json", {**side_by_side.describe_run(), "rows": rows})
    Console(width=max(132, Console().width)).print(table)


if __name__ == "__main__":
    main()
