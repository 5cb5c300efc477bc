"""Names for the arrays that cross public boundaries; shapes named alike must agree.

Images are float32 RGB in [0, 1], laid out (batch, height, width, channels).
"""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Float, Key

Image = Float[Array, "batch height width 3"]
"""A batch of RGB pictures in [0, 1]."""

ImageOfAnySize = Float[Array, "_ _ _ 3"]
"""The same, of a size that no other picture in the signature must have."""

ImageOfEachRun = Float[Array, "runs 1 height width 3"]
"""One picture for each of several optimisations that run as a batch."""

FeatureMap = Float[Array, "batch height width channels"]
"""What one layer of an encoder answers."""

Features = Mapping[str, Float[Array, "batch _ _ _"]]
"""Layer name, such as 'relu4_2', to that layer's feature map."""

Gram = Float[Array, "batch channels channels"]
"""Second moments of a feature map over positions."""

Scalar = Float[Array, ""]
"""A single number on the device."""

Params = Any
"""A pytree of arrays: the parameters of a network."""

PRNGKey = Key[Array, ""] | Any
"""A JAX random key; always a function's first argument, named key."""
