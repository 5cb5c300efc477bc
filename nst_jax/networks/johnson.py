"""The image transformation network of Johnson et al. 2016, and the variants its authors released.

Training is in nst_jax.papers.johnson_2016.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.networks.layers import (
    Convolution,
    InstanceNorm,
    TransposedConvolution,
    require_pictures,
    uniform_within,
)
from nst_jax.ops.convolution import Padding, Precision, relu

Normalization = Literal["batch", "instance"]
Output = Literal["unit", "vgg"]

PADDING = 40
"""Pixels of reflection around a picture: what the unpadded residual blocks take away again."""

TILE_MARGIN = 12
"""How far, in pixels of the output, the zero padding of the outer convolutions is felt."""

NUM_RESIDUAL_BLOCKS = 5


class JohnsonNetwork(nn.Module):
    """A network that paints every picture in the one style that it is trained for.

    `network.apply(variables, images)` answers pictures of the same size, which must be a multiple
    of 4. Inside, pictures are 255 (x − mean), as in the authors' code, though red first: a learned
    first layer is indifferent to the order. variables are {"params": ...}, and {"batch_stats": ...}
    too where normalization is "batch": those are used unless train is True, and then replaced in
    `network.apply(variables, images, train=True, mutable=["batch_stats"])`.

    Fields:
        width: channels of the first convolution; the released instance-normalised networks have 16.
        normalization: "batch" as in the paper, or "instance".
        output: "unit", the paper's tanh scaled to [0, 1], or "vgg", mean + 150/255 tanh as in the
            authors' code, which may leave [0, 1].
        precision: as for nst_jax.ops.convolution.convolve.

    Reference: Johnson et al. 2016, supplement, table 1; weights start as Torch's do.
    """

    width: int = 32
    normalization: Normalization = "batch"
    output: Output = "unit"
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    def __call__(self, images: Image, *, train: bool = False) -> Image:
        """Return the pictures stylised.

        Args:
            images: RGB in [0, 1]; sides are multiples of 4 and at least 44.
            train: Whether batch normalisation uses, and updates with, the batch's own statistics.

        Raises:
            ValueError: images are not such pictures, or a field is not one of its choices.
        """
        require_pictures(images, least=PADDING + 4)
        around = ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0))
        return self.apply_padded(jnp.pad(images, around, mode="reflect"), train=train)

    @nn.compact
    def apply_padded(self, images: Image, *, train: bool = False) -> Float[Array, "batch _ _ 3"]:
        """Return the pictures stylised without their outer 40 pixels, which the caller provides.

        An input of H + 80 by W + 80 pixels gives H by W. `network.apply(variables, images,
        method="apply_padded")` on reflected pictures is __call__; on tiles of them, the output is
        that part of it, except for 12 pixels (TILE_MARGIN) along each of the tile's sides.
        Tiles begin at multiples of 4 and, with "instance", need one set of given_statistics (see
        InstanceNorm).

        Args:
            images: RGB in [0, 1]; sides are multiples of 4 and at least 84.
            train: As for __call__.

        Raises:
            ValueError: images are not such pictures, or a field is not one of its choices.
        """
        self._check_fields()
        require_pictures(images, least=2 * PADDING + 4)
        norm = partial(self._normalize, train=train)
        mean = jnp.array(TORCHVISION.mean, images.dtype).reshape(1, 1, 1, 3)
        x = self._convolve(255 * (images - mean), "contract1", self.width, kernel_size=9)
        x = relu(norm(x, "contract1"))
        for name, features in (("contract2", 2 * self.width), ("contract3", 4 * self.width)):
            x = relu(norm(self._convolve(x, name, features, stride=2), name))
        for i in range(1, NUM_RESIDUAL_BLOCKS + 1):
            x = self._residual_block(x, f"residual{i}", norm)
        for name, features in (("expand1", 2 * self.width), ("expand2", self.width)):
            x = relu(norm(self._convolve_transposed(x, name, features), name))
        x = jnp.tanh(self._convolve(x, "output", 3, kernel_size=9))
        return (x + 1) / 2 if self.output == "unit" else mean + 150 / 255 * x

    def _residual_block(self, x: Array, name: str, norm: Callable[[Array, str], Array]) -> Array:
        features = x.shape[-1]
        y = self._convolve(x, f"{name}a", features, padding="valid")
        y = self._convolve(relu(norm(y, f"{name}a")), f"{name}b", features, padding="valid")
        return x[:, 2:-2, 2:-2] + norm(y, f"{name}b")

    def _convolve(
        self,
        x: Array,
        name: str,
        features: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        padding: Padding = "zero",
    ) -> Array:
        bound = (kernel_size**2 * x.shape[-1]) ** -0.5
        layer = Convolution(
            features,
            kernel_init=uniform_within(bound),
            bias_init=uniform_within(bound),
            precision=self.precision,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            name=name,
        )
        return layer(x)

    def _convolve_transposed(self, x: Array, name: str, features: int) -> Array:
        init = uniform_within((9 * x.shape[-1]) ** -0.5)
        layer = TransposedConvolution(
            features, kernel_init=init, bias_init=init, precision=self.precision, name=name
        )
        return layer(x)

    def _normalize(self, x: Array, name: str, *, train: bool) -> Array:
        scale_init = nn.initializers.uniform(1.0)
        if self.normalization == "instance":
            return InstanceNorm(scale_init=scale_init, name=f"{name}_norm")(x)
        layer = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,  # Torch says 0.1: the new value's share
            epsilon=1e-5,
            scale_init=scale_init,
            use_fast_variance=False,  # E[x²] − E[x]² cancels where a mean is large
            name=f"{name}_norm",
        )
        return layer(x)

    def _check_fields(self) -> None:
        for field, choice in (("normalization", Normalization), ("output", Output)):
            if getattr(self, field) not in get_args(choice):
                wanted = " or ".join(get_args(choice))
                raise ValueError(f"{field}: wanted {wanted}, got {getattr(self, field)!r}")
