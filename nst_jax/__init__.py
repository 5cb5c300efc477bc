"""Neural style transfer in JAX: the papers, reproduced, and a command that paints photographs.

stylize and optimize paint a photograph in one call. Beneath them, by what you want:

- a paper's method and its presets: papers, such as papers.gatys_2016.stylize and its Config;
- a loss, with its equation: losses, such as losses.gram_loss; one of your own: losses.StyleLoss;
- the features of a layer: load_encoder, and then encoder.apply(encoder_params, images, layers);
- a trained network: load_stylizer; to train one: papers.johnson_2016.fit, and train for its data.

Names load what they need when they are first used: importing nst_jax imports no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # for type checkers and editors; at run time __getattr__ finds the same names
    from nst_jax import encoders as encoders
    from nst_jax import files as files
    from nst_jax import jobs as jobs
    from nst_jax import losses as losses
    from nst_jax import metrics as metrics
    from nst_jax import networks as networks
    from nst_jax import ops as ops
    from nst_jax import papers as papers
    from nst_jax import pixels as pixels
    from nst_jax import regions as regions
    from nst_jax import runs as runs
    from nst_jax import stylizers as stylizers
    from nst_jax import sweeps as sweeps
    from nst_jax import train as train
    from nst_jax.encoders.weights.pretrained import load_encoder as load_encoder
    from nst_jax.files import load_image as load_image
    from nst_jax.files import save_image as save_image
    from nst_jax.one_call import optimize as optimize
    from nst_jax.one_call import stylize as stylize
    from nst_jax.ops.feature_transforms import adain as adain
    from nst_jax.ops.gram import gram_matrix as gram_matrix
    from nst_jax.ops.moments import channel_moments as channel_moments
    from nst_jax.stylizers import load_stylizer as load_stylizer

_FUNCTIONS = {
    "stylize": "one_call",
    "optimize": "one_call",
    "load_image": "files",
    "save_image": "files",
    "load_encoder": "encoders.weights.pretrained",
    "load_stylizer": "stylizers",
    "gram_matrix": "ops.gram",
    "channel_moments": "ops.moments",
    "adain": "ops.feature_transforms",
}
_MODULES = (
    *("encoders", "files", "jobs", "losses", "metrics", "networks", "ops", "papers", "pixels"),
    *("regions", "runs", "stylizers", "sweeps", "train"),
)

__all__ = [
    "adain",
    "channel_moments",
    "gram_matrix",
    "load_encoder",
    "load_image",
    "load_stylizer",
    "losses",
    "optimize",
    "papers",
    "save_image",
    "stylize",
]

if not TYPE_CHECKING:  # a type checker would take any name for one that is found here

    def __getattr__(name: str) -> Any:
        """Return a public function or a sub-package, which is loaded now."""
        if name in _MODULES:
            return importlib.import_module(f"nst_jax.{name}")
        if name not in _FUNCTIONS:
            raise AttributeError(f"module 'nst_jax' has no attribute {name!r}")
        module = importlib.import_module(f"nst_jax.{_FUNCTIONS[name]}")
        value = globals()[name] = getattr(module, name)
        return value

    def __dir__() -> list[str]:
        """Return what is here or would be loaded."""
        return sorted({*globals(), *_FUNCTIONS, *_MODULES})
