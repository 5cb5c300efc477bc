"""How fast and how large one step of Gatys et al. 2016 is, here and in PyTorch, in one run.

    python -m experiments.speed.gatys [--sizes 256 512 1024] [--repeats 7] [--out results/benchmark]

The same VGG-16 weights, pictures, loss (the preset `default`) and threads on both sides. Timings
are interleaved, ours and PyTorch's in turn, and the ratio is the median over the turns; PyTorch's
float32 runs in both memory formats and the faster one is the denominator. Compilation is apart.
Memory is the rise of a fresh process's peak resident size over what it held before one value and
gradient (on a CPU, under Linux). PyTorch 2.13 must be installed; nst_jax itself does not need it.
On two CPU cores the three sizes take about ten minutes; let nothing else run.
"""

import argparse
import ctypes
import dataclasses
import gc
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from experiments.common import command
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.files import write_record
from nst_jax.losses import perceptual
from nst_jax.papers.gatys_2016 import PRESETS
from nst_jax.pixels import blockwise
from nst_jax.runs.compile_time import compile_seconds

try:
    import torch

    from experiments.common.turns import Work, compare, interleave
    from experiments.pytorch import gatys as torch_gatys
    from experiments.pytorch import side_by_side
    from experiments.pytorch.side_by_side import FORMATS, RIVALS
except ImportError as error:
    sys.exit(f"error: {error}; for this comparison run: pip install torch==2.13.0")

CONFIG = dataclasses.replace(PRESETS["default"], tv_weight=0.0)
HISTORY = CONFIG.history
OURS = ("ours", "ours bfloat16", "ours remat")
PICTURES = ["content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"]


def _ours(side: str, size: int) -> tuple[Work, Work]:
    """A value and gradient, and an L-BFGS step with its whole history."""
    encoder, params = load_encoder(
        "vgg16", precision="bfloat16" if side == "ours bfloat16" else "float32"
    )
    weights = perceptual.Weights(
        perceptual.weigh_layers(CONFIG.content_layers, CONFIG.content_weight),
        perceptual.weigh_layers(CONFIG.style_layers, CONFIG.style_weight),
    )
    content, style = side_by_side.load_squares(PICTURES, size)
    targets = perceptual.compute_targets(
        encoder, params, content, [style], weights=weights, style_blend=(1.0,)
    )
    if side == "ours remat":
        in_turn = blockwise.make_value_and_gradient(encoder)

        def evaluate(image, targets, params):
            return in_turn(image, targets, params, weights)
    else:
        objective = partial(perceptual.objective, encoder, weights=weights)
        evaluate = jax.jit(jax.value_and_grad(objective, has_aux=True))
    step = side_by_side.make_lbfgs_step(evaluate, content, targets, params, history=HISTORY)
    return lambda: jax.block_until_ready(evaluate(content, targets, params)), step


def _theirs(side: str, size: int) -> tuple[Work, Work]:
    encoder, params = load_encoder("vgg16")
    vgg = torch_gatys.TorchVGG(
        params["params"],
        encoder.preprocessing,
        pooling="max",
        memory_format=FORMATS.get(side, torch.channels_last),
    )
    content, style = side_by_side.load_squares(PICTURES, size)
    objective = torch_gatys.make_objective(CONFIG, vgg, content, style)
    # The leaf stays contiguous, since torch's L-BFGS views its gradient as a vector.
    image = torch_gatys.to_torch(content, vgg).contiguous().requires_grad_(True)
    memory_format = FORMATS.get(side, torch.channels_last)

    def evaluate() -> Any:
        image.grad = None
        with side_by_side.autocast(side):
            total, _ = objective(image.contiguous(memory_format=memory_format))
        total.backward()
        return total

    lbfgs = torch.optim.LBFGS(
        [image],
        max_iter=1,  # one evaluation and one update a step, as ours
        history_size=HISTORY,
        tolerance_grad=-1,
        tolerance_change=-1,
    )

    def cheap() -> Any:
        image.grad = (torch.linspace(1, 2, image.numel()).view_as(image) * image).detach()
        return image.grad.sum()

    begun = False

    def step() -> Any:
        nonlocal begun
        if not begun:
            begun = True
            for _ in range(HISTORY + 1):
                lbfgs.step(cheap)
        return lbfgs.step(evaluate)

    return side_by_side.until_done(evaluate), side_by_side.until_done(step)


def _sides(size: int) -> dict[str, tuple[Work, Work]]:
    ours = {side: _ours(side, size) for side in OURS}
    return {**ours, **{side: _theirs(side, size) for side in RIVALS}}


def time_size(size: int, repeats: int) -> dict[str, Any]:
    """Time every side at one size."""
    with compile_seconds() as compiling:
        sides = _sides(size)
        gradients = {side: evaluate for side, (evaluate, _) in sides.items()}
        gradient = interleave(gradients, repeats=repeats)
        compiled = compiling()
        # PyTorch's slower format and its bfloat16 take part in the first comparison only.
        best = side_by_side.find_best(gradient)
        steps = {side: sides[side][1] for side in (*OURS, best)}
        step = interleave(steps, repeats=repeats)
    return {
        "size": size,
        "compile_seconds_of_three_programs": compiled,
        "best": best,
        "value_and_gradient": compare(gradient, best),
        "lbfgs_step": compare(step, best),
    }


def _memory_of(side: str, size: int) -> None:
    """Print the MiB by which one value and gradient raises this process's peak."""
    evaluate, _ = _ours(side, size) if side in OURS else _theirs(side, size)
    # Compiling, thread pools and libraries need memory too, and are not the picture's.
    evaluate()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    evaluate()
    print(_status("VmHWM") - before)


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def measure_memory(size: int) -> dict[str, float]:
    """MiB of each side, each in a process of its own."""
    found = {}
    for side in (*OURS, *FORMATS):
        words = ["-m", "experiments.speed.gatys", "--memory-of", side, "--sizes", str(size)]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
        found[side] = float(done.stdout.split()[-1])
    return found


def print_tables(rows: list[dict[str, Any]]) -> None:
    """Print what was measured, a table a quantity; ratios are to PyTorch float32 at its best."""
    console = Console()
    sides = (*OURS, *RIVALS)
    for title, key in (
        ("value and gradient", "value_and_gradient"),
        (f"L-BFGS step, {HISTORY} pairs", "lbfgs_step"),
    ):
        table = Table("size", *sides, title=f"{title}: seconds (ratio)")
        for row in rows:
            cells = (row[key].get(side) for side in sides)
            table.add_row(
                str(row["size"]),
                *(f"{c['seconds']:.3f} ({c['ratio']:.2f})" if c else "-" for c in cells),
            )
        console.print(table)
    table = Table("size", *OURS, *FORMATS, "ours a megapixel", title="peak memory: MiB (ratio)")
    for row in rows:
        memory = row.get("mebibytes")
        if memory:
            least = min(memory[side] for side in FORMATS)
            cells = (f"{memory[side]:.0f} ({memory[side] / least:.2f})" for side in memory)
            megapixels = row["size"] ** 2 / 1e6
            table.add_row(str(row["size"]), *cells, f"{memory['ours'] / megapixels:.0f}")
    console.print(table)


def main() -> None:
    """Measure, print and write the record."""
    parser = command.make_parser(__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512, 1024])
    parser.add_argument("--repeats", type=int, default=7)
    command.add_out_option(parser, "results/benchmark")
    parser.add_argument("--memory-of", choices=(*OURS, *FORMATS), help=argparse.SUPPRESS)
    options = command.parse(parser)
    if options.memory_of:
        _memory_of(options.memory_of, options.sizes[0])
        return
    rows = []
    for size in options.sizes:
        # A resident size says nothing of an accelerator's memory.
        resident = sys.platform == "linux" and jax.default_backend() == "cpu"
        memory = measure_memory(size) if resident else None
        rows.append({**time_size(size, options.repeats), "mebibytes": memory})
        print(f"{size} x {size} measured", flush=True)
    print_tables(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    write_record(options.out / "record.json", {**side_by_side.describe_run(), "rows": rows})
    print(f"wrote {options.out / 'record.json'}")


if __name__ == "__main__":
    main()
