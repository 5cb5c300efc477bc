"""Files of trained networks: safetensors of float16 whose header says how to build the network.

They are passed from hand to hand, so that nothing in them is taken on trust: what is read has the
sizes, shapes, types and names that it should, or is refused.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from nst_jax import files
from nst_jax.array_types import Params
from nst_jax.encoders.weights.pretrained import WEIGHT_SETS, describe_weights, load_encoder
from nst_jax.files.disk import FilePath, quoted
from nst_jax.networks.huang import encoder_params_up_to_layer
from nst_jax.ops.convolution import Precision
from nst_jax.stylizers.architectures import ARCHITECTURES, Choices, variable_shapes

EXTENSION = ".safetensors"


_KIND = "nst_jax network 1"
_MAX_BYTES = 1 << 30
_MAX_NAME = 100  # characters
_MAX_TEXT = 300  # of what an error repeats from a file
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')  # names of styles become parts of file names
_ALL = "all"  # what the command line calls every style


class Model(NamedTuple):
    """A trained network with all that its file tells.

    Attributes:
        architecture: The network's name in ARCHITECTURES.
        network: The linen module.
        variables: Its variables, float32.
        styles: The names of its styles.
        card: Where it comes from: data by licence, steps, losses, time, licence; anything.
    """

    architecture: str
    network: Any
    variables: Params
    styles: tuple[str, ...]
    card: Mapping[str, Any]


def save_model(
    path: FilePath,
    network: Any,
    variables: Params,
    *,
    styles: Sequence[str],
    card: Mapping[str, Any],
    encoder: Mapping[str, str] | None = None,
) -> None:
    """Write a trained network as one file; parameters in float16, running statistics in float32.

    Of a network around an encoder, such as a HuangNetwork, the decoder alone is written, and the
    name and hash of its encoder's weights.

    Args:
        path: Where to; ends in .safetensors.
        network: One of architectures.ARCHITECTURES.
        variables: Its variables.
        styles: The names of its styles, in the order of their rows; each may be part of a file's
            name.
        card: What should be known of it, in types that JSON has.
        encoder: For a network around one, "weights" and "arrays_sha256" from describe_weights.

    Raises:
        ValueError: The path has another extension, or variables or styles do not fit the network,
            or a number is not finite in float16.
        OSError: The file cannot be written.
    """
    where = f"cannot write {quoted(path)}"
    if Path(path).suffix != EXTENSION:
        raise ValueError(f"{where}: wanted a name that ends in {EXTENSION}")
    try:
        name, settings = check_model(network, styles=styles)
        arrays = {key: _stored(key, array) for key, array in _held(variables, name).items()}
        _check_arrays(arrays, name, network)
        header = (
            {} if ARCHITECTURES[name].outside is None else {"encoder": _describe_encoder(encoder)}
        )
        header |= {
            "kind": _KIND,
            "network": name,
            "settings": json.dumps(settings),
            "styles": _to_json(list(styles)),
            "card": _to_json(dict(card)),
        }
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
    files.save_arrays(path, arrays, header)


def _to_json(value: Any) -> str:
    """Return value as JSON in Unicode.

    A path that is not UTF-8 holds lone surrogates, with which no reader takes the file; JSON has an
    escape for them, from which the same path is read again.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _describe_encoder(encoder: Mapping[str, str] | None) -> str:
    kept = {key: (encoder or {}).get(key) for key in ("weights", "arrays_sha256")}
    if kept["weights"] not in WEIGHT_SETS or not kept["arrays_sha256"]:
        raise ValueError(
            f"encoder: wanted the weights that the decoder was trained with, one of "
            f"{', '.join(WEIGHT_SETS)}, and their arrays_sha256, got {encoder}"
        )
    return json.dumps(kept)


def check_model(network: Any, *, styles: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return a network's architecture and settings, if it and its styles' names can be saved.

    Raises:
        ValueError: save_model would refuse them, whatever the network's variables are.
    """
    name = next((n for n, a in ARCHITECTURES.items() if type(network) is a.network), None)
    if name is None:
        raise ValueError(f"network: wanted one of {', '.join(ARCHITECTURES)}, got {network}")
    settings = {key: getattr(network, key) for key in ARCHITECTURES[name].settings}
    _check_settings(name, settings)
    _check_styles(styles, ARCHITECTURES[name].num_styles(network))
    return name, settings


def load_model(path: FilePath, *, precision: Precision = "float32") -> Model:
    """Return the network in a file that save_model wrote.

    Args:
        path: The file.
        precision: The network's; see nst_jax.ops.convolution.

    Raises:
        ValueError: It is no such file, damaged or too large, or its arrays do not fit its header.
        OSError: It cannot be read.
    """
    return _load(path, precision, check=_check_arrays)


def load_shipped_model(path: FilePath, *, precision: Precision = "float32") -> Model:
    """Return what load_model returns of a file of this package, half a second sooner.

    Its arrays are not compared with the network's, for which the network is traced.

    Args:
        path: The file.
        precision: The network's; see nst_jax.ops.convolution.

    Raises:
        ValueError: As load_model, but for the arrays.
        OSError: It cannot be read.
    """
    return _load(path, precision, check=lambda arrays, name, network: None)


def _load(path: FilePath, precision: Precision, *, check: Callable[..., None]) -> Model:
    arrays, header = files.load_arrays(path, max_bytes=_MAX_BYTES)
    name, settings, styles, card = _parse(header, path)
    if ARCHITECTURES[name].outside is None:
        network, outside = ARCHITECTURES[name].network(**settings, precision=precision), {}
    else:
        network, outside = _build_around_encoder(name, header, settings, path, precision)
    try:
        _check_styles(styles, ARCHITECTURES[name].num_styles(network))
        check(arrays, name, network)
    except ValueError as error:
        raise _damaged(path, error) from error
    # jnp.asarray compiles a program for each shape.
    whole = outside | jax.device_put({k: array.astype(np.float32) for k, array in arrays.items()})
    return Model(name, network, unflatten_dict(whole, sep="/"), tuple(styles), card)


def _build_around_encoder(
    name: str,
    header: Mapping[str, str],
    settings: Mapping[str, Any],
    path: FilePath,
    precision: Precision,
) -> tuple[Any, dict[str, Any]]:
    """The network, and the arrays of its encoder, which the file names."""
    try:
        wanted = _parse_json(header, "encoder", dict)
        weights, sha256 = wanted["weights"], wanted["arrays_sha256"]
        if weights not in WEIGHT_SETS:
            raise ValueError(f"encoder: wanted one of {', '.join(WEIGHT_SETS)}, got {weights!r}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    architecture = settings["architecture"]
    encoder, encoder_params = load_encoder(architecture, weights=weights, precision=precision)
    found = describe_weights(architecture, weights=weights)["arrays_sha256"]
    if found != sha256:
        raise ValueError(
            f"cannot use {quoted(path)}: it wants the encoder {weights} whose arrays_sha256 is "
            f"{str(sha256)[:64]!r}, and this machine has another, {found}; fetch or make that one"
        )
    kept = encoder_params_up_to_layer(encoder_params)["params"]
    around = ARCHITECTURES[name].around
    assert around is not None
    return around(encoder, settings, precision), _flat({"params": {"encoder": kept}})


def read_styles(path: FilePath) -> tuple[str, ...]:
    """Return the names of the styles that a model file names; its arrays are not even read.

    Raises:
        ValueError: It is no file that save_model wrote, or is damaged.
        OSError: It cannot be read.
    """
    header = files.load_strings(path)
    styles = _parse(header, path)[2]
    try:
        _check_styles(styles, len(styles))
    except ValueError as error:
        raise _damaged(path, error) from error
    return tuple(styles)


def _parse(
    header: Mapping[str, str], path: FilePath
) -> tuple[str, dict[str, Any], list[Any], dict[str, Any]]:
    """The header's network, settings, styles and card, of which the settings are checked."""
    if header.get("kind") != _KIND:
        raise ValueError(
            f"{quoted(path)} is not a model of nst_jax: its header does not say {_KIND!r}; "
            "name a file that nst-jax train has made"
        )
    try:
        name = header["network"]
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise ValueError(f"network: wanted one of {known}, got {name!r}; a newer nst-jax may")
        settings, card = (_parse_json(header, key, dict) for key in ("settings", "card"))
        _check_settings(name, settings)
        return name, settings, _parse_json(header, "styles", list), card
    except (KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def _parse_json(header: Mapping[str, str], key: str, wanted: type) -> Any:
    value = json.loads(header[key])
    if not isinstance(value, wanted):
        raise ValueError(f"{key}: wanted a JSON {wanted.__name__}, got {type(value).__name__}")
    return value


def _check_settings(name: str, settings: Mapping[str, Any]) -> None:
    allowed = ARCHITECTURES[name].settings
    if settings.keys() != allowed.keys():
        raise ValueError(f"settings: wanted {', '.join(allowed)}, got {list(settings)}")
    for key, choices in allowed.items():
        if not _is_among(settings[key], choices):
            raise ValueError(f"{key}: wanted {_describe(choices)}, got {settings[key]!r}")


def _is_among(value: Any, choices: Choices) -> bool:
    wanted = int if isinstance(choices, range) else str
    return type(value) is wanted and value in choices  # neither True nor 1.0 is a width


def _describe(choices: Choices) -> str:
    if isinstance(choices, range):
        return f"a whole number from {choices[0]} to {choices[-1]}"
    return " or ".join(choices)


def _check_styles(styles: Sequence[Any], wanted: int) -> None:
    for style in styles:
        if not isinstance(style, str) or not 0 < len(style) <= _MAX_NAME:
            raise ValueError(f"styles: wanted names of 1 to {_MAX_NAME} characters, got {style!r}")
        if not style.isprintable() or _NOT_IN_NAMES & set(style) or style[0] in ".-":
            raise ValueError(
                f"styles: a name is part of file names, so that it neither begins with . or - nor "
                f"holds {' '.join(sorted(_NOT_IN_NAMES))} or what cannot be printed, got {style!r}"
            )
    if len(styles) != wanted or len({*styles, _ALL}) != wanted + 1:
        raise ValueError(
            f"styles: wanted {wanted} different names, none of them {_ALL!r}, got {list(styles)}"
        )


def _check_arrays(arrays: Mapping[str, np.ndarray], name: str, network: Any) -> None:
    shapes = _held(variable_shapes(name, network), name)
    if odd := arrays.keys() ^ shapes.keys():
        first = min(odd)
        state = "is missing" if first in shapes else "does not belong to it"
        raise ValueError(f"array {first!r}: {state}, where {name} has {len(shapes)} arrays")
    for key, array in arrays.items():
        if array.shape != shapes[key].shape or array.dtype not in (np.float16, np.float32):
            raise ValueError(
                f"array {key!r}: wanted float16 or float32 of shape {shapes[key].shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"array {key!r}: holds numbers that are not finite in {array.dtype}")


def _held(variables: Params, name: str) -> dict[str, Any]:
    """What a file holds of variables."""
    outside = ARCHITECTURES[name].outside
    return {
        key: array
        for key, array in _flat(variables).items()
        if outside is None or not key.startswith(f"{outside}/")
    }


def _flat(variables: Params) -> dict[str, Any]:
    return flatten_dict(variables, sep="/")


def _stored(key: str, array: Any) -> np.ndarray:
    # A variance of values up to 255 leaves float16's range, which ends at 65504.
    dtype = np.float32 if key.startswith("batch_stats/") else np.float16
    with np.errstate(over="ignore"):  # told by name, as what is not finite
        return np.asarray(jax.device_get(array)).astype(dtype)


def _damaged(path: FilePath, error: Exception) -> ValueError:
    text = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
    text = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]} ..."
    return ValueError(
        f"cannot use {quoted(path)}: damaged, or of another version ({text}); fetch or make it "
        "again"
    )
