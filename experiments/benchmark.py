"""How fast and how large one step of Gatys et al. 2016 is, here and in PyTorch, in one run.

    python experiments/benchmark.py [--sizes 256 512 1024] [--repeats 7] [--out results/benchmark]

The same VGG-16 weights, pictures, loss (the preset `default`) and threads on both sides. Timings
are interleaved, ours and PyTorch's in turn, and the ratio is the median over the turns; PyTorch's
float32 runs in both memory formats and the faster one is the denominator. Compilation is apart.
Memory is the rise of a fresh process's peak resident size over what it held before one value and
gradient (Linux only). PyTorch 2.13 must be installed; nst_jax itself does not need it. On two CPU
cores the three sizes take about ten minutes; let nothing else run.
"""

import argparse
import ctypes
import dataclasses
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from nst_jax import optimize, perceptual
from nst_jax.encoders.pretrained import load_encoder
from nst_jax.files import asset_path, load_image, write_record
from nst_jax.image_ops import resize
from nst_jax.papers.gatys_2016 import PRESETS

try:
    import torch
    import torch_gatys
except ImportError as error:
    sys.exit(f"error: {error}; for this comparison run: pip install torch==2.13.0")

CONFIG = dataclasses.replace(PRESETS["default"], tv_weight=0.0)
HISTORY = CONFIG.history
OURS = ("ours", "ours bfloat16", "ours remat")
FORMATS = {"torch": torch.contiguous_format, "torch channels_last": torch.channels_last}
BFLOAT16 = "torch bfloat16"  # for information: autocast rounds activations too

Work = Callable[[], Any]


def _pictures(size: int) -> list[Any]:
    names = "content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"
    return [resize(load_image(asset_path(name)), height=size, width=size) for name in names]


def _ours(side: str, size: int) -> tuple[Work, Work]:
    """A value and gradient, and an L-BFGS step with its whole history."""
    encoder, params = load_encoder(
        "vgg16", precision="bfloat16" if side == "ours bfloat16" else "float32"
    )
    weights = perceptual.Weights(
        tuple((layer, CONFIG.content_weight * w) for layer, w in CONFIG.content_layers),
        tuple((layer, CONFIG.style_weight * w) for layer, w in CONFIG.style_layers),
    )
    content, style = _pictures(size)
    targets = perceptual.compute_targets(
        encoder, params, content, [style], weights=weights, style_blend=(1.0,)
    )
    if side == "ours remat":
        evaluate = perceptual.make_blockwise_value_and_gradient(encoder, weights=weights)
    else:
        objective = perceptual.make_objective(encoder, weights=weights)
        evaluate = jax.jit(jax.value_and_grad(objective, has_aux=True))
    tx = optimize.make_transformation("lbfgs", learning_rate=1.0, history=HISTORY)
    objectives = [_cheap] * (HISTORY + 2)

    def evaluate_in_turn(image, *args):
        return (objectives.pop() if objectives else evaluate)(image, *args)

    optimizer = optimize.make_optimizer(evaluate_in_turn, tx)
    state = None

    def step() -> Any:
        nonlocal state
        if state is None:
            state, _ = optimizer.init(jnp.copy(content), targets, params)
            while objectives:
                state, _ = optimizer.step(state, targets, params)
        state, metrics = optimizer.step(state, targets, params)
        return jax.block_until_ready(metrics)

    return lambda: jax.block_until_ready(evaluate(content, targets, params)), step


@jax.jit
def _cheap(image, *args):
    """A curved loss without a network, to fill the history of L-BFGS in no time."""
    del args
    curvatures = jnp.linspace(1.0, 2.0, image.size).reshape(image.shape)
    terms = dict.fromkeys(("content", "style", "tv"), jnp.zeros(()))
    return ((curvatures * image**2).sum() / 2, terms), curvatures * image


def _theirs(side: str, size: int) -> tuple[Work, Work]:
    encoder, params = load_encoder("vgg16")
    vgg = torch_gatys.TorchVGG(
        params["params"],
        encoder.preprocessing,
        pooling="max",
        memory_format=FORMATS.get(side, torch.channels_last),
    )
    content, style = _pictures(size)
    objective = torch_gatys.make_objective(CONFIG, vgg, content, style)
    # The leaf stays contiguous, since torch's L-BFGS views its gradient as a vector.
    image = torch_gatys.to_torch(content, vgg).contiguous().requires_grad_(True)
    memory_format = FORMATS.get(side, torch.channels_last)

    def evaluate() -> Any:
        image.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=side == BFLOAT16):
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

    return evaluate, step


def _sides(size: int) -> dict[str, tuple[Work, Work]]:
    ours = {side: _ours(side, size) for side in OURS}
    return {**ours, **{side: _theirs(side, size) for side in (*FORMATS, BFLOAT16)}}


def _interleave(works: Mapping[str, Work], *, repeats: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {side: [] for side in works}
    for turn in range(1 + repeats):
        for side, work in works.items():
            began = time.perf_counter()
            work()
            if turn > 0:  # the first compiles, or fills a history
                seconds[side].append(time.perf_counter() - began)
    return seconds


def _compare(seconds: Mapping[str, list[float]], best: str) -> dict[str, dict[str, float]]:
    """Medians, and the median over turns of the ratio to PyTorch's better memory format."""
    return {
        side: {
            "seconds": statistics.median(values),
            "ratio": statistics.median(
                mine / other for mine, other in zip(values, seconds[best], strict=True)
            ),
        }
        for side, values in seconds.items()
    }


def time_size(size: int, repeats: int) -> dict[str, Any]:
    """Time every side at one size."""
    with optimize.compile_seconds() as compiling:
        sides = _sides(size)
        gradients = {side: evaluate for side, (evaluate, _) in sides.items()}
        gradient = _interleave(gradients, repeats=repeats)
        compiled = compiling()
        # PyTorch's slower format and its bfloat16 take part in the first comparison only.
        medians = {side: statistics.median(gradient[side]) for side in FORMATS}
        best = min(medians, key=lambda side: medians[side])
        steps = {side: sides[side][1] for side in (*OURS, best)}
        step = _interleave(steps, repeats=repeats)
    return {
        "size": size,
        "compile_seconds_of_three_programs": compiled,
        "best": best,
        "value_and_gradient": _compare(gradient, best),
        "lbfgs_step": _compare(step, best),
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
        command = [sys.executable, __file__, "--memory-of", side, "--sizes", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[side] = float(done.stdout.split()[-1])
    return found


def print_tables(rows: list[dict[str, Any]]) -> None:
    """Print what was measured, a table a quantity; ratios are to PyTorch float32 at its best."""
    console = Console()
    sides = (*OURS, *FORMATS, BFLOAT16)
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
    parser = argparse.ArgumentParser(description="Compare speed and memory with PyTorch.")
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512, 1024])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("results/benchmark"))
    parser.add_argument("--memory-of", choices=(*OURS, *FORMATS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        _memory_of(options.memory_of, options.sizes[0])
        return
    rows = []
    for size in options.sizes:
        memory = measure_memory(size) if sys.platform == "linux" else None
        rows.append({**time_size(size, options.repeats), "mebibytes": memory})
        print(f"{size} x {size} measured", flush=True)
    print_tables(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    packages = ("nst_jax", "jax", "jaxlib", "torch")
    record = {
        "command": f"python experiments/benchmark.py --sizes {' '.join(map(str, options.sizes))} "
        f"--repeats {options.repeats}",
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "system": platform.system(),
        },
        "versions": {name: version(name) for name in packages},
        "rows": rows,
    }
    write_record(options.out / "record.json", record)
    print(f"wrote {options.out / 'record.json'}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "")


if __name__ == "__main__":
    main()
