"""Networks that turn a painting into the embedding by which Ghiasi's transformer paints.

One reads VGG's statistics of the painting and is for training. The other reads the painting itself.
"""

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.networks.layers import Convolution, block_means
from nst_jax.ops.convolution import Precision, relu
from nst_jax.ops.moments import region_moments

EMBEDDING_SIZE = 100
"""The length of an embedding: Ghiasi et al. 2017, section 2, the bottleneck."""

LEAST_SIDE = 16
"""The shortest side of a painting that PaintingPredictor takes, in pixels."""

_CLIPPED_AT = 3.0  # standard deviations, beyond which a statistic says no more
# Maps and stride of each convolution of PaintingPredictor. The first sees the grain.
_LAYERS = ((16, 1), (32, 2), (64, 2), (128, 2), (128, 1), (192, 2))
_HIDDEN = 256


class StatisticsPredictor(nn.Module):
    """The embedding of a painting from VGG's statistics of it, for training.

    `predictor.apply(variables, statistics)` for (batch, size) statistics: the channel moments of
    some layers, one after another. They are standardised by the collection "standard", which holds
    the "mean" and "deviation" of many paintings' statistics, and clipped at ±3. A hidden layer of
    256 with layer normalisation follows, and the embedding, layer-normalised too.

    Reference: ours. Ghiasi et al. 2017, section 2, pool Inception-v3's features instead.
    """

    embedding_size: int = EMBEDDING_SIZE

    if TYPE_CHECKING:

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(self, statistics: Float[Array, "batch size"]) -> Float[Array, "batch _"]:
        """Return the embeddings."""
        size = statistics.shape[-1:]
        mean = self.variable("standard", "mean", jnp.zeros, size)
        deviation = self.variable("standard", "deviation", jnp.ones, size)
        x = (statistics - mean.value.reshape(1, -1)) / deviation.value.reshape(1, -1)
        x = _dense(_HIDDEN, "hidden")(jnp.clip(x, -_CLIPPED_AT, _CLIPPED_AT))
        x = nn.relu(nn.LayerNorm(name="hidden_norm")(x))
        return nn.LayerNorm(name="embedding_norm")(_dense(self.embedding_size, "embedding")(x))


class PaintingPredictor(nn.Module):
    """The embedding of a painting from the painting itself, by a small network of its own.

    Six 3×3 convolutions of 16, 32, 64, 128, 128 and 192 maps, of which the second, third, fourth
    and sixth halve the size. The means and deviations of all six, after the ReLU, go through a
    hidden layer of 256 to the embedding. It has about 0.8 million parameters and costs little
    beside the transformer.

    Reference: ours, in the place of the distilled MobileNet-v2 of the authors' mobile network.
    """

    embedding_size: int = EMBEDDING_SIZE
    precision: Precision = "float32"

    if TYPE_CHECKING:

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(self, paintings: Float[Array, "batch height width _"]) -> Float[Array, "batch _"]:
        """Return the embeddings.

        Args:
            paintings: RGB in [0, 1], at least 16 pixels along each side; a fourth channel, if any,
                says from 0 to 1 how much of each pixel counts, and the sides are then multiples of
                16.

        Raises:
            ValueError: They are smaller.
        """
        if min(paintings.shape[1:3]) < LEAST_SIDE:
            raise ValueError(
                f"paintings: wanted at least {LEAST_SIDE} pixels along each side, "
                f"got shape {paintings.shape}"
            )
        x, mask = paintings[..., :3], paintings[..., 3:]
        found, scale = [], 1
        for i, (features, stride) in enumerate(_LAYERS, start=1):
            layer = Convolution(
                features,
                kernel_init=nn.initializers.he_normal(),
                precision=self.precision,
                stride=stride,
                padding="reflect",
                name=f"convolution{i}",
            )
            x, scale = relu(layer(x)), scale * stride
            counted = block_means(mask, scale) if mask.shape[-1] else jnp.ones((*x.shape[:3], 1))
            mean, var = region_moments(x, counted)
            found += [mean[:, 0], jnp.sqrt(var[:, 0] + 1e-5)]
        x = nn.LayerNorm(name="statistics_norm")(jnp.concatenate(found, -1))
        x = nn.relu(_dense(_HIDDEN, "hidden")(x))
        return _dense(self.embedding_size, "embedding")(x)


def _dense(features: int, name: str) -> nn.Dense:
    return nn.Dense(features, precision=lax.Precision.HIGHEST, name=name)
