"""Compare the final losses of every preset of Gatys et al. 2016 with those that PyTorch reaches.

    python -m experiments.gatys_2016.parity --data FOLDER [--presets NAME ...] [--size 256]

Runs each preset with our L-BFGS and with torch.optim.LBFGS on the Neckarfront in Tübingen and The
Starry Night (papers/content/tubingen.jpg and papers/style/starry_night.jpg in the data folder) or
on two pictures given by --content and --style. VGG-16 stands in for VGG-19, whose weights no
package carries: the preset `paper` gets the normalised one, and the presets for Caffe's network
have their weights multiplied to undo the difference in scale. Losses must agree within 5 per cent;
single pixels need not, since the two paths part after some tens of steps by rounding alone.
Compared are the losses before clipping to [0, 1], which is what is optimised. Writes both pictures
and record.json to --out, and does not repeat what the record already holds. About
seven minutes a preset on two CPU cores, of which PyTorch takes half. Needs PyTorch 2.13.
"""

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from experiments.common import command
from nst_jax.array_types import Image
from nst_jax.encoders.preprocessing import CAFFE, TORCHVISION, input_gain
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.files import load_image, read_record, save_image, write_record
from nst_jax.ops.resizing import resize_longer_side
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import PRESETS, Config

try:
    import torch

    from experiments.pytorch import gatys as torch_gatys
    from experiments.pytorch import side_by_side
except ImportError as error:
    sys.exit(f"error: {error}; for this comparison run: pip install torch==2.13.0")

NAMES = ("default", "paper", "authors", "johnson_neural_style")
CONTENT, STYLE = "papers/content/tubingen.jpg", "papers/style/starry_night.jpg"


def preset_on_vgg16(name: str, *, size: int, num_steps: int) -> Config:
    """A preset at one size, on the encoder that is always at hand."""
    preset = PRESETS[name]
    normalized = preset.weights is not None and preset.weights.endswith("normalized")
    # Weights for Caffe's large activations would leave nothing but total variation to minimise.
    gain = 1.0
    if preset.weights is not None and not normalized:
        gain = input_gain(CAFFE) / input_gain(TORCHVISION)
    return dataclasses.replace(
        preset,
        content_weight=preset.content_weight * gain**2,
        style_weight=preset.style_weight * gain**4,
        encoder="vgg16",
        weights="vgg16-normalized" if normalized else "vgg16-lpips",
        size=size,
        num_steps=num_steps,
        scales=((1.0, 1.0),),
    )


def run_torch(config: Config, content: Image, style: Image, initial: Image) -> dict[str, Any]:
    """Optimise with torch.optim.LBFGS, in one step() call as the published recipes do."""
    encoder, params = load_encoder("vgg16", weights=config.weights)
    vgg = torch_gatys.TorchVGG(params["params"], encoder.preprocessing, pooling=config.pooling)
    objective = torch_gatys.make_objective(config, vgg, content, style)
    image = torch_gatys.to_torch(initial, vgg).requires_grad_(True)
    lbfgs = torch.optim.LBFGS(
        [image],
        history_size=config.history,
        max_iter=config.num_steps,
        max_eval=2 * config.num_steps,
        tolerance_grad=-1,
        tolerance_change=-1,
    )

    def closure() -> float:
        lbfgs.zero_grad()
        total, _ = objective(image)
        total.backward()
        return float(total.detach())

    lbfgs.step(closure)
    with torch.no_grad():
        reached, _ = objective(image)
        clipped, _ = objective(image.clamp(0, 1))
    return {
        "total": float(reached),
        "clipped_total": float(clipped),
        "image": torch_gatys.to_numpy(image.clamp(0, 1)),
    }


def compare(name: str, config: Config, content: Image, style: Image, out: Path) -> dict[str, Any]:
    """Run both sides and save their pictures."""
    # PyTorch's side has no resizing of its own: both get pictures that have their final sizes.
    content, style = _fit(content, config.size), _fit(style, config.size)
    encoder, params = load_encoder("vgg16", weights=config.weights)
    image, record = gatys_2016.stylize(content, style, config, encoder, params)
    save_image(out / f"{name}_ours.jpg", image)
    ours = {
        "initial_total": record["info"]["initial"]["total"],
        "total": record["info"]["before_clipping"]["total"],
        "clipped_total": record["steps"][-1]["total"],
        "seconds": record["seconds"]["run"],
    }
    height, width = content.shape[1:3]
    initial = gatys_2016.initial_picture(config, content, style, height=height, width=width)
    began = time.perf_counter()
    theirs = run_torch(config, content, style, initial)
    theirs["seconds"] = time.perf_counter() - began
    save_image(out / f"{name}_torch.jpg", jnp.asarray(theirs.pop("image")))
    return {
        **side_by_side.describe_run(),
        "config": _as_json(config),
        "ours": ours,
        "torch": theirs,
        "ratio": ours["total"] / theirs["total"],
    }


def _fit(image: Image, size: int | None) -> Image:
    assert size is not None  # preset_on_vgg16 gives one
    return resize_longer_side(image, size)


def _as_json(config: Config) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def print_table(rows: dict[str, Any]) -> None:
    """Print the final losses, before clipping, and their ratio."""
    table = Table("preset", "first loss", "ours", "PyTorch", "ratio")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['ours']['initial_total']:.4g}",
            f"{row['ours']['total']:.4g}",
            f"{row['torch']['total']:.4g}",
            f"{row['ratio']:.3f}",
        )
    Console().print(table)


def main() -> None:
    """Compare the presets that were asked for and write what came out."""
    parser = command.make_parser(__doc__)
    parser.add_argument("--presets", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--num-steps", type=int, default=500)
    parser.add_argument("--data", type=Path, default=os.environ.get("NST_JAX_DATA") or None)
    parser.add_argument("--content", type=Path)
    parser.add_argument("--style", type=Path)
    command.add_out_option(parser, "results/gatys_2016/parity")
    options = command.parse(parser)
    if options.data is None and None in (options.content, options.style):
        parser.error("name the data folder by --data or NST_JAX_DATA, or give --content --style")
    data = Path(options.data or "")
    content = load_image(options.content or data / CONTENT, size=options.size)
    style = load_image(options.style or data / STYLE, size=options.size)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "record.json"
    rows = read_record(file)["rows"] if file.exists() else {}
    for name in options.presets:
        config = preset_on_vgg16(name, size=options.size, num_steps=options.num_steps)
        if rows.get(name, {}).get("config") != _as_json(config):
            rows[name] = compare(name, config, content, style, options.out)
            write_record(file, {"rows": rows})
        print(f"{name}: ratio {rows[name]['ratio']:.3f}", flush=True)
    print_table(rows)


if __name__ == "__main__":
    main()
