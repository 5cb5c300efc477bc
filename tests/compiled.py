"""Networks applied by programs that all calls share: one for each network, shape and choice.

Without compilation, each operation of a network would be compiled alone, which takes far longer.
"""

import functools

import jax


@functools.partial(jax.jit, static_argnames=("encoder", "layers"))
def encode(encoder, params, images, *, layers):
    """Features of a VGG by layer."""
    return encoder.apply(params, images, layers=layers)


@functools.partial(jax.jit, static_argnames=("network", "method", "first", "last"))
def apply(network, variables, *inputs, method=None, **part):
    """What a network paints, or another of its methods answers."""
    return network.apply(variables, *inputs, method=method, **part)
