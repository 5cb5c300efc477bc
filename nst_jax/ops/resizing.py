"""Changes of a picture's size, as arrays; reading and writing pictures is in files/pictures.py."""

import jax
from jaxtyping import Array, Float

from nst_jax.array_types import Image, check_feature_map, check_images


def resize(image: Image, *, height: int, width: int) -> Float[Array, "batch _ _ 3"]:
    """Return the picture resampled to height × width, antialiased when it shrinks.

    Each new pixel is a weighted mean of old ones under a triangle as wide as the coarser of the two
    grids. Weights are positive and sum to 1: pixels in [0, 1] stay there, a flat picture stays
    flat, and edges get no halo. Kernels with negative lobes (cubic, Lanczos) are sharper but ring,
    and a Gram matrix takes ringing for texture.

    Args:
        image: Pictures to resample.
        height: New height in pixels.
        width: New width in pixels.

    Returns:
        Pictures of the new size.

    Raises:
        ValueError: height or width is below 1.
    """
    if min(height, width) < 1:
        raise ValueError(
            f"resize: height and width must be at least 1, got {height} and {width}; "
            "fit_longer_side gives a valid pair"
        )
    check_feature_map("image", image)
    batch, _, _, channels = image.shape
    return jax.image.resize(image, (batch, height, width, channels), "linear", antialias=True)


def fit_longer_side(height: int, width: int, size: int) -> tuple[int, int]:
    """Return the height and width whose longer one is size, in the proportions of the given pair.

    The shorter side is rounded to the nearest pixel, halves upwards, and is at least 1.

    Args:
        height: Height to be scaled.
        width: Width to be scaled.
        size: Length that the longer side gets, whether smaller or larger than it was.

    Returns:
        The new height and width.

    Raises:
        ValueError: An argument is below 1.
    """
    if min(height, width, size) < 1:
        raise ValueError(
            f"fit_longer_side: height, width and size must be at least 1, "
            f"got {height}, {width} and {size}"
        )
    longer = max(height, width)

    def scale(side: int) -> int:
        # In integers, because a float quotient may land on either side of one half.
        return max(1, (2 * side * size + longer) // (2 * longer))

    return scale(height), scale(width)


def resize_longer_side(image: Image, size: int) -> Float[Array, "batch _ _ 3"]:
    """Return the picture resized so that the longer side is size, in its proportions.

    Args:
        image: Pictures to resample.
        size: In pixels, as fit_longer_side takes it.

    Raises:
        ValueError: size is below 1.
    """
    check_images("image", image)
    height, width = fit_longer_side(image.shape[1], image.shape[2], size)
    return resize(image, height=height, width=width)
