"""The feed-forward networks written out in PyTorch, and made weights: shared by their tests.

Nothing here imports nst_jax, so that what it answers is evidence. All of it is float64, and takes
arrays named and laid out as the networks' own.
"""

import jax
import numpy as np

MEAN = (0.485, 0.456, 0.406)


def made_arrays(shapes, *, seed=0):
    """A tree of random float32 arrays: He-scaled kernels, and biases and statistics that matter."""
    rng = np.random.default_rng(seed)

    def made(path, like):
        name, shape = path[-1].key, like.shape
        values = {
            "kernel": lambda: rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1])),
            "bias": lambda: 0.2 * rng.normal(size=shape),
            "scale": lambda: rng.uniform(0.5, 1.5, shape),
            "mean": lambda: 0.2 * rng.normal(size=shape),
            "var": lambda: rng.uniform(0.5, 1.5, shape),
        }
        return values[name]().astype(np.float32)

    return jax.tree_util.tree_map_with_path(made, shapes)


def made_pictures(*shape, seed=0):
    """Noise in [0, 1] over a slope, so that no two corners are alike."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, 0.4, shape[1])[:, None, None] + np.linspace(0, 0.2, shape[2])[:, None]
    return (slope + 0.4 * rng.uniform(size=shape)).astype(np.float32)


def as_torch(tree):
    """The same tree with float64 tensors that gradients reach."""
    import torch

    return jax.tree.map(
        lambda leaf: torch.tensor(np.asarray(leaf), dtype=torch.float64, requires_grad=True), tree
    )


def _convolve(x, weights, *, pad=0, mode="constant", stride=1):
    from torch.nn import functional

    x = functional.pad(x, (pad,) * 4, mode=mode)
    kernel = weights["kernel"].permute(3, 2, 0, 1)
    return functional.conv2d(x, kernel, weights["bias"], stride=stride)


def _convolve_transposed(x, weights):
    from torch.nn import functional

    kernel = weights["kernel"].permute(2, 3, 0, 1)
    return functional.conv_transpose2d(
        x, kernel, weights["bias"], stride=2, padding=1, output_padding=1
    )


def torch_johnson(params, images, *, output, batch_stats=None, train=False):
    """Stylised pictures (NHWC) of a Johnson network.

    train updates batch_stats, and notes beside them of how many values each is a mean.
    """
    import torch
    from torch.nn import functional

    def norm(x, name):
        weights = params[f"{name}_norm"]
        affine = {"weight": weights["scale"], "bias": weights["bias"], "eps": 1e-5}
        if batch_stats is None:
            return functional.instance_norm(x, **affine)
        running = batch_stats[f"{name}_norm"]
        running["count"] = x.numel() // x.shape[1]
        return functional.batch_norm(
            x, running["mean"], running["var"], training=train, momentum=0.1, **affine
        )

    mean = torch.tensor(MEAN, dtype=torch.float64).view(1, 3, 1, 1)
    x = 255 * (images.permute(0, 3, 1, 2) - mean)
    x = functional.pad(x, (40, 40, 40, 40), mode="reflect")
    for name, pad, stride in (("contract1", 4, 1), ("contract2", 1, 2), ("contract3", 1, 2)):
        x = functional.relu(norm(_convolve(x, params[name], pad=pad, stride=stride), name))
    for block in range(1, 6):
        first, second = f"residual{block}a", f"residual{block}b"
        y = functional.relu(norm(_convolve(x, params[first]), first))
        x = x[:, :, 2:-2, 2:-2] + norm(_convolve(y, params[second]), second)
    for name in ("expand1", "expand2"):
        x = functional.relu(norm(_convolve_transposed(x, params[name]), name))
    x = torch.tanh(_convolve(x, params["output"], pad=4))
    x = (x + 1) / 2 if output == "unit" else mean + 150 / 255 * x
    return x.permute(0, 2, 3, 1)


def torch_dumoulin(params, images, style_weights):
    """Stylised pictures (NHWC) of a Dumoulin network."""
    import torch
    from torch.nn import functional

    def layer(x, name, *, side=3, stride=1):
        x = _convolve(x, params[name], pad=side // 2, mode="reflect", stride=stride)
        tables = params[f"{name}_norm"]
        scale = (style_weights @ tables["scale"])[:, :, None, None]
        bias = (style_weights @ tables["bias"])[:, :, None, None]
        return functional.instance_norm(x, eps=1e-5) * scale + bias

    x = images.permute(0, 3, 1, 2)
    x = functional.relu(layer(x, "contract1", side=9))
    x = functional.relu(layer(x, "contract2", stride=2))
    x = functional.relu(layer(x, "contract3", stride=2))
    for block in range(1, 6):
        x = x + layer(functional.relu(layer(x, f"residual{block}a")), f"residual{block}b")
    for name in ("expand1", "expand2"):
        x = functional.relu(layer(functional.interpolate(x, scale_factor=2, mode="nearest"), name))
    return torch.sigmoid(layer(x, "output", side=9)).permute(0, 2, 3, 1)
