"""What a training must know of a paper, as one record a paper."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nst_jax.train.datasets import PictureStream
from nst_jax.train.fit_network import Trained
from nst_jax.train.streams import open_stream, stream_options

Styles = Literal["one", "several", "any", "collection", "frames"]
"""What a network paints like: one style or several, chosen before its training; any painting; a
collection of paintings, such as a painter's; or as a few frames of a clip are painted."""


class Stage(NamedTuple):
    """A part of a training that has steps and checkpoints of its own.

    Attributes:
        num_steps: How many steps it has.
        folder: Where its checkpoints lie, below the run's folder; "" for the folder itself.
    """

    num_steps: int
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainingPaper:
    """How the networks of a paper are trained.

    Attributes:
        name: What its networks are called in stylizers.architectures and on the command line.
        title: What is trained, and the paper, as one line of help.
        presets: Ready configurations by name.
        styles: What its networks paint like. Networks of any style and of a collection are trained
            on a train.Pair a step, those of frames on train.PaintedPatches, the others on
            photographs alone.
        make_network: (config, num_styles, encoder) -> the linen module; num_styles is 0 for any.
        fit: (paintings, stream, config, encoder, encoder_params, *, held_out, samples, reporting,
            start=None) -> Trained. paintings are the styles' pictures; held_out and samples are
            pictures. Of any style, a collection and frames there are no paintings; held_out is a
            Pair, and but for frames samples is one too.
        trainable: Whether a parameter is trained, by its names from the outermost module on; None
            where all are, but for an encoder that a file of such networks leaves out.
        stages: (config) -> the parts of a training in their order; the last is the run's own.
        without_first_stages: (config) -> the configuration of a training that begins with a trained
            network: of its last stage alone.
        open_stream: (config, photographs, paintings) -> the batches of a training.
        add_style: (painting, network, variables, stream, config, encoder, encoder_params, *,
            held_out, samples, reporting) -> Trained: teaches a trained network one more style.
    """

    name: str
    title: str
    presets: Mapping[str, Any]
    styles: Styles
    make_network: Callable[[Any, int, Any], Any]
    fit: Callable[..., Trained]
    trainable: Callable[[Sequence[str]], bool] | None = None
    stages: Callable[[Any], tuple[Stage, ...]] = lambda config: (Stage(config.num_steps),)
    without_first_stages: Callable[[Any], Any] = lambda config: config
    open_stream: Callable[[Any, Sequence[Path], Sequence[Path]], PictureStream] = (
        lambda config, photographs, paintings: open_stream(photographs, **stream_options(config))
    )
    add_style: Callable[..., Trained] | None = None
