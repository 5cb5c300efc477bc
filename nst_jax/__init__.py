"""Neural style transfer in JAX: the papers, reproduced, and a command that paints photographs."""

__version__ = "0.1.0"
