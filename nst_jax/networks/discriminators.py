"""Discriminators, which say of each patch whether it is from a real picture or was made.

Each answers maps of logits, one number for each patch that it sees, and nothing about a picture as
a whole: what is learnt is texture. They differ in what a patch is:

| network | a patch is | after |
|---|---|---|
| PatchDiscriminator | 70 x 70 pixels, or fewer | Isola et al. 2017; Zhu et al. 2017 |
| MultiscaleDiscriminator | pixels, at full, half and quarter size | Chen et al. 2021 |
| MarkovianDiscriminator | 8 x 8 positions of an encoder's layer | Li and Wand 2016 |
| DeepMarkovianDiscriminator | 10 x 10 positions of an encoder's layer | the same |

`network.apply(variables, pictures)` answers a tuple of maps, (batch, height, width, 1). Variables
are {"params": ...}, and {"spectral": ...} too where normalization is "spectral":
`network.apply(variables, pictures, mutable=["spectral"])` moves those.

- Isola, Zhu, Zhou, Efros: Image-to-Image Translation with Conditional Adversarial Networks.
- Zhu, Park, Isola, Efros: Unpaired Image-to-Image Translation (CycleGAN).
- Chen et al.: Artistic Style Transfer with Internal-external Learning and Contrastive Learning.
- Miyato, Kataoka, Koyama, Yoshida: Spectral Normalization for Generative Adversarial Networks.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, Image, check_feature_map, check_images
from nst_jax.networks.layers import around_one
from nst_jax.ops.convolution import Precision, average_pool, convolve
from nst_jax.ops.parameters import parameter

Normalization = Literal["instance", "batch", "spectral", "none"]
"""Of maps by each picture's statistics or by the batch's own, or of kernels by their norm."""

Logits = tuple[Float[Array, "batch _ _ 1"], ...]
"""A map of logits for each scale."""

_EPS = 1e-5
_SLOPE = 0.2  # of the leaky ReLU below 0, in all the papers
_KERNEL = nn.initializers.normal(0.02)  # as in the papers' codes
_multiply = partial(jnp.matmul, precision=lax.Precision.HIGHEST)  # accelerators round otherwise


class _Layer(nn.Module):
    """A convolution with zeros around, and its normalisation."""

    features: int
    kernel_size: int = 4
    stride: int = 1
    margin: int = 1
    normalization: Normalization = "none"
    use_bias: bool = True
    precision: Precision = "float32"

    @nn.compact
    def __call__(self, x: FeatureMap) -> Float[Array, "batch _ _ _"]:
        """Return the normalised maps."""
        side, margin = self.kernel_size, (self.margin, self.margin)
        shape = (side, side, x.shape[-1], self.features)
        kernel = parameter(self, "kernel", _KERNEL, shape)
        if self.normalization == "spectral":
            kernel = self._divided(kernel)
        bias = None
        if self.use_bias:
            zeros = nn.initializers.zeros_init()
            bias = parameter(self, "bias", zeros, (self.features,))
        x = jnp.pad(x, ((0, 0), margin, margin, (0, 0)))
        options: Any = {"stride": self.stride, "padding": "valid", "precision": self.precision}
        return self._normalized(convolve(x, kernel, bias, **options))

    def _normalized(self, x: Array) -> Array:
        if self.normalization not in ("instance", "batch"):
            return x
        axes = (1, 2) if self.normalization == "instance" else (0, 1, 2)
        mean = x.mean(axes, keepdims=True)
        var = jnp.square(x - mean).mean(axes, keepdims=True)
        x = (x - mean) * lax.rsqrt(var + _EPS)
        if self.normalization == "instance":
            return x
        shape = (self.features,)
        scale = parameter(self, "scale", around_one, shape)
        shift = parameter(self, "shift", nn.initializers.zeros_init(), shape)
        return x * scale.reshape(1, 1, 1, -1) + shift.reshape(1, 1, 1, -1)

    def _divided(self, kernel: Array) -> Array:
        """The kernel over its largest singular value, as a matrix of inputs by outputs.

        One step of the power iteration a call: Miyato et al. 2018, algorithm 1.
        """
        matrix = kernel.reshape(-1, self.features)
        kept = self.variable("spectral", "u", self._first_vector)
        v = _unit(_multiply(matrix, kept.value))
        u = _unit(_multiply(matrix.T, v))
        u, v = lax.stop_gradient(u), lax.stop_gradient(v)
        if self.is_mutable_collection("spectral") and not self.is_initializing():
            kept.value = u
        return kernel / _multiply(v, _multiply(matrix, u))

    def _first_vector(self) -> Array:
        return _unit(jax.random.normal(self.make_rng("params"), (self.features,), jnp.float32))


class _Discriminator(nn.Module):
    """What they share: choices are checked, and apply answers what __call__ does."""

    if TYPE_CHECKING:  # linen's own apply promises a tuple of another kind, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    def _check_choice(self, normalization: str) -> None:
        if normalization not in get_args(Normalization):
            wanted = " or ".join(get_args(Normalization))
            raise ValueError(f"normalization: wanted {wanted}, got {normalization!r}")

    def _of_all_layers(self, normalization: Normalization) -> Normalization:
        """What the first and the last layer have: kernels are divided there too, maps are not."""
        return "spectral" if normalization == "spectral" else "none"


class PatchDiscriminator(_Discriminator):
    """Says of patches of 70 × 70 pixels, or with fewer halvings of 34 or 16, whether they are real.

    Convolutions of 4 × 4: num_halvings of stride 2, of width, 2 width, 4 width, ... maps and at
    most 8 width; two of stride 1, the last to one map. All but the first and the last are
    normalised, or with "spectral" all have their kernels divided.

    Fields:
        width: Maps of the first convolution.
        num_halvings: 3 for patches of 70 × 70, 2 for 34 × 34, 1 for 16 × 16.
        normalization: "instance", as CycleGAN's, "batch", "spectral" or "none".
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Isola et al. 2017, section 6.1.2; Zhu et al. 2017, section 7.2.
    """

    width: int = 64
    num_halvings: int = 3
    normalization: Normalization = "instance"
    precision: Precision = "float32"

    @nn.compact
    def __call__(self, images: Image) -> Logits:
        """Return one map of logits.

        Args:
            images: RGB in [0, 1], of sides of at least 3 · 2^num_halvings pixels.

        Raises:
            ValueError: images are not such pictures, or a field is not one of its choices.
        """
        self._check_choice(self.normalization)
        _require_pictures(images, least=3 * 2**self.num_halvings)
        always = self._of_all_layers(self.normalization)
        x = 2 * images - 1
        for number in range(self.num_halvings + 1):
            x = _Layer(
                self.width * min(2**number, 8),
                stride=2 if number < self.num_halvings else 1,
                normalization=self.normalization if number else always,
                precision=self.precision,
                name=f"convolution{number}",
            )(x)
            x = nn.leaky_relu(x, _SLOPE)
        return (_Layer(1, normalization=always, precision=self.precision, name="logits")(x),)


class MultiscaleDiscriminator(_Discriminator):
    """Says of patches at several sizes whether they are real, by one network for each size.

    Each network has four convolutions of 4 × 4 and stride 2, of width, 2, 4 and 8 width maps, all
    but the first normalised, and one of 3 × 3 to one map. The second network sees the pictures at
    half size, the third at a quarter: large patches as well as fine ones.

    Fields:
        width: Maps of each first convolution; the authors have 64.
        num_scales: How many sizes.
        normalization: As of PatchDiscriminator.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Chen et al. 2021, by their code (IEContraAST). Differs: sizes are halved by means of
        2 × 2 pixels.
    """

    width: int = 64
    num_scales: int = 3
    normalization: Normalization = "instance"
    precision: Precision = "float32"

    @nn.compact
    def __call__(self, images: Image) -> Logits:
        """Return a map of logits for each size, the full one first.

        Args:
            images: RGB in [0, 1], of sides of at least 2^(4 + num_scales) pixels, which is 128 for
                three sizes.

        Raises:
            ValueError: images are not such pictures, or a field is not one of its choices.
        """
        self._check_choice(self.normalization)
        # The deepest normalised map of the smallest size has 2 × 2 positions then.
        _require_pictures(images, least=2 ** (4 + self.num_scales))
        always = self._of_all_layers(self.normalization)
        images, found = 2 * images - 1, []
        for scale in range(self.num_scales):
            x = images
            for number in range(4):
                x = _Layer(
                    self.width * 2**number,
                    stride=2,
                    normalization=self.normalization if number else always,
                    precision=self.precision,
                    name=f"scale{scale}_convolution{number}",
                )(x)
                x = nn.leaky_relu(x, _SLOPE)
            last = _Layer(
                1,
                kernel_size=3,
                normalization=always,
                precision=self.precision,
                name=f"scale{scale}_logits",
            )
            found.append(last(x))
            if scale < self.num_scales - 1:
                images = average_pool(images)
        return tuple(found)


class MarkovianDiscriminator(_Discriminator):
    """Says of patches of an encoder's layer whether they are a painting's: that of MDAN.

    A leaky ReLU, a convolution of 3 × 3 that keeps the number of maps, its normalisation, a leaky
    ReLU, and a convolution of 8 × 8 positions and stride 4 to one map. No convolution has a bias.

    Fields:
        patch: Side of a patch in positions of the layer.
        stride: Positions from one patch to the next.
        normalization: "batch" as the authors', by the statistics of the call's own maps;
            "instance", "spectral" or "none".
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Li and Wand 2016, by their code (MGANs, MDAN_wrapper.lua). Differs: the authors cut
        the patches out before the convolution of 3 × 3, which then sees zeros around each; they
        have one more row and column of patches where the stride does not divide the map.
    """

    patch: int = 8
    stride: int = 4
    normalization: Normalization = "batch"
    precision: Precision = "float32"

    @nn.compact
    def __call__(self, features: FeatureMap) -> Logits:
        """Return one map of logits.

        Args:
            features: Of an encoder's layer, of sides of at least patch positions.

        Raises:
            ValueError: features are no such maps, or a field is not one of its choices.
        """
        self._check_choice(self.normalization)
        check_feature_map("features", features)
        height, width, channels = features.shape[1:]
        if min(height, width) < self.patch:
            raise ValueError(
                f"features: wanted sides of at least {self.patch} positions, got {height} by "
                f"{width}; give larger pictures or a shallower layer"
            )
        always = self._of_all_layers(self.normalization)
        common: Any = {"use_bias": False, "precision": self.precision}
        x = nn.leaky_relu(features, _SLOPE)
        x = _Layer(
            channels,
            kernel_size=3,
            normalization=self.normalization,
            name="convolution",
            **common,
        )(x)
        x = nn.leaky_relu(x, _SLOPE)
        last = _Layer(
            1,
            kernel_size=self.patch,
            stride=self.stride,
            margin=0,
            normalization=always,
            name="logits",
            **common,
        )
        return (last(x),)


class DeepMarkovianDiscriminator(_Discriminator):
    """Says of patches of an encoder's layer whether they are a painting's: that of MGAN.

    A leaky ReLU, two convolutions of 4 × 4 and stride 2 to 4 width and 8 width maps, each
    normalised and before a leaky ReLU, and one of 1 × 1 to one map. No convolution has a bias. The
    outermost logits, whose patches reach beyond the maps, are left out.

    Fields:
        width: The authors have 64.
        normalization: As of MarkovianDiscriminator.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Li and Wand 2016, by their code (MGANs, MGAN_wrapper.lua: netS and netS_border).
    """

    width: int = 64
    normalization: Normalization = "batch"
    precision: Precision = "float32"

    @nn.compact
    def __call__(self, features: FeatureMap) -> Logits:
        """Return one map of logits.

        Args:
            features: Of an encoder's layer, of sides of at least 12 positions.

        Raises:
            ValueError: features are no such maps, or a field is not one of its choices.
        """
        self._check_choice(self.normalization)
        check_feature_map("features", features)
        height, width = features.shape[1:3]
        if min(height, width) < 12:
            raise ValueError(
                f"features: wanted sides of at least 12 positions, got {height} by {width}; give "
                "larger pictures or a shallower layer"
            )
        always = self._of_all_layers(self.normalization)
        common: Any = {"use_bias": False, "precision": self.precision}
        x = nn.leaky_relu(features, _SLOPE)
        for number, times in enumerate((4, 8)):
            x = _Layer(
                times * self.width,
                stride=2,
                normalization=self.normalization,
                name=f"convolution{number}",
                **common,
            )(x)
            x = nn.leaky_relu(x, _SLOPE)
        last = _Layer(1, kernel_size=1, margin=0, normalization=always, name="logits", **common)
        return (last(x)[:, 1:-1, 1:-1],)


def _require_pictures(images: Any, *, least: int) -> None:
    check_images("images", images)
    height, width = images.shape[1:3]
    if height < least or width < least:
        raise ValueError(
            f"images: wanted sides of at least {least} pixels, got {height} by {width}; give "
            "larger pictures, or a discriminator of fewer halvings or scales"
        )


def _unit(vector: Array) -> Array:
    return vector * lax.rsqrt(jnp.square(vector).sum() + 1e-12)
