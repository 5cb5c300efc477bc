"""Made pictures in folders as experiments want them, and made networks: shared by their tests."""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from network_oracle import made_arrays, made_pictures

from nst_jax import files, stylizers
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.johnson import JohnsonNetwork

TIERS = {
    "content/heldout/a_hill.jpg": "A free",
    "content/heldout/b_lake.jpg": "B research-only",
    "content/heldout/c_tree.jpg": "A free",
    "content/train/d_road.jpg": "S share-alike",
    "papers/content/tubingen.jpg": "C do not redistribute",
    "papers/content/somebody.jpg": "C do not redistribute",
    "papers/style/strokes.jpg": "A free",
    "style/train/waves.jpg": "A free",
}


def write_data(folder: Path, tiers: Mapping[str, str]) -> Path:
    """Made pictures by file, and a manifest of them."""
    for number, file in enumerate(tiers):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        files.save_image(folder / file, jnp.asarray(made_pictures(1, 56, 64, 3, seed=number)))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "source", "author_title", "licence", "tier", "width", "height"))
        for file, tier in tiers.items():
            writer.writerow((file, "", f"who made {file}", f"licence {tier[0]}", tier, 64, 56))
    return folder


class PlainDistances:
    """In place of the distances by VGG-16: of pixels, and of how much colours vary."""

    def lpips(self, first: Any, second: Any) -> float:
        return float(np.abs(np.asarray(first) - np.asarray(second)).mean())

    def style_distance(self, first: Any, second: Any) -> float:
        spreads = (np.asarray(picture).std((0, 1, 2)) for picture in (first, second))
        return float(np.abs(np.subtract(*spreads)).sum())


def save_models(folder: Path) -> SimpleNamespace:
    """A network of the style strokes, and one of strokes, waves and dots."""
    johnson = JohnsonNetwork(width=2, normalization="instance", output="vgg")
    images = jax.ShapeDtypeStruct((1, 48, 48, 3), jnp.float32)
    variables = made_arrays(jax.eval_shape(johnson.init, jax.random.key(0), images))
    variables["params"]["contract1"]["kernel"] /= 100  # of numbers up to 255
    variables["params"]["output"]["kernel"] *= 0.3
    one, many = folder / "one.safetensors", folder / "many.safetensors"
    card = {"preset": "smoke", "config": {"style_weight": 3.0, "style_layers": [["relu2_2", 2.0]]}}
    stylizers.save_model(one, johnson, variables, styles=["strokes"], card=card)
    dumoulin = DumoulinNetwork(num_styles=3, width=2)
    weights = jax.ShapeDtypeStruct((1, 3), jnp.float32)
    variables = made_arrays(jax.eval_shape(dumoulin.init, jax.random.key(0), images, weights))
    names = ["strokes", "waves", "dots"]
    stylizers.save_model(many, dumoulin, variables, styles=names, card={"preset": "smoke"})
    return SimpleNamespace(one=one, many=many)
