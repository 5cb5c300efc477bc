"""What `nst-jax train` is to train, and all that can be wrong with it before the hours begin."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nst_jax import files, stylizers, train
from nst_jax.array_types import Image, Params
from nst_jax.cli.train_options import (
    Dumoulin2017,
    Huang2017,
    Johnson2016,
    Training,
    make_config,
)
from nst_jax.encoders.weights.pretrained import WEIGHT_SETS, describe_weights, load_encoder
from nst_jax.files.disk import quoted
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.huang import encoder_params_up_to_layer
from nst_jax.papers import dumoulin_2017, huang_2017, johnson_2016
from nst_jax.stylizers.architectures import variable_shapes

MODEL = "model.safetensors"
"""What the trained network's file is called in a run's folder."""


class Plan(NamedTuple):
    """What is trained, and by what call.

    Attributes:
        paper: Its name, and the network's.
        config: The paper's Config; weights are named in it.
        num_steps: How many steps it has, a warm start's counted too.
        network: What is trained.
        styles: The names of the network's styles, in order; none where it paints after any.
        paintings: The styles that are learnt now, and their files.
        fit: The paper's, given the styles.
        warm_start_steps: How many of the steps are a stage of their own, before the others.
        base: Of the network that training begins with: its file's sha256, and its card.
        weights: What is known of the encoder's weights.
    """

    paper: str
    config: Any
    num_steps: int
    network: Any
    styles: tuple[str, ...]
    paintings: Mapping[str, Path]
    fit: Callable[..., train.Trained]
    warm_start_steps: int = 0
    base: Mapping[str, Any] = {}
    weights: Mapping[str, str] = {}

    @property
    def num_new(self) -> int:
        """How many styles are learnt now: all, or one that is added."""
        return len(self.paintings)

    @property
    def outside(self) -> dict[str, str] | None:
        """What the network's file names of the encoder, where it does not hold what it needs."""
        if self.paper != "huang2017":
            return None
        return {name: self.weights[name] for name in ("weights", "arrays_sha256")}


def make_plan(options: Training) -> Plan:
    """Return what the options ask for.

    Raises:
        ValueError: An option has a wrong value, two do not fit together, a painting is no picture,
            a name is none that a style can have, or the model is none that a style can be added to.
        OSError: A file cannot be read.
    """
    if isinstance(options, Johnson2016):
        plan = _plan_johnson(options)
    elif isinstance(options, Dumoulin2017):
        plan = _plan_dumoulin(options) if options.add_style is None else _plan_addition(options)
    elif isinstance(options, Huang2017):
        plan = _plan_huang(options)
    else:
        raise AssertionError(f"no plan for {type(options).__name__}")
    stylizers.check_model(plan.network, styles=plan.styles)  # what saving would raise in hours
    config = plan.config
    described = describe_weights(config.encoder, weights=config.weights)
    config = dataclasses.replace(config, weights=config.weights or described["weights"])
    plan = plan._replace(config=config, weights=described)
    return plan if options.run.start_from is None else _start_from(options, plan)


def _start_from(options: Training, plan: Plan) -> Plan:
    """The plan with another network's variables to begin with."""
    path = _model_path(str(options.run.start_from), options)
    model = stylizers.load_model(path, precision=plan.network.precision)
    if model.network != plan.network:
        wanted, found = (
            "a network of {} with {}".format(*stylizers.check_model(network, styles=styles))
            for network, styles in ((plan.network, plan.styles), (model.network, model.styles))
        )
        raise ValueError(
            f"start_from: wanted {wanted}, got {quoted(path)}, {found}; see "
            f"{'--encoder' if isinstance(options, Huang2017) else '--width'} and --preset"
        )
    if isinstance(options, Huang2017):
        _check_encoder(plan, path, model.variables)
    base = {"sha256": files.sha256_of(path), "card": model.card}
    return plan._replace(fit=partial(plan.fit, start=model.variables), base=base)


def _check_encoder(plan: Plan, path: Path, variables: Params) -> None:
    """Refuse a decoder of other weights' features."""
    _, encoder_params = load_encoder(plan.config.encoder, weights=plan.config.weights)
    wanted = encoder_params_up_to_layer(encoder_params)["params"]
    same = jax.tree.map(np.array_equal, wanted, variables["params"]["encoder"])
    if not jax.tree.all(same):
        raise ValueError(
            f"start_from: wanted a network around {plan.config.weights}, got {quoted(path)} around "
            "other weights; see --weights"
        )


def _model_path(name: str, options: Training) -> Path:
    """The file of a trained network, which the run must not replace."""
    path = stylizers.model_path(name)
    if path.resolve() == (options.data.workdir / MODEL).resolve():
        raise ValueError(
            f"workdir: wanted a folder other than that of the model, {quoted(path)}, which would "
            "be replaced"
        )
    return path


def _plan_johnson(options: Johnson2016) -> Plan:
    if len(options.style) != 1:
        raise ValueError(
            f"style: wanted one painting, got {len(options.style)}; "
            "nst-jax train dumoulin2017 takes several"
        )
    config = make_config(options, johnson_2016.PRESETS)
    paintings = _name_styles(options.style)
    (painting,) = _load_paintings(paintings, config)
    return Plan(
        paper="johnson2016",
        config=config,
        num_steps=config.num_steps,
        network=johnson_2016.make_network(config),
        styles=tuple(paintings),
        paintings=paintings,
        fit=partial(johnson_2016.fit, painting),
    )


def _plan_dumoulin(options: Dumoulin2017) -> Plan:
    if options.model is not None:
        raise ValueError(f"model: wanted with --add-style only, got {options.model!r}")
    below = files.list_images(options.style_dir) if options.style_dir else []
    config = make_config(options, dumoulin_2017.PRESETS)
    paintings = _name_styles((*options.style, *below))
    if not paintings:
        raise ValueError("style: wanted at least one painting, got none; see also --style-dir")
    return Plan(
        paper="dumoulin2017",
        config=config,
        num_steps=config.num_steps,
        network=DumoulinNetwork(num_styles=len(paintings), width=config.width),
        styles=tuple(paintings),
        paintings=paintings,
        fit=partial(dumoulin_2017.fit, _load_paintings(paintings, config)),
    )


def _plan_addition(options: Dumoulin2017) -> Plan:
    if options.add_style is None or options.model is None:
        raise ValueError("add_style: wanted with --model, the trained network to begin with")
    given = (options.style, options.style_dir, options.run.width, options.run.start_from)
    if any(value not in ((), None) for value in given):
        raise ValueError(
            "add_style: wanted without --style, --style-dir, --width and --start-from, which are "
            "for a new network; give one painting, and --model"
        )
    config = make_config(options, dumoulin_2017.PRESETS)
    paintings = _name_styles([options.add_style])
    (name,), (painting,) = paintings, _load_paintings(paintings, config)
    path = _model_path(options.model, options)
    model = stylizers.load_model(path)
    if model.architecture != "dumoulin2017":
        raise ValueError(
            f"model: wanted a network of dumoulin2017, got {quoted(path)} of {model.architecture}, "
            "which has but one style"
        )
    if name in model.styles:
        raise ValueError(
            f"add_style: wanted a new name, got {name!r}, which {quoted(path)} has; "
            "rename the painting's file"
        )
    network = dataclasses.replace(model.network, num_styles=len(model.styles) + 1)
    config = dataclasses.replace(config, width=model.network.width)
    return Plan(
        paper="dumoulin2017",
        config=config,
        num_steps=config.add_style_steps,
        network=network,
        styles=(*model.styles, name),
        paintings=paintings,
        fit=partial(dumoulin_2017.add_style, painting, model.network, model.variables),
        base={"sha256": files.sha256_of(path), "card": model.card},
    )


def _plan_huang(options: Huang2017) -> Plan:
    weights = options.network.weights
    if weights is not None and weights not in WEIGHT_SETS:
        raise ValueError(
            f"weights: wanted a name, as the network's file has room for no more, got {weights!r}; "
            f"choose from {', '.join(WEIGHT_SETS)}"
        )
    if options.run.start_from is not None and options.run.warm_start_steps:
        raise ValueError(
            "warm_start_steps: wanted without --start-from, whose network has had them, got "
            f"{options.run.warm_start_steps}"
        )
    config = make_config(options, huang_2017.PRESETS)
    if options.run.start_from is not None:
        config = dataclasses.replace(config, warm_start_steps=0)
    encoder, _ = load_encoder(config.encoder, weights=config.weights)
    return Plan(
        paper="huang2017",
        config=config,
        num_steps=config.warm_start_steps + config.num_steps,
        network=huang_2017.make_network(config, encoder),
        styles=(),
        paintings={},
        fit=huang_2017.fit,
        warm_start_steps=config.warm_start_steps,
    )


def _name_styles(paths: Sequence[Path]) -> dict[str, Path]:
    """The paintings by the names of their styles."""
    named: dict[str, Path] = {}
    for path in paths:
        if path.stem in named:
            raise ValueError(
                f"style: wanted files of different names, after which the styles are called, got "
                f"{quoted(named[path.stem])} and {quoted(path)}; rename one"
            )
        named[path.stem] = path
    return named


def _load_paintings(paintings: Mapping[str, Path], config: Any) -> list[Image]:
    return [files.load_image(path, size=config.style_size) for path in paintings.values()]


def shapes_of(plan: Plan) -> Params:
    """Return the shapes of the network's parameters, but for an encoder's, which are fixed."""
    params = variable_shapes(plan.paper, plan.network)["params"]
    return params["decoder"] if plan.paper == "huang2017" else params
