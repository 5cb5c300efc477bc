"""Contrastive coherence: neighbours differ in a painted picture as they do in the photograph.

No second frame and no flow are needed. What a picture's parts are to one another is kept, so that
parts that move alike are painted alike.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from nst_jax.array_types import FeatureMap, Features, Params, PRNGKey, Scalar
from nst_jax.encoders.vgg import channels_of

CONTRASTIVE_LAYERS = ("relu2_1", "relu3_1", "relu4_1")
"""Where the authors' code compares differences."""

TEMPERATURE = 0.07
"""The authors' τ."""

_ANCHORS = 8  # positions of a layer, each with the eight around it
_AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
_LEAST_LENGTH = 1e-7  # below which a vector is not scaled to length 1


def contrastive_loss(
    key: PRNGKey,
    features: Features,
    content_features: Features,
    projections: Mapping[str, Params],
) -> Scalar:
    """Return Σ_l L_l, where L_l tells each difference of neighbours from the others of its picture.

    d_n = f(a) − f(a + δ) for 8 positions a and the 8 steps δ around each, in the painted picture
    and in the photograph alike. With h an MLP of two layers and z = h(d) / |h(d)|,

    L_l = −mean_n log (exp(z_n · z*_n / τ) / Σ_m exp(z_n · z*_m / τ)),

    where z* is of the photograph; no gradient flows through it.

    Args:
        key: Decides the positions, which all pictures of a batch share.
        features: f by layer, of painted pictures; sides of 3 positions at least.
        content_features: The same of the photographs.
        projections: h by layer, from init_projections; other layers do not count.

    Reference: Wu et al. 2022 (CCPL), §3, as in the authors' code.
    """
    keys = jax.random.split(key, len(projections))
    losses = []
    for own, (layer, projection) in zip(keys, sorted(projections.items()), strict=True):
        anchors = draw_anchors(own, *features[layer].shape[1:3])
        found, wanted = (
            _project(projection, neighbour_differences(each[layer], anchors))
            for each in (features, content_features)
        )
        losses.append(_tell_apart(found, lax.stop_gradient(wanted)))
    return jnp.stack(losses).sum()


def init_projections(
    key: PRNGKey, *, layers: Sequence[str] = CONTRASTIVE_LAYERS
) -> dict[str, Params]:
    """Return first parameters of the MLPs: C to C, a ReLU, and C to C / 4.

    They are trained with the network, and of no use afterwards.

    Args:
        key: Decides them: uniform in ±1/√C, as Torch has it.
        layers: Of a VGG network.
    """
    found = {}
    for own, layer in zip(jax.random.split(key, len(layers)), layers, strict=True):
        channels = channels_of(layer)
        bound = channels**-0.5
        sizes = {"hidden": channels, "out": channels // 4}
        found[layer] = {}
        for part, (name, size) in zip(jax.random.split(own), sizes.items(), strict=True):
            kernel_key, bias_key = jax.random.split(part)
            found[layer][name] = {
                "kernel": jax.random.uniform(
                    kernel_key, (channels, size), jnp.float32, -bound, bound
                ),
                "bias": jax.random.uniform(bias_key, (size,), jnp.float32, -bound, bound),
            }
    return found


def draw_anchors(key: PRNGKey, height: int, width: int) -> Int[Array, "anchors 2"]:
    """Return rows and columns of 8 positions, or of all if there are fewer, none at the edge.

    Args:
        key: Decides which.
        height: Of a layer, in positions.
        width: The same.

    Raises:
        ValueError: The layer has no position that is not at its edge.
    """
    rows, columns = height - 2, width - 2
    if rows < 1 or columns < 1:
        raise ValueError(
            f"features: wanted sides of 3 positions at least, got {height} by {width}; make the "
            "pictures larger"
        )
    chosen = jax.random.choice(key, rows * columns, (min(_ANCHORS, rows * columns),), replace=False)
    return jnp.stack([1 + chosen // columns, 1 + chosen % columns], -1)


def neighbour_differences(
    features: FeatureMap, anchors: Int[Array, "anchors 2"]
) -> Float[Array, "batch pairs channels"]:
    """Return f(a) − f(a + δ) for each anchor a and the eight steps δ around it.

    Args:
        features: f.
        anchors: Rows and columns, none at the edge.
    """
    steps = jnp.array(_AROUND, anchors.dtype)
    near = (anchors[:, None] + steps[None]).reshape(-1, 2)
    here = jnp.repeat(anchors, len(_AROUND), axis=0)
    return features[:, here[:, 0], here[:, 1]] - features[:, near[:, 0], near[:, 1]]


def _project(projection: Params, differences: Array) -> Array:
    x = _dense(projection["hidden"], differences)
    x = _dense(projection["out"], jnp.maximum(x, 0))
    # Of squares and not of their root, whose gradient at 0 is infinite.
    return x * lax.rsqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), _LEAST_LENGTH**2))


def _dense(layer: Params, x: Array) -> Array:
    return jnp.matmul(x, layer["kernel"], precision=lax.Precision.HIGHEST) + layer["bias"].reshape(
        1, 1, -1
    )


def _tell_apart(found: Array, wanted: Array) -> Scalar:
    """The mean cross-entropy of which difference of the photograph each painted one is."""
    logits = jnp.einsum("bnc,bmc->bnm", found, wanted, precision=lax.Precision.HIGHEST)
    right = jnp.diagonal(jax.nn.log_softmax(logits / TEMPERATURE, axis=-1), axis1=1, axis2=2)
    return -right.mean()
