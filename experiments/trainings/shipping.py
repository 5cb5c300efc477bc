"""What the scripts that train the networks which ship have in common: options, steps, cards."""

import argparse
import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from experiments.common import provenance
from experiments.common.data_folder import add_data_option
from nst_jax import files, stylizers, train
from nst_jax.encoders.weights.pretrained import describe_weights

_FIELDS = (
    "precision",
    "num_steps",
    "batch_size",
    "size",
    "learning_rate",
    "content_weight",
    "style_weight",
)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add what every such script takes."""
    add_data_option(parser)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), help="the preset's if unset"
    )
    parser.add_argument("--num-steps", type=int, help="not the preset's")
    parser.add_argument("--batch-size", type=int, help="not the preset's")
    parser.add_argument("--size", type=int, help="of the crops, not the preset's")
    parser.add_argument("--shorter-side", type=int, nargs=2, help="not the preset's")
    parser.add_argument("--learning-rate", type=float, help="not the preset's")
    parser.add_argument("--content-weight", type=float, help="not the preset's")
    parser.add_argument("--style-weight", type=float, help="not the preset's")
    parser.add_argument(
        "--report-every", type=int, default=250, help="steps between samples, and checkpoints"
    )
    parser.add_argument("--start-from", metavar="MODEL", help="a network to begin with")
    parser.add_argument("--out", type=Path, default=Path("nst_jax/assets/models"))


def configure(config: Any, options: argparse.Namespace, **fields: Any) -> Any:
    """Return config with what the options say otherwise, and the fields that are not None."""
    given = {name: getattr(options, name) for name in _FIELDS} | fields
    if options.shorter_side is not None:
        given["shorter_side"] = tuple(options.shorter_side)
    return dataclasses.replace(config, **{k: v for k, v in given.items() if v is not None})


def load_start(options: argparse.Namespace) -> tuple[Any, dict[str, str]]:
    """Return the variables of the network to begin with, and its hash; None and {} without one."""
    if options.start_from is None:
        return None, {}
    path = stylizers.model_path(options.start_from)
    return stylizers.load_model(path).variables, {"start_sha256": files.sha256_of(path)}


def print_steps() -> Callable[[Any], None]:
    """Return an on_step that prints a line every hundred steps."""
    started = time.time()

    def on_step(report) -> None:
        if report.step % 100 == 0:
            terms = "  ".join(f"{name} {value:.4g}" for name, value in report.terms.items())
            print(f"{time.time() - started:7.0f} s  step {report.step}  {terms}", flush=True)

    return on_step


def describe_command(options: argparse.Namespace, *words: str) -> str:
    """Return the command that was given, of whose paths only files' names are told."""
    parts = [provenance.describe_module(), *words]
    # Folders, what *words say already, and what changes no weight.
    left_out = {"data", "workdir", "out", "paper", "styles", "report_every"}
    for name, value in vars(options).items():
        if value is True:
            parts.append(f"--{name.replace('_', '-')}")
        elif name not in left_out and value not in (None, "cpu") and value is not False:
            given = value if isinstance(value, list | tuple) else [value]
            parts += [f"--{name.replace('_', '-')}", *(Path(str(one)).name for one in given)]
    return " ".join(parts)


def make_card(
    options: argparse.Namespace,
    config: Any,
    trained: train.Trained,
    *,
    paper: str,
    command: str,
    data: Mapping[str, Any],
    start_sha256: Mapping[str, str],
) -> dict[str, Any]:
    """Return what should be known of a network that ships."""
    return {
        "paper": paper,
        "command": command,
        "preset": options.preset,
        "config": dataclasses.asdict(config),
        **data,
        "steps": trained.step,
        **(_describe_start(options, start_sha256) if start_sha256 else {}),
        "seed": config.seed,
        "held_out_losses": dict(trained.held_out),
        "encoder_sha256": describe_weights(config.encoder, weights=config.weights)["arrays_sha256"],
        "device": f"{jax.devices()[0].device_kind}, {jax.device_count()} device",
        "licence": "Apache-2.0",
    }


def _describe_start(options: argparse.Namespace, start_sha256: Mapping[str, str]) -> dict[str, Any]:
    path = stylizers.model_path(options.start_from)
    card = stylizers.load_model(path).card
    return {"start_from": path.name, **start_sha256, "start_card": dict(card)}
