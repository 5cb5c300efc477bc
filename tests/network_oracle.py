"""Made weights, and the feed-forward networks in PyTorch that these go into: shared by their tests.

The networks are those that the benchmark times. Neither they nor this import nst_jax, so that what
is answered is evidence. Here all of it is float64, and takes arrays named and laid out as the
networks' own.
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


def torch_johnson(params, images, *, output, batch_stats=None, train=False):
    """Stylised pictures (NHWC) of a Johnson network.

    train updates batch_stats, and notes beside them of how many values each is a mean.
    """
    from experiments.pytorch import networks as torch_networks

    laid_out = torch_networks.johnson_parameters(params)
    options = {"output": output, "batch_stats": batch_stats, "train": train}
    painted = torch_networks.johnson(laid_out, images.permute(0, 3, 1, 2), **options)
    return painted.permute(0, 2, 3, 1)


def torch_dumoulin(params, images, style_weights):
    """Stylised pictures (NHWC) of a Dumoulin network."""
    from experiments.pytorch import networks as torch_networks

    laid_out = torch_networks.dumoulin_parameters(params)
    painted = torch_networks.dumoulin(laid_out, images.permute(0, 3, 1, 2), style_weights)
    return painted.permute(0, 2, 3, 1)


def torch_huang(params, images, paintings):
    """Pictures (NHWC) that AdaIN's network paints, each after a painting."""
    from experiments.pytorch import networks as torch_networks

    encoder, decoder = (
        torch_networks.dumoulin_parameters(as_torch(params[part]))
        for part in ("encoder", "decoder")
    )
    images, paintings = (
        as_torch(np.asarray(pictures)).permute(0, 3, 1, 2) for pictures in (images, paintings)
    )
    style = torch_networks.huang_moments(encoder, paintings)
    return torch_networks.huang(encoder, decoder, images, style).permute(0, 2, 3, 1)
