"""A VGG written out in PyTorch, and made weights in every format: shared by the encoder's tests.

Nothing here imports nst_jax, so that what it answers is evidence.
"""

import numpy as np

DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def convolutions(architecture):
    """Names of the convolutions in order: conv1_1, conv1_2, conv2_1, ..."""
    return [
        f"conv{block}_{index}"
        for block, depth in enumerate(DEPTHS[architecture], start=1)
        for index in range(1, depth + 1)
    ]


def random_arrays(architecture, *, deepest="conv5_4", seed=0, scale=1.0):
    """He-scaled float32 kernels (height, width, in, out), and biases that matter."""
    rng = np.random.default_rng(seed)
    arrays, channels_in = {}, 3
    for name in convolutions(architecture):
        if name > deepest:
            break
        channels_out = CHANNELS[int(name[4]) - 1]
        kernel = rng.standard_normal((3, 3, channels_in, channels_out), np.float32)
        kernel *= np.float32(np.sqrt(2 / (9 * channels_in)) * (scale if channels_in == 3 else 1))
        bias = np.float32(0.05) + np.float32(0.1) * rng.standard_normal(channels_out, np.float32)
        arrays[name] = {"kernel": kernel, "bias": bias}
        channels_in = channels_out
    return arrays


def relative_error(ours, theirs):
    """Largest difference over the largest value."""
    return np.abs(np.asarray(ours) - np.asarray(theirs)).max() / np.abs(theirs).max()


def write_keras(path, arrays, *, later=False):
    """Write a .h5 file laid out as Keras' ..._tf_kernels_notop.h5, in its first or later naming."""
    import h5py

    pattern = "model_weights/{0}/{0}/{1}:0" if later else "{0}/{0}_{2}_1:0"
    with h5py.File(path, "w") as file:
        file.create_group("block1_pool")
        for name, kinds in arrays.items():
            layer = f"block{name[4]}_conv{name[6]}"
            file[pattern.format(layer, "kernel", "W")] = kinds["kernel"]
            file[pattern.format(layer, "bias", "b")] = kinds["bias"]


def torch_state(arrays, layout):
    """The state dictionary that torchvision, Gatys or AdaIN would hold for these arrays."""
    import torch

    names = list(arrays)
    depths = [sum(name[4] == str(block) for name in names) for block in range(1, 6)]
    features, sequence, at, place = {}, {}, 0, 1
    for block, depth in enumerate(depths, start=1):
        for index in range(1, depth + 1):
            features[f"conv{block}_{index}"] = f"features.{at}"  # convolution, ReLU
            sequence[f"conv{block}_{index}"] = str(place + 1)  # padding, convolution, ReLU
            at, place = at + 2, place + 3
        at, place = at + 1, place + 1  # the pooling
    prefixes = {"torchvision": features, "adain": sequence, "gatys": {n: n for n in names}}[layout]
    state = {}
    if layout == "adain":
        state["0.weight"] = 255 * torch.eye(3).flip(0)[:, :, None, None]
        state["0.bias"] = -torch.tensor([103.939, 116.779, 123.68])
    for name, kinds in arrays.items():
        kernel = torch.from_numpy(kinds["kernel"]).permute(3, 2, 0, 1).contiguous()
        state[f"{prefixes[name]}.weight"] = kernel
        state[f"{prefixes[name]}.bias"] = torch.from_numpy(kinds["bias"])
    if layout == "torchvision":
        state["classifier.0.weight"] = torch.zeros(4, 4)  # the dense layers, which nobody wants
        state["classifier.0.bias"] = torch.zeros(4)
    return state


def torch_features(arrays, images, layers, *, caffe, pooling="max", reflect=False, ceil=False):
    """What PyTorch answers, in float64, for RGB images in [0, 1] laid out NHWC."""
    import torch
    from torch.nn import functional

    x = torch.from_numpy(np.array(images, np.float64)).permute(0, 3, 1, 2)
    if caffe:
        mean = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64).view(1, 3, 1, 1)
        x = 255 * x[:, [2, 1, 0]] - mean
    else:
        mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)
        x = (x - mean) / std
    pool = {"max": functional.max_pool2d, "average": functional.avg_pool2d}[pooling]
    answers, block = {}, "1"
    for name, kinds in arrays.items():
        if name[4] != block:
            x, block = pool(x, 2, 2, ceil_mode=ceil), name[4]
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect" if reflect else "constant")
        kernel = torch.from_numpy(np.array(kinds["kernel"], np.float64)).permute(3, 2, 0, 1)
        x = functional.conv2d(x, kernel, torch.from_numpy(np.array(kinds["bias"], np.float64)))
        answers[name] = x
        x = answers[name.replace("conv", "relu")] = functional.relu(x)
    return {name: answers[name].permute(0, 2, 3, 1).numpy() for name in layers}
