"""Ghiasi's transformer in PyTorch, and its instance normalisation in NumPy.

Neither imports nst_jax, so that what is answered is evidence.
"""

import numpy as np


def predicted_instance_norm(x, params, embeddings, *, eps=1e-5):
    """One picture and channel after another, in float64."""
    result = np.empty(x.shape)
    for picture in range(x.shape[0]):
        for channel in range(x.shape[-1]):
            values = x[picture, :, :, channel].astype(np.float64)
            scale, bias = (
                sum(
                    embeddings[picture, i] * params[part]["kernel"][i, channel]
                    for i in range(embeddings.shape[-1])
                )
                + params[part]["bias"][channel]
                for part in ("scale", "bias")
            )
            normalized = (values - values.mean()) / np.sqrt(values.var() + eps)
            result[picture, :, :, channel] = scale * normalized + bias
    return result


def torch_ghiasi(params, batch_stats, images, embeddings, *, train=False):
    """Stylised pictures (NHWC) of the transformer; train updates batch_stats as PyTorch does."""
    import torch
    from torch.nn import functional

    def convolve(x, name, *, side=3, stride=1):
        x = functional.pad(x, (side // 2,) * 4, mode="reflect")
        kernel = params[name]["kernel"].permute(3, 2, 0, 1)
        return functional.conv2d(x, kernel, params[name]["bias"], stride=stride)

    def steer(x, name):
        norm = params[f"{name}_norm"]
        scale, bias = (
            (embeddings @ norm[part]["kernel"] + norm[part]["bias"])[:, :, None, None]
            for part in ("scale", "bias")
        )
        return functional.instance_norm(x, eps=1e-5) * scale + bias

    x = images.permute(0, 3, 1, 2)
    for i, (side, stride) in enumerate(((9, 1), (3, 2), (3, 2)), start=1):
        x = convolve(x, f"contract{i}", side=side, stride=stride)
        norm, running = params[f"contract{i}_norm"], batch_stats[f"contract{i}_norm"]
        x = functional.batch_norm(
            x,
            running["mean"],
            running["var"],
            norm["scale"],
            norm["bias"],
            training=train,
            momentum=0.01,
            eps=1e-5,
        )
        x = torch.relu(x)
    for i in range(1, 6):
        y = torch.relu(steer(convolve(x, f"residual{i}a"), f"residual{i}a"))
        x = x + steer(convolve(y, f"residual{i}b"), f"residual{i}b")
    for name in ("expand1", "expand2"):
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = torch.relu(steer(convolve(x, name), name))
    painted = torch.sigmoid(steer(convolve(x, "output", side=9), "output"))
    return painted.permute(0, 2, 3, 1)
