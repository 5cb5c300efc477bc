"""How published losses are normalised, and their weights in units of ours.

Papers and codebases sum, halve or divide differently. The tables name their conventions, and the
convert_*_weight functions turn a weight published for one into the weight for another.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Normalization:
    """How a published loss compares with ours: it is constant · channels^a · positions^b times it.

    channels (N) and positions (M) are those of the layer; a and b are the two powers.
    """

    constant: float = 1.0
    channel_power: int = 0
    position_power: int = 0

    def multiple(self, *, channels: int, positions: int) -> float:
        """Return the published loss over ours, at a layer of N channels and M positions."""
        return self.constant * channels**self.channel_power * positions**self.position_power


_MEAN = Normalization()

GRAM_NORMALIZATIONS: Mapping[str, Normalization] = {
    "nst_jax": _MEAN,  # gram_loss
    "gatys_2016": Normalization(0.25),  # E_l: FᵀF undivided, Σ / (4 N² M²); also the 2015 preprint
    "gatys_2017": Normalization(0.25),  # FᵀF / M, Σ / (4 N²)
    "deep_textures": Normalization(0.25),  # FᵀF / M, ¼ mean
    "neural_image_synthesis": _MEAN,  # FᵀF / M, mean; also Gatys' PyTorch notebook
    "neural_style": Normalization(1.0, -2),  # FᵀF / (N M), mean; also its PyTorch port and Ruder's
    "anishathalye": Normalization(1.0, -2),  # FᵀF / (N M), mean
    "lengstrom": Normalization(1.0, -2),  # FᵀF / (N M), mean over entries and batch
    "johnson_2016": _MEAN,  # FᵀF / (N M), but the squared Frobenius norm: Σ, not mean
    "fast_neural_style": Normalization(1.0, -2),  # FᵀF / (N M), mean: the code behind johnson_2016
    "magenta": _MEAN,  # FᵀF / M, mean: the code behind Dumoulin et al. 2017
}
"""Published Gram losses in units of gram_loss. None depends on M once written so."""

CONTENT_NORMALIZATIONS: Mapping[str, Normalization] = {
    "nst_jax": _MEAN,  # content_loss
    "gatys_2016": Normalization(0.5, 1, 1),  # eq. (1): ½ Σ
    "neural_image_synthesis": _MEAN,
    "neural_style": _MEAN,
    "anishathalye": _MEAN,
    "lengstrom": _MEAN,
    "johnson_2016": _MEAN,  # §3.2: the squared norm over C H W
    "fast_neural_style": _MEAN,
    "magenta": _MEAN,
}
"""Published content losses in units of content_loss: all code takes the mean, one paper the sum."""

MOMENT_NORMALIZATIONS: Mapping[str, Normalization] = {
    "nst_jax": _MEAN,  # moment_loss
    "huang_2017": Normalization(1.0, 1),  # the authors' Torch code: Σ over channels
    "pytorch_adain": _MEAN,
}
"""Published losses on means and deviations in units of moment_loss."""


def convert_gram_weight(
    weight: float, *, source: str, channels: int, target: str = "nst_jax"
) -> float:
    """Return the weight that gives target's Gram loss the strength of source's with that weight.

    weight · L_source = converted · L_target at a layer of N channels: from 'neural_style' to ours,
    the weight is divided by N².

    Args:
        weight: The published weight of one layer.
        source: The convention it was published for, a name in GRAM_NORMALIZATIONS.
        channels: N, the layer's channels.
        target: The convention to convert to; by default gram_loss.

    Returns:
        The converted weight.

    Raises:
        ValueError: source or target is not in the table.
    """
    return _convert(weight, GRAM_NORMALIZATIONS, source, target, channels=channels, positions=1)


def convert_content_weight(
    weight: float, *, source: str, channels: int, positions: int, target: str = "nst_jax"
) -> float:
    """Return the weight that gives target's content loss the strength of source's.

    From 'gatys_2016' to ours, the weight is multiplied by ½ N M.

    Args:
        weight: The published weight of one layer.
        source: The convention it was published for, a name in CONTENT_NORMALIZATIONS.
        channels: N, the layer's channels.
        positions: M, the layer's height times its width.
        target: The convention to convert to; by default content_loss.

    Returns:
        The converted weight.

    Raises:
        ValueError: source or target is not in the table.
    """
    return _convert(
        weight, CONTENT_NORMALIZATIONS, source, target, channels=channels, positions=positions
    )


def convert_moment_weight(
    weight: float, *, source: str, channels: int, target: str = "nst_jax"
) -> float:
    """Return the weight that gives target's loss on channel moments the strength of source's.

    From 'huang_2017' to ours, the weight is multiplied by N.

    Args:
        weight: The published weight of one layer.
        source: The convention it was published for, a name in MOMENT_NORMALIZATIONS.
        channels: N, the layer's channels.
        target: The convention to convert to; by default moment_loss.

    Returns:
        The converted weight.

    Raises:
        ValueError: source or target is not in the table.
    """
    return _convert(weight, MOMENT_NORMALIZATIONS, source, target, channels=channels, positions=1)


def _convert(
    weight: float,
    table: Mapping[str, Normalization],
    source: str,
    target: str,
    *,
    channels: int,
    positions: int,
) -> float:
    for argument, name in (("source", source), ("target", target)):
        if name not in table:
            raise ValueError(f"{argument}: {name!r} is not one of {', '.join(table)}")
    ours_to_source = table[source].multiple(channels=channels, positions=positions)
    ours_to_target = table[target].multiple(channels=channels, positions=positions)
    return weight * ours_to_source / ours_to_target
