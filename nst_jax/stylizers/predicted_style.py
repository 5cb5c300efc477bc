"""What load_stylizer answers for networks whose style is predicted from a painting: Ghiasi's."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import ImageOfAnySize, PRNGKey
from nst_jax.stylizers.any_style import AnyStyleStylizer
from nst_jax.stylizers.painting import Conditions
from nst_jax.stylizers.tiling import Pixels


class Embedding(NamedTuple):
    """A painting as the network knows it."""

    vector: Float[Array, "1 100"]


class EmbeddingMixture(NamedTuple):
    """All that a picture is painted by, made by PredictedStyleStylizer.prepare.

    Attributes:
        vector: Of each region's style.
        alpha: From 0, the photograph's own embedding, to 1, the style's.
        masks: Where the regions are, from 0 to 1, of any size; None for one region everywhere.
    """

    vector: Float[Array, "1 regions 100"] | Float[np.ndarray, "1 regions 100"]
    alpha: Float[np.ndarray, "1 1"]
    masks: Float[np.ndarray, "regions _ _"] | None


class PredictedStyleStylizer(AnyStyleStylizer):
    """A network that paints by embeddings of paintings, as Ghiasi et al. 2017 train it.

    It is called as AnyStyleStylizer is. Blends mix embeddings. alpha interpolates between the
    photograph's own embedding and the style's, so that 0 paints the photograph after itself.

    Reference: Ghiasi et al. 2017, sections 2 and 4.
    """

    STYLE: ClassVar[Any] = Embedding
    MIXTURE: ClassVar[Any] = EmbeddingMixture
    METHOD: ClassVar[str] = "embed"

    def embed(
        self, painting: ImageOfAnySize | Float[np.ndarray, "_ _ _ 3"]
    ) -> Float[Array, " 100"]:
        """Return a painting's embedding; Embedding(vector[None]) is a style again.

        Args:
            painting: One picture, RGB in [0, 1].

        Raises:
            ValueError: As encode_style.
        """
        return self.encode_style(painting).vector[0]

    def sample_style(self, key: PRNGKey, paintings: Sequence[Any]) -> Embedding:
        """Return a style drawn from the Gaussian that fits the embeddings of paintings.

        e = m + Σ_i z_i (e_i − m) / √(n − 1) with the embeddings e_i of n paintings, their mean m
        and standard normal z_i: its mean and its covariance are those of the embeddings.

        Args:
            key: Another one gives another style.
            paintings: At least two, as pictures or as what encode_style made of them.

        Raises:
            ValueError: There are fewer than two, or as encode_style.

        Reference: Ghiasi et al. 2017, section 4, samples such a space of styles.
        """
        if isinstance(paintings, Embedding) or len(paintings) < 2:
            count = 1 if isinstance(paintings, Embedding) else len(paintings)
            raise ValueError(
                f"style: wanted at least 2 paintings to draw a style around, got {count}; "
                "name more, or none for the bundled ones"
            )
        known = jnp.concatenate([style.vector for style in self._styles(list(paintings))])
        mean = known.mean(0, keepdims=True)
        z = jax.random.normal(key, (1, len(known)), jnp.float32)
        step = jnp.matmul(z, known - mean, precision=jax.lax.Precision.HIGHEST)
        return Embedding(mean + step / math.sqrt(len(known) - 1))

    def _refuse_flat(self, *arrays: Any) -> None:
        """Nothing: an embedding of one colour paints as any other does."""

    def conditions(self, style: Any) -> Conditions:
        """Return the embeddings of an EmbeddingMixture, or of what prepare makes one of.

        Raises:
            ValueError: Its alpha is below 1: the photograph's embedding is not known here.
        """
        mixture = self._mixture(style)
        if mixture.alpha[0, 0] < 1:
            raise ValueError(
                f"alpha: wanted 1 where no photograph is given, got {float(mixture.alpha[0, 0])}; "
                "call the stylizer with the photograph"
            )
        return (mixture.vector if mixture.masks is not None else mixture.vector[:, 0],)

    def style_for(self, pixels: Pixels, style: Any) -> EmbeddingMixture:
        """Return a mixture of alpha 1 that moves the photograph's embedding towards the style's."""
        mixture = self._mixture(style)
        alpha = float(mixture.alpha[0, 0])
        if alpha == 1:
            return mixture
        own = np.asarray(self.encode_style(pixels[None]).vector)[:, None]
        vector = own + alpha * (mixture.vector - own)
        return mixture._replace(vector=vector, alpha=np.ones((1, 1), np.float32))
