"""The network that turns a painting into the embedding by which Ghiasi's transformer paints."""

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import Features, Image, Params
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG, Pooling
from nst_jax.networks.layers import block_means
from nst_jax.ops.convolution import Precision
from nst_jax.ops.moments import region_moments

EMBEDDING_SIZE = 100
"""The length of an embedding: Ghiasi et al. 2017, section 2, the bottleneck."""

STATISTICS_LAYERS = ("relu1_1", "relu2_1", "relu3_1")
"""The layers of VGG-16 whose means and deviations the predictor reads."""

LEAST_SIDE = 16
"""The shortest side of a painting that the predictor takes, in pixels."""

_CLIPPED_AT = 3.0  # standard deviations, beyond which a statistic says no more
_HIDDEN = 256
_LEAST_SCALE = 1e-3  # lest a channel that is dead in all paintings divides by 0


class StylePredictor(nn.Module):
    """The embedding of a painting from VGG-16's first five convolutions and a small head.

    `predictor.apply(variables, paintings)` returns (batch, 100). The encoder, up to relu3_1, has
    555,328 parameters and is not trained; the head has 255,944. A training has the statistics
    already and calls the method `embed_statistics`.

    Fields:
        pooling: The encoder's: that of the loss network that it was trained with.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: ours, in the place of the authors' Inception-v3 and MobileNet-v2. The embedding of a
    predictor that reads all five blocks is within 5 % of its variance of what these three tell.
    """

    pooling: Pooling = "max"
    precision: Precision = "float32"

    if TYPE_CHECKING:

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    def setup(self) -> None:
        """Linen's: the encoder and the head."""
        self.encoder = VGG("vgg16", TORCHVISION, pooling=self.pooling, precision=self.precision)
        self.head = StatisticsHead()

    def __call__(self, paintings: Float[Array, "batch height width _"]) -> Float[Array, "batch _"]:
        """Return the embeddings.

        Args:
            paintings: RGB in [0, 1], at least 16 pixels along each side; a fourth channel, if any,
                says from 0 to 1 how much of each pixel counts, and the sides are then multiples of
                4.

        Raises:
            ValueError: They are smaller.
        """
        height, width = paintings.shape[1:3]
        if height < LEAST_SIDE or width < LEAST_SIDE:
            raise ValueError(
                f"paintings: wanted at least {LEAST_SIDE} pixels along each side, "
                f"got shape {paintings.shape}"
            )
        features = self.encoder(paintings[..., :3], layers=STATISTICS_LAYERS)
        return self.head(compute_statistics(features, masks=paintings[..., 3:]))

    def embed_statistics(
        self, statistics: Float[Array, "batch statistics"]
    ) -> Float[Array, "batch _"]:
        """Return the embeddings of paintings whose statistics are known.

        Args:
            statistics: From compute_statistics.
        """
        return self.head(statistics)


class StatisticsHead(nn.Module):
    """An embedding from statistics: standardised, clipped at ±3, one hidden layer.

    The collection "batch_stats" holds the "mean" and the "scale" of many paintings' statistics, by
    which they are standardised. The hidden layer has 256 units. It and the embedding are
    layer-normalised.
    """

    if TYPE_CHECKING:

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(self, statistics: Float[Array, "batch statistics"]) -> Float[Array, "batch _"]:
        """Return the embeddings."""
        size = statistics.shape[-1:]
        mean = self.variable("batch_stats", "mean", jnp.zeros, size, jnp.float32)
        scale = self.variable("batch_stats", "scale", jnp.ones, size, jnp.float32)
        x = (statistics - mean.value.reshape(1, -1)) / scale.value.reshape(1, -1)
        x = _dense(_HIDDEN, "hidden")(jnp.clip(x, -_CLIPPED_AT, _CLIPPED_AT))
        x = nn.relu(nn.LayerNorm(name="hidden_norm")(x))
        return nn.LayerNorm(name="embedding_norm")(_dense(EMBEDDING_SIZE, "embedding")(x))


def compute_statistics(
    features: Features, *, masks: Float[Array, "batch height width _"] | None = None
) -> Float[Array, "batch statistics"]:
    """Return the means and deviations of STATISTICS_LAYERS, layer after layer.

    Args:
        features: VGG-16's, by layer.
        masks: One channel that says how much of each pixel counts; with no channel, all does.
    """
    found = []
    for layer in STATISTICS_LAYERS:
        x = features[layer]
        counted = jnp.ones((*x.shape[:3], 1), jnp.float32)
        if masks is not None and masks.shape[-1]:
            counted = block_means(masks, masks.shape[1] // x.shape[1])
        mean, variance = region_moments(x, counted)
        found += [mean[:, 0], jnp.sqrt(variance[:, 0])]
    return lax.stop_gradient(jnp.concatenate(found, -1))


def measure_standard(
    paintings: Image, encoder: VGG, encoder_params: Params
) -> dict[str, Float[Array, " statistics"]]:
    """Return the mean and scale of paintings' statistics, which standardise the predictor's input.

    Args:
        paintings: At least two, of one size.
        encoder: From load_encoder.
        encoder_params: Its parameters.

    Raises:
        ValueError: There are fewer than two, or they are all alike.
    """
    if len(paintings) < 2:
        raise ValueError(
            f"paintings: wanted at least 2, got {len(paintings)}; to paint after a single one, "
            "train johnson2016"
        )

    @jax.jit
    def measure(params, images):
        return compute_statistics(encoder.apply(params, images, layers=STATISTICS_LAYERS))

    # One at a time: a GPU has room for all, a laptop has not.
    found = jnp.concatenate([measure(encoder_params, image[None]) for image in paintings])
    if found.std(0).max() <= 1e-6 * found.max():
        raise ValueError("paintings: wanted at least 2 that differ; got copies of one")
    return {"mean": found.mean(0), "scale": found.std(0) + _LEAST_SCALE}


def _dense(features: int, name: str) -> nn.Dense:
    return nn.Dense(features, precision=lax.Precision.HIGHEST, name=name)
