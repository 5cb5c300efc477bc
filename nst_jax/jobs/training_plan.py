"""What a training is to do, and all that can be wrong with it before the hours begin."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from nst_jax import files, stylizers, train
from nst_jax.array_types import Image, Params
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import WEIGHT_SETS, describe_weights, load_encoder
from nst_jax.files.disk import FilePath, quoted
from nst_jax.jobs.training_papers import TRAINING_PAPERS
from nst_jax.networks.huang import encoder_params_up_to_layer
from nst_jax.stylizers.architectures import ARCHITECTURES, variable_shapes
from nst_jax.train import Stage, TrainingPaper
from nst_jax.train.config import TrainingConfig
from nst_jax.train.training_paper import Styles

MODEL = "model.safetensors"
"""What the trained network's file is called in a run's folder."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A training, its pictures named by paths; fields are called as the options of nst-jax train.

    Attributes:
        paper: A name in TRAINING_PAPERS.
        config: One of the paper's presets, or a variation by its vary.
        workdir: The run's folder; the network is its model.safetensors in the end.
        content_dir: Photographs, in these folders and all below them.
        held_out_dir: Photographs that are not trained on, whose losses are logged; without any,
            training pictures.
        style: The paintings of a network of one style or of several.
        style_dir: Folders of paintings: further styles of a network of several, or those that a
            network of any style or of a collection is trained on, with all folders below.
        held_out_style_dir: Paintings that are not trained on, for a network of any style.
        frames: The folder of a clip's frames, for a network that learns from painted ones.
        painted: The folder of those that are painted, called as their frames are.
        add_style: A painting that model is taught too.
        model: The name or file of the trained network that add_style begins with.
        start_from: The name or file of a trained network of the same shape to begin with.
        save_every: Steps between checkpoints; 0 saves at the end alone.
        report_every: Steps between held-out losses, and between sheets; 0 makes them at the end.
        time_limit: Seconds that the training may take, in place of the configuration's steps. Their
            number is planned once steps are measured; schedules end with the last one.
        origin: What the network's card says of where the job comes from, such as its command.
    """

    paper: str
    config: TrainingConfig
    workdir: FilePath
    content_dir: Sequence[FilePath] = ()
    held_out_dir: Sequence[FilePath] = ()
    style: Sequence[FilePath] = ()
    style_dir: Sequence[FilePath] = ()
    held_out_style_dir: Sequence[FilePath] = ()
    frames: FilePath | None = None
    painted: FilePath | None = None
    add_style: FilePath | None = None
    model: FilePath | None = None
    start_from: FilePath | None = None
    save_every: int = 250
    report_every: int = 250
    time_limit: float | None = None
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Plan(NamedTuple):
    """What is trained, and by what call.

    Attributes:
        paper: How networks of this kind are trained.
        config: The paper's Config; weights are named in it.
        stages: The parts of the training, the last being the run's own.
        network: What is trained.
        styles: The names of the network's styles, in order; none where it paints after any.
        paintings: The styles that are learnt now, and their files.
        fit: The paper's fit or add_style, given the styles.
        base: Of the network that training begins with: its file's sha256, and its card.
        weights: What is known of the encoder's weights.
    """

    paper: TrainingPaper
    config: Any
    stages: tuple[Stage, ...]
    network: Any
    styles: tuple[str, ...]
    paintings: Mapping[str, Path]
    fit: Callable[..., train.Trained]
    base: Mapping[str, Any] = {}
    weights: Mapping[str, str] = {}

    @property
    def num_steps(self) -> int:
        """How many steps the training has, those of all stages."""
        return sum(stage.num_steps for stage in self.stages)

    @property
    def num_new(self) -> int:
        """How many styles are learnt now: all, or one that is added."""
        return len(self.paintings)

    @property
    def is_around_encoder(self) -> bool:
        """Whether the network's file does not hold the encoder that it needs, but names it."""
        return ARCHITECTURES[self.paper.name].outside is not None

    def trained_shapes(self) -> dict[tuple[str, ...], Any]:
        """Return the shapes of the parameters that are trained, by their paths."""
        shapes = flatten_dict(variable_shapes(self.paper.name, self.network)["params"])
        outside = tuple((ARCHITECTURES[self.paper.name].outside or "").split("/")[1:])
        trainable = self.paper.trainable or (
            lambda path: not outside or path[: len(outside)] != outside
        )
        return {path: shape for path, shape in shapes.items() if trainable(path)}


def make_plan(job: TrainingJob) -> Plan:
    """Return what a job asks for, having read its paintings and whatever it begins with.

    Raises:
        ValueError: A field has a wrong value, two do not fit together, a painting is no picture,
            a name is none that a style can have, or the model is none that a style can be added to.
        OSError: A file cannot be read.
    """
    if job.paper not in TRAINING_PAPERS:
        raise ValueError(f"paper: wanted {', '.join(TRAINING_PAPERS)}, got {job.paper!r}")
    paper = TRAINING_PAPERS[job.paper]
    for name in ("save_every", "report_every"):
        steps = getattr(job, name)
        if steps < 0:
            raise ValueError(f"{name}: wanted 0 or more steps, got {steps}")
    if job.time_limit is not None and not 0 < job.time_limit < float("inf"):
        raise ValueError(f"time_limit: wanted seconds, above 0, got {job.time_limit}")
    if job.start_from is not None:
        job = dataclasses.replace(job, config=paper.without_first_stages(job.config))
    if job.add_style is not None:
        plan = _plan_addition(job, paper)
    else:
        plan = _PLANS[paper.styles](job, paper)
    stylizers.check_model(plan.network, styles=plan.styles)  # what saving would raise in hours
    config = plan.config
    described = describe_weights(config.encoder, weights=config.weights)
    config = dataclasses.replace(config, weights=config.weights or described["weights"])
    plan = plan._replace(config=config, weights=described)
    return plan if job.start_from is None else _start_from(job, plan)


def check_weights_name(paper: TrainingPaper, weights: str | None) -> None:
    """Refuse weights that the file of a paper's networks cannot name.

    Raises:
        ValueError: The networks paint by an encoder that their file does not hold, and weights is
            a file and not a name.
    """
    is_outside = ARCHITECTURES[paper.name].outside is not None
    if is_outside and weights is not None and weights not in WEIGHT_SETS:
        raise ValueError(
            f"weights: wanted a name, as the network's file has room for no more, got {weights!r}; "
            f"choose from {', '.join(WEIGHT_SETS)}"
        )


def _plan_fixed_styles(job: TrainingJob, paper: TrainingPaper) -> Plan:
    if job.model is not None:
        raise ValueError(f"model: wanted with --add-style only, got {str(job.model)!r}")
    below = [path for folder in job.style_dir for path in files.list_images(folder)]
    paths = [*map(Path, job.style), *below]
    if paper.styles == "one" and len(paths) != 1:
        several = next(name for name, other in TRAINING_PAPERS.items() if other.styles == "several")
        raise ValueError(
            f"style: wanted one painting, got {len(paths)}; nst-jax train {several} takes several"
        )
    if not paths:
        raise ValueError("style: wanted at least one painting, got none; see also --style-dir")
    paintings = _name_styles(paths)
    return Plan(
        paper=paper,
        config=job.config,
        stages=paper.stages(job.config),
        network=paper.make_network(job.config, len(paintings), _find_encoder(job, paper)),
        styles=tuple(paintings),
        paintings=paintings,
        fit=partial(paper.fit, _load_paintings(paintings, job.config)),
    )


def _find_encoder(job: TrainingJob, paper: TrainingPaper) -> VGG | None:
    """What a network paints by, where its file does not hold it."""
    check_weights_name(paper, job.config.weights)
    if ARCHITECTURES[paper.name].outside is None:
        return None
    return load_encoder(job.config.encoder, weights=job.config.weights)[0]


def _plan_any_style(job: TrainingJob, paper: TrainingPaper) -> Plan:
    return Plan(
        paper=paper,
        config=job.config,
        stages=paper.stages(job.config),
        network=paper.make_network(job.config, 0, _find_encoder(job, paper)),
        styles=(),
        paintings={},
        fit=paper.fit,
    )


def _plan_painted_frames(job: TrainingJob, paper: TrainingPaper) -> Plan:
    if job.frames is None or job.painted is None:
        raise ValueError("painted: wanted two folders, frames and painted, got fewer")
    return _plan_folder(job, paper, job.painted)


def _plan_collection(job: TrainingJob, paper: TrainingPaper) -> Plan:
    if not job.style_dir:
        raise ValueError("style_dir: wanted a folder of paintings, got none")
    return _plan_folder(job, paper, job.style_dir[0])


def _plan_folder(job: TrainingJob, paper: TrainingPaper, folder: FilePath) -> Plan:
    """Of one style, which is called as the folder."""
    name = Path(os.path.abspath(folder)).name
    return Plan(
        paper=paper,
        config=job.config,
        stages=paper.stages(job.config),
        network=paper.make_network(job.config, 1, None),
        styles=(name,),
        paintings={name: Path(folder)},
        fit=paper.fit,
    )


_PLANS: Mapping[Styles, Callable[[TrainingJob, TrainingPaper], Plan]] = {
    "one": _plan_fixed_styles,
    "several": _plan_fixed_styles,
    "any": _plan_any_style,
    "collection": _plan_collection,
    "frames": _plan_painted_frames,
}


def _plan_addition(job: TrainingJob, paper: TrainingPaper) -> Plan:
    if paper.add_style is None:
        raise ValueError(f"add_style: wanted for a network of several styles, got {job.paper}")
    if job.add_style is None or job.model is None:
        raise ValueError("add_style: wanted with --model, the trained network to begin with")
    if job.style or job.style_dir or job.start_from is not None:
        raise ValueError(
            "add_style: wanted without --style, --style-dir, --width and --start-from, which are "
            "for a new network; give one painting, and --model"
        )
    paintings = _name_styles([Path(job.add_style)])
    (name,), (painting,) = paintings, _load_paintings(paintings, job.config)
    path = _model_path(job.model, job)
    model = stylizers.load_model(path)
    if model.architecture != paper.name:
        raise ValueError(
            f"model: wanted a network of {paper.name}, got {quoted(path)} of {model.architecture}, "
            "which has but one style"
        )
    if name in model.styles:
        raise ValueError(
            f"add_style: wanted a new name, got {name!r}, which {quoted(path)} has; "
            "rename the painting's file"
        )
    config: Any = dataclasses.replace(job.config, width=model.network.width)
    return Plan(
        paper=paper,
        config=config,
        stages=(Stage(config.add_style_steps),),
        network=paper.make_network(config, len(model.styles) + 1, None),
        styles=(*model.styles, name),
        paintings=paintings,
        fit=partial(paper.add_style, painting, model.network, model.variables),
        base={"sha256": files.sha256_of(path), "card": model.card},
    )


def _start_from(job: TrainingJob, plan: Plan) -> Plan:
    """The plan with another network's variables to begin with."""
    assert job.start_from is not None
    path = _model_path(job.start_from, job)
    model = stylizers.load_model(path, precision=plan.network.precision)
    if model.network != plan.network:
        wanted, found = (
            "a network of {} with {}".format(*stylizers.check_model(network, styles=styles))
            for network, styles in ((plan.network, plan.styles), (model.network, model.styles))
        )
        raise ValueError(
            f"start_from: wanted {wanted}, got {quoted(path)}, {found}; see "
            f"{'--encoder' if plan.is_around_encoder else '--width'} and --preset"
        )
    if plan.is_around_encoder:
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


def _model_path(name: FilePath, job: TrainingJob) -> Path:
    """The file of a trained network, which the run must not replace."""
    path = stylizers.model_path(name)
    if path.resolve() == (Path(job.workdir) / MODEL).resolve():
        raise ValueError(
            f"workdir: wanted a folder other than that of the model, {quoted(path)}, which would "
            "be replaced"
        )
    return path


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
