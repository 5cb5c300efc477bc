"""The network of Ruder et al. 2018, which paints a frame with its last picture before its eyes.

Training is in nst_jax.papers.ruder_2018.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.networks.johnson import (
    NUM_RESIDUAL_BLOCKS,
    PADDING,
    JohnsonNetwork,
    Normalization,
    Output,
)
from nst_jax.networks.layers import require_pictures
from nst_jax.ops.convolution import relu, upsample_nearest

TILE_MARGIN = 16
"""How far, in pixels of the output, the zero padding of the outer convolutions is felt."""

LAST_CHANNELS = 4
"""Channels that a frame is given besides its own: the last picture, and the mask."""


class RuderNetwork(JohnsonNetwork):
    """A network of one style for clips: a frame and the last picture, moved to it, give a picture.

    `network.apply(variables, images)` answers pictures of the same size, which must be a multiple
    of 4. images have 7 channels: the frame x; the last picture w, warped to the frame; and the mask
    m of where w is to be had. Inside, they are 255 (x − mean), 255 m (w − mean) and m, so that the
    last picture is 0 where it is not to be had. Pictures of 3 channels have no last one: m = 0.

    The layers are c9s1-w, d2w, d4w, five residual blocks of 4w, and in place of transposed
    convolutions two nearest upsamplings, before c3s1-2w and c9s1-3. Instance normalisation follows
    all but the last, whose output is mean + 150/255 tanh.

    Fields:
        width: w, channels of the first convolution.
        normalization: "instance", as the authors have it.
        output: "vgg", as the authors have it.
        precision: as for nst_jax.ops.convolution.convolve.

    Reference: Ruder et al. 2018, arXiv 1708.04538, §5; the authors' models_video.lua. Weights start
        as Torch's do.
    """

    normalization: Normalization = "instance"
    output: Output = "vgg"

    def __call__(
        self, images: Float[Array, "batch height width _"], *, train: bool = False
    ) -> Image:
        """Return the frames painted.

        Args:
            images: RGB in [0, 1], alone or with the last picture and the mask; sides are multiples
                of 4 and at least 44.
            train: Of no account here.

        Raises:
            ValueError: images are not such pictures.
        """
        require_pictures(images[..., :3], least=PADDING + 4)
        around = ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0))
        return self.apply_padded(jnp.pad(images, around, mode="reflect"), train=train)

    @nn.compact
    def apply_padded(
        self, images: Float[Array, "batch height width _"], *, train: bool = False
    ) -> Float[Array, "batch _ _ 3"]:
        """Return the frames painted without their outer 40 pixels, as JohnsonNetwork does.

        Args:
            images: As for a call; sides are multiples of 4 and at least 84.
            train: Of no account here.

        Raises:
            ValueError: images are not such pictures.
        """
        self._check_fields()
        require_pictures(images[..., :3], least=2 * PADDING + 4)
        if images.shape[-1] not in (3, 3 + LAST_CHANNELS):
            raise ValueError(f"images: wanted 3 or 7 channels, got {images.shape[-1]}")

        def norm(x: Array, name: str) -> Array:
            return self._normalize(x, name, train=train)

        mean = jnp.array(TORCHVISION.mean, images.dtype).reshape(1, 1, 1, 3)
        x = relu(
            norm(
                self._convolve(_entered(images, mean), "contract1", self.width, kernel_size=9),
                "contract1",
            )
        )
        for name, features in (("contract2", 2 * self.width), ("contract3", 4 * self.width)):
            x = relu(norm(self._convolve(x, name, features, stride=2), name))
        for i in range(1, NUM_RESIDUAL_BLOCKS + 1):
            x = self._residual_block(x, f"residual{i}", norm)
        x = self._convolve(upsample_nearest(x), "expand1", 2 * self.width)
        x = upsample_nearest(relu(norm(x, "expand1")))
        return mean + 150 / 255 * jnp.tanh(self._convolve(x, "output", 3, kernel_size=9))


def _entered(images: Array, mean: Array) -> Array:
    """What the first convolution is given."""
    frames = 255 * (images[..., :3] - mean)
    if images.shape[-1] == 3:
        nothing = jnp.zeros((*images.shape[:-1], LAST_CHANNELS), images.dtype)
        return jnp.concatenate([frames, nothing], -1)
    last, mask = images[..., 3:6], images[..., 6:]
    return jnp.concatenate([frames, 255 * mask * (last - mean), mask], -1)
