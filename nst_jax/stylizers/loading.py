"""From a model's name or file to a stylizer."""

import importlib.resources
import os
from pathlib import Path
from typing import get_args

from nst_jax.files.disk import as_path
from nst_jax.networks.feature_styles import FeatureTransformNetwork, Transform
from nst_jax.ops.convolution import Precision, check_precision
from nst_jax.stylizers.any_style import AnyStyleStylizer
from nst_jax.stylizers.following import FollowingStylizer
from nst_jax.stylizers.hub import fetch_model, is_hub_name
from nst_jax.stylizers.magenta import list_published, load_published
from nst_jax.stylizers.many_styles import ManyStylesStylizer
from nst_jax.stylizers.model_files import EXTENSION, FilePath, Model, load_model, load_shipped_model
from nst_jax.stylizers.one_style import OneStyleStylizer
from nst_jax.stylizers.predicted_style import PredictedStyleStylizer
from nst_jax.stylizers.stylizer import Stylizer
from nst_jax.stylizers.transformed import FeatureTransformStylizer

DEFAULT_MODEL = "ghiasi2017"
"""The model of any painting that is taken where none is named."""

DECODING_MODEL = "huang2017"
"""The same where features are transformed, which a network that predicts styles has none of."""

_STYLIZERS: dict[str, type[Stylizer]] = {
    "johnson2016": OneStyleStylizer,
    "ruder2018": FollowingStylizer,
    "dumoulin2017": ManyStylesStylizer,
    "dumoulin2017-narrow": ManyStylesStylizer,
    "ghiasi2017": PredictedStyleStylizer,
    "ghiasi2017-mobile": PredictedStyleStylizer,
    "huang2017": AnyStyleStylizer,
    "li_wand_2016": OneStyleStylizer,
    "sanakoyeu_2018": OneStyleStylizer,
    "texler_2020": OneStyleStylizer,
}


def list_models() -> tuple[str, ...]:
    """Return the names of the models that ship with the package, sorted."""
    return tuple(sorted(path.stem for path in _models_folder().glob(f"*{EXTENSION}")))


def model_path(name: FilePath) -> Path:
    """Return the file that a model's name, or a path that ends in .safetensors, stands for.

    Raises:
        ValueError: It is neither the name of a model that ships nor such a path.
    """
    text = os.fspath(as_path(name, name="model"))
    if text.endswith(EXTENSION):
        return Path(text)
    known = list_models()
    if text in known:
        return _models_folder() / f"{text}{EXTENSION}"
    if text in list_published():
        raise ValueError(
            f"model: {text} has no file of ours; save_model writes one of what load_stylizer "
            f"returns, or choose from {', '.join(known)}"
        )
    wanted = ", ".join(
        (*known, *list_published(), f"or the path of a file, which ends in {EXTENSION}")
    )
    raise ValueError(f"model: wanted {wanted}; got {text!r}")


def load_stylizer(
    name: FilePath = DEFAULT_MODEL,
    *,
    precision: Precision = "float32",
    median_filter: int | None = None,
    transform: Transform | None = None,
) -> Stylizer:
    """Return a trained network that paints pictures of any size: `stylizer(content)`.

    Networks of several styles want one: `stylizer(content, style)`, where style is a name among
    stylizer.styles, its number, or weights of a mixture. Those of any style want a painting.

    Args:
        name: A name from stylizers.list_models() or stylizers.list_published(), by default that of
            the network of any painting that the command line takes; the path of a
            .safetensors file, or a repository of the Hugging Face Hub: "owner/name" or
            "owner/name@revision"; see stylizers.hub.
        precision: Of the convolutions; see nst_jax.ops.convolution.
        median_filter: For a network of one style: see OneStyleStylizer. By default what its kind
            wants: 3 pixels for johnson2016, 1 for others.
        transform: For a network that decodes features: how they take on the painting's. By default
            "adain", as it was trained; see FeatureTransformStylizer for the others.

    Raises:
        ValueError: There is no model of that name, the file is damaged, there is no such transform,
            or median_filter or transform is given for another kind of network.
        OSError: The file cannot be read or fetched, or the package of a published model or of the
            hub is not installed.
        HashMismatchError: A published model's file is not the published one, or one that came from
            the hub not the one that the hub names.
    """
    check_precision(precision)
    called = os.fspath(as_path(name, name="model"))
    if called in list_published():
        model = load_published(called, precision=precision)
    elif is_hub_name(called):
        fetched = fetch_model(called)
        model = load_model(fetched.path, precision=precision)
        model = model._replace(card={**model.card, "hub": fetched.describe()})
    else:
        path = model_path(name)
        load = load_shipped_model if path.parent == _models_folder() else load_model
        model, called = load(path, precision=precision), path.stem
    if median_filter is not None:
        kind = _STYLIZERS[model.architecture]
        if not issubclass(kind, OneStyleStylizer):
            raise ValueError(
                f"median_filter: wanted with a network of one style, and {called} is none; "
                "leave it out"
            )
        return kind(model, name=called, median_filter=median_filter)
    if transform is not None:
        return _transforming(model, called, transform)
    return _STYLIZERS[model.architecture](model, name=called)


def _transforming(model: Model, name: str, transform: Transform) -> Stylizer:
    if transform not in get_args(Transform):
        known = ", ".join(get_args(Transform))
        raise ValueError(f"transform: wanted one of {known}, got {transform!r}")
    if _STYLIZERS[model.architecture] is not AnyStyleStylizer:
        raise ValueError(
            "transform: wanted with a network that decodes features, such as "
            f"{DECODING_MODEL}, and {name} does not; leave it out"
        )
    if transform == "adain":
        return AnyStyleStylizer(model, name=name)
    network = FeatureTransformNetwork(
        encoder=model.network.encoder, transform=transform, precision=model.network.precision
    )
    return FeatureTransformStylizer(model._replace(network=network), name=name)


def _models_folder() -> Path:
    return Path(str(importlib.resources.files("nst_jax").joinpath("assets", "models")))
