"""Losses of a discriminator that tells real pictures from made ones, and of what makes these.

A discriminator answers a map of logits r for real pictures and f for made ones, one number a patch.
Several maps, as of several scales, count alike whatever their sizes: the mean of their means.

| name | discriminator | generator | real where | after |
|---|---|---|---|---|
| least_squares | ½ (r − 1)² + ½ f² | (f − 1)² | above ½ | Mao et al. 2017 |
| hinge | max(0, 1 − r) + max(0, 1 + f) | −f | above 0 | Lim and Ye 2017 |
| margin | max(0, 1 − r) + max(0, 1 + f) | max(0, 1 − f) | above 0 | Li and Wand 2016 |
| non_saturating | log(1 + e^−r) + log(1 + e^f) | log(1 + e^−f) | above 0 | Goodfellow et al. 2014 |

- Mao, Li, Xie, Lau, Wang, Smolley: Least Squares Generative Adversarial Networks. The halves are as
  in CycleGAN's code, which halves the discriminator's loss alone.
- Lim, Ye: Geometric GAN.
- Li, Wand: Precomputed Real-Time Texture Synthesis with Markovian Generative Adversarial Networks.
- Goodfellow et al.: Generative Adversarial Nets, section 3.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Scalar

AdversarialLossName = Literal["least_squares", "hinge", "margin", "non_saturating"]

LogitMaps = Sequence[Float[Array, "_ _ _ 1"]]
"""What a discriminator answers: a map of logits for each scale, one number a patch."""

OfLogits = Callable[[Float[Array, "_ _ _ 1"]], Float[Array, "_ _ _ 1"]]


class AdversarialLoss(NamedTuple):
    """A loss of each patch, for each side.

    Attributes:
        real: The discriminator's, of logits of real pictures.
        made: The discriminator's, of logits of made pictures.
        generator: The generator's, of logits of made pictures.
        boundary: Above which logit a patch is taken to be real.
    """

    real: OfLogits
    made: OfLogits
    generator: OfLogits
    boundary: float


def _below_margin(x: Float[Array, "batch _ _ 1"]) -> Float[Array, "batch _ _ 1"]:
    return jax.nn.relu(1 - x)


ADVERSARIAL_LOSSES: Mapping[AdversarialLossName, AdversarialLoss] = MappingProxyType(
    {
        "least_squares": AdversarialLoss(
            lambda r: 0.5 * jnp.square(r - 1),
            lambda f: 0.5 * jnp.square(f),
            lambda f: jnp.square(f - 1),
            boundary=0.5,
        ),
        "hinge": AdversarialLoss(
            _below_margin, lambda f: _below_margin(-f), lambda f: -f, boundary=0.0
        ),
        "margin": AdversarialLoss(
            _below_margin, lambda f: _below_margin(-f), _below_margin, boundary=0.0
        ),
        # Of logits and not of probabilities, whose logarithm overflows where the discriminator is
        # sure of itself.
        "non_saturating": AdversarialLoss(
            lambda r: jax.nn.softplus(-r),
            jax.nn.softplus,
            lambda f: jax.nn.softplus(-f),
            boundary=0.0,
        ),
    }
)
"""By name; the module's table has the formulas."""


def discriminator_loss(
    name: AdversarialLossName, real_logits: LogitMaps, made_logits: LogitMaps
) -> Scalar:
    """Return what a discriminator is to lower: its loss on real pictures plus that on made ones.

    Args:
        name: In ADVERSARIAL_LOSSES.
        real_logits: Of real pictures.
        made_logits: Of made pictures.

    Raises:
        ValueError: There is no such loss, or there are no maps.
    """
    loss = find_adversarial_loss(name)
    return _mean_over_maps(loss.real, real_logits) + made_loss(name, made_logits)


def made_loss(name: AdversarialLossName, made_logits: LogitMaps) -> Scalar:
    """Return the part of discriminator_loss that made pictures have, or others that are not real.

    Args:
        name: In ADVERSARIAL_LOSSES.
        made_logits: Of made pictures.

    Raises:
        ValueError: There is no such loss, or there are no maps.
    """
    return _mean_over_maps(find_adversarial_loss(name).made, made_logits)


def generator_loss(name: AdversarialLossName, made_logits: LogitMaps) -> Scalar:
    """Return what a generator is to lower: how surely its pictures are told from real ones.

    Args:
        name: In ADVERSARIAL_LOSSES.
        made_logits: The discriminator's, of the generator's pictures.

    Raises:
        ValueError: There is no such loss, or there are no maps.
    """
    return _mean_over_maps(find_adversarial_loss(name).generator, made_logits)


def discriminator_accuracy(
    name: AdversarialLossName, real_logits: LogitMaps, made_logits: LogitMaps
) -> Scalar:
    """Return the share of patches about which a discriminator is right: ½ where it guesses.

    Real and made patches count half each. A logit on the boundary is half right.

    Args:
        name: In ADVERSARIAL_LOSSES; it has the boundary.
        real_logits: Of real pictures.
        made_logits: Of made pictures.

    Raises:
        ValueError: There is no such loss, or there are no maps.
    """
    return 0.5 * (taken_for_real(name, real_logits) + 1 - taken_for_real(name, made_logits))


def taken_for_real(name: AdversarialLossName, logits: LogitMaps) -> Scalar:
    """Return the share of patches that a discriminator takes for real.

    A logit on the boundary is half taken.

    Args:
        name: In ADVERSARIAL_LOSSES; it has the boundary.
        logits: The discriminator's.

    Raises:
        ValueError: There is no such loss, or there are no maps.
    """
    boundary = find_adversarial_loss(name).boundary

    def is_above(logits):
        return 0.5 * (1 + jnp.sign(logits - boundary))

    return _mean_over_maps(is_above, logits)


def find_adversarial_loss(name: Any) -> AdversarialLoss:
    """Return the loss of that name.

    Args:
        name: In ADVERSARIAL_LOSSES.

    Raises:
        ValueError: There is no such loss.
    """
    if not isinstance(name, str) or name not in ADVERSARIAL_LOSSES:
        raise ValueError(f"adversarial_loss: wanted {', '.join(ADVERSARIAL_LOSSES)}, got {name!s}")
    return ADVERSARIAL_LOSSES[cast(AdversarialLossName, name)]


def _mean_over_maps(of_logits: OfLogits, maps: LogitMaps) -> Scalar:
    if not maps:
        raise ValueError("logits: wanted at least one map, got none")
    return jnp.stack([of_logits(logits).mean() for logits in maps]).mean()
