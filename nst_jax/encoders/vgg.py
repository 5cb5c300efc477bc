"""VGG-16 and VGG-19 as encoders: pictures in, the asked layers' feature maps out.

Nothing here reads a file; weights come from nst_jax.encoders.weights.pretrained.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import flax.linen as nn
from jaxtyping import Array, Float

from nst_jax.array_types import Features, Image, Params
from nst_jax.encoders.preprocessing import Preprocessing, preprocess
from nst_jax.ops import convolution
from nst_jax.ops.convolution import Precision
from nst_jax.ops.parameters import parameter

Architecture = Literal["vgg16", "vgg19"]
Pooling = Literal["max", "average"]
Padding = Literal["zero", "reflect"]

# Simonyan & Zisserman 2015, table 1, columns D and E: 3×3 convolutions in each of the five blocks.
_DEPTHS: Mapping[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)

FIRST_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The first layer of each block, of both architectures: where most papers compare textures."""


def layer_names(architecture: Architecture) -> tuple[str, ...]:
    """Return every layer's name from conv1_1, relu1_1 to pool5, in the order of computation.

    Raises:
        ValueError: no such architecture.
    """
    return tuple(name for block in _blocks(architecture) for name in block)


def block_of(layer: str) -> int:
    """Return the block, counted from 0, that computes a layer: 3 for relu4_2 and for pool4."""
    return int(layer.removeprefix("conv").removeprefix("relu").removeprefix("pool")[0]) - 1


def num_blocks(layers: Sequence[str]) -> int:
    """Return how many blocks must run to compute all of layers."""
    return 1 + max(block_of(layer) for layer in layers)


def channels_of(layer: str) -> int:
    """Return the number of channels of a layer's feature map."""
    return _CHANNELS[block_of(layer)]


def kernel_shapes(architecture: Architecture) -> dict[str, tuple[int, int, int, int]]:
    """Return each convolution's kernel shape, (height, width, channels in, channels out).

    Raises:
        ValueError: no such architecture.
    """
    convolutions = [name for name in layer_names(architecture) if name.startswith("conv")]
    inputs = (3, *(channels_of(name) for name in convolutions))
    return {
        name: (3, 3, channels_in, channels_of(name))
        for name, channels_in in zip(convolutions, inputs, strict=False)
    }


def least_side(
    layer: str, *, positions: int = 1, padding: Padding = "zero", ceil_mode: bool = False
) -> int:
    """Return the least height and width, in pixels, of pictures that a layer can be computed of.

    Args:
        layer: A name from layer_names.
        positions: How many positions the layer is to have along each side.
        padding: Of the encoder.
        ceil_mode: Of the encoder.
    """
    # A reflection needs a second row to reflect; a plain convolution is content with one.
    for_convolution = 2 if padding == "reflect" else 1
    least = max(for_convolution, positions)
    if layer.startswith("pool"):
        least = max(least, 2 * positions - ceil_mode)
    for _ in range(block_of(layer)):
        least = max(for_convolution, 2 * least - ceil_mode)
    return least


class VGG(nn.Module):
    """The convolutional part of VGG-16 or VGG-19, with the preprocessing that its weights want.

    `encoder.apply(encoder_params, images, layers=("relu1_1", "relu4_2"))` answers a dictionary from
    layer to feature map. Layers are convB_I (before the ReLU), reluB_I and poolB. encoder_params
    is {"params": {"conv1_1": {"kernel": (3, 3, 3, 64), "bias": (64,)}, ...}} and may lack
    what lies beyond the deepest asked layer, since that is never computed.

    Reference: Simonyan & Zisserman 2015, table 1, columns D and E.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    pooling: Pooling = "max"
    padding: Padding = "zero"
    ceil_mode: bool = False
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises nothing that could be indexed by a layer

        @overload
        def apply(self, variables: Params, x: Image, *, layers: Sequence[str]) -> Features: ...

        @overload
        def apply(
            self,
            variables: Params,
            x: Array,
            *,
            block: int,
            layers: Sequence[str],
            method: Literal["encoder_block"],
        ) -> tuple[Array, Features]: ...

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    def __call__(self, images: Image, *, layers: Sequence[str]) -> Features:
        """Return {layer: features} of RGB pictures in [0, 1], computing no deeper than asked.

        Args:
            images: RGB in [0, 1].
            layers: names from layer_names(architecture), in any order.

        Returns:
            One float32 feature map for each name, in the order of computation.

        Raises:
            ValueError: a name is unknown, none is given, or the pictures are too small.
        """
        check_layers(layers, self.architecture)
        x, features = images, {}
        for block in range(num_blocks(layers)):
            x, found = self.encoder_block(x, block=block, layers=layers)
            features.update(found)
        return features

    @nn.compact
    def encoder_block(
        self, x: Float[Array, "batch height width _"], *, block: int, layers: Sequence[str]
    ) -> tuple[Float[Array, "batch _ _ _"], Features]:
        """Run one block alone, so that a caller can keep, drop or recompute what lies between.

        `encoder.apply(encoder_params, x, block=k, layers=layers, method="encoder_block")` for
        k = 0, 1, ..., num_blocks(layers) − 1, each on the output of the one before, is __call__.

        Args:
            x: RGB pictures in [0, 1] for block 0; for a later one, the output of its predecessor.
            block: which block, counted from 0.
            layers: all the layers wanted of the whole network.

        Returns:
            The pooled output (in the last block needed: the deepest layer asked for), and
            {layer: features} for those of layers that lie in this block.

        Raises:
            ValueError: a name is unknown, none is given, or the pictures are too small.
        """
        check_layers(layers, self.architecture)
        if not 0 <= block < num_blocks(layers):
            raise ValueError(f"block: wanted 0 to {num_blocks(layers) - 1} for layers, got {block}")
        if block == 0:
            x = preprocess(x, self.preprocessing)
            self._check_size(x.shape[1], x.shape[2], layers)
        names = _blocks(self.architecture)[block]
        if block == num_blocks(layers) - 1:
            names = names[: 1 + max(names.index(name) for name in layers if name in names)]
        features = {}
        for name in names:
            x = self._layer(x, name)
            if name in layers:
                features[name] = x
        return x, features

    def _layer(self, x: Float[Array, "batch height width _"], name: str) -> Float[Array, "..."]:
        if name.startswith("conv"):
            return _Convolution(channels_of(name), self.padding, self.precision, name=name)(x)
        if name.startswith("relu"):
            return convolution.relu(x)
        pool = {"max": convolution.max_pool, "average": convolution.average_pool}[self.pooling]
        return pool(x, ceil_mode=self.ceil_mode)

    def __post_init__(self) -> None:
        """Refuse words that no field knows, before anything is computed."""
        super().__post_init__()
        choices = (("pooling", Pooling), ("padding", Padding), ("precision", Precision))
        for field, choice in choices:
            if getattr(self, field) not in get_args(choice):
                wanted = " or ".join(get_args(choice))
                raise ValueError(f"{field}: wanted {wanted}, got {getattr(self, field)!r}")

    def _check_size(self, height: int, width: int, layers: Sequence[str]) -> None:
        deepest = max(layers, key=layer_names(self.architecture).index)
        least = least_side(deepest, padding=self.padding, ceil_mode=self.ceil_mode)
        if height < least or width < least:  # which also holds of symbols
            raise ValueError(
                f"images: {height} by {width} pixels are too few for {deepest}, "
                f"which needs {least} along each side; give larger pictures or shallower layers"
            )


class _Convolution(nn.Module):
    """A 3×3 convolution with bias whose two arrays are named as in linen's own Conv."""

    features: int
    padding: Padding
    precision: Precision

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width _"]) -> Float[Array, "batch _ _ _"]:
        shape = (3, 3, x.shape[-1], self.features)
        kernel = parameter(self, "kernel", nn.initializers.he_normal(), shape)
        bias = parameter(self, "bias", nn.initializers.zeros_init(), (self.features,))
        return convolution.convolve(x, kernel, bias, padding=self.padding, precision=self.precision)


def check_layers(layers: Sequence[str], architecture: Architecture) -> None:
    """Raise a ValueError that lists the names unless layers are some of the architecture's."""
    known = layer_names(architecture)
    if isinstance(layers, str):
        raise ValueError(f"layers: wanted a tuple of names, got {layers!r}; write ({layers!r},)")
    unknown = [name for name in layers if name not in known]
    if not layers or unknown:
        what = f"no layer called {unknown[0]!r}" if unknown else "none given"
        raise ValueError(f"layers: {what} in {architecture}; choose from {', '.join(known)}")


def _blocks(architecture: Architecture) -> tuple[tuple[str, ...], ...]:
    if architecture not in _DEPTHS:
        wanted = " or ".join(get_args(Architecture))
        raise ValueError(f"architecture: wanted {wanted}, got {architecture!r}")
    return tuple(
        (
            *(f"{kind}{b}_{i}" for i in range(1, depth + 1) for kind in ("conv", "relu")),
            f"pool{b}",
        )
        for b, depth in enumerate(_DEPTHS[architecture], start=1)
    )
