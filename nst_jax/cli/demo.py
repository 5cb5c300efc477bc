"""`nst-jax demo`: bundled photographs painted after bundled paintings, with nothing to give.

Each is painted twice: at once, by a trained network, and by optimising its pixels. Pictures of an
earlier demo are refreshed, but for those that would come out the same after minutes.
"""

import dataclasses
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax.numpy as jnp
from tyro.conf import arg

from nst_jax import files
from nst_jax.array_types import ImageOfAnySize
from nst_jax.cli.environment import check_device, describe_device, keep_compiled_programs
from nst_jax.cli.optimize import describe_result
from nst_jax.cli.shared_options import parse
from nst_jax.jobs.paint import Hooks, PaintJob, load_pictures, paint_loaded
from nst_jax.jobs.paint_file import describe_origin, identify
from nst_jax.ops.resizing import resize
from nst_jax.papers.gatys_2016 import PRESETS
from nst_jax.progress import describe_seconds, follow_painting
from nst_jax.runs.compile_time import compile_seconds
from nst_jax.stylizers import DEFAULT_MODEL, load_stylizer

FOLDER = Path("nst-jax-demo")

_GAP = 8  # pixels of white between the pictures of a sheet
# Both photographs have the same shape, so that the second run finds its programs compiled.
_PAIRS = (
    ("castle", "content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"),
    ("lemurs", "content/ring_tailed_lemur.jpg", "style/van_gogh_night_cafe.jpg"),
)


@dataclass(frozen=True)
class Demo:
    """Paint two bundled photographs after two bundled paintings, both ways, into ./nst-jax-demo."""

    size: Annotated[int, arg(metavar="PIXELS")] = 384
    """Longer side of the pictures. Half of it takes a quarter of the time."""
    num_steps: Annotated[int, arg(metavar="N")] = PRESETS["default"].num_steps
    """Steps for each picture that is optimised."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax demo` say and return the exit status."""
    description = (
        f"{Demo.__doc__}\n\nThe first pictures come in seconds; those whose pixels are optimised "
        "take two or three minutes on two cores, and are kept by the next demo."
    )
    options = parse(Demo, arguments, command="demo", description=description)
    check_device()
    config = dataclasses.replace(PRESETS["default"], size=options.size, num_steps=options.num_steps)
    _make_folder()
    keep_compiled_programs()
    print(describe_device(), flush=True)
    began = time.monotonic()
    jobs = {
        name: PaintJob(files.asset_path(content), [files.asset_path(style)], config)
        for name, content, style in _PAIRS
    }
    pictures = {name: load_pictures(job) for name, job in jobs.items()}
    stylizer = load_stylizer(DEFAULT_MODEL)
    painted = {}
    for name, loaded in pictures.items():
        started = time.monotonic()
        with compile_seconds() as compiling:
            painted[name] = stylizer(loaded.content, loaded.styles[0])
            told = describe_seconds(time.monotonic() - started, compiling())
        _save(f"{name}_one_pass", painted[name])
        print(f"{FOLDER / name}_one_pass.png: {told}", flush=True)
    for name, job in jobs.items():
        loaded, path = pictures[name], FOLDER / f"{name}.png"
        origin = describe_origin(identify(job, loaded), config.num_steps)
        if files.load_origin(path) == origin:
            print(f"{path}: there already, by this version and these settings", flush=True)
            image = files.load_image(path)
        else:
            with follow_painting() as on_progress:
                result = paint_loaded(job, loaded, Hooks(on_progress))
            if not result.is_finished:
                raise KeyboardInterrupt(f"stopped before {path} was finished")
            image = result.image
            _save(name, image, origin=origin)
            print(describe_result(path, image, result.record), flush=True)
        _save(f"{name}_sheet", make_sheet([loaded.content, loaded.styles[0], painted[name], image]))
    print(
        f"{time.monotonic() - began:.0f} s in all. Photograph, painting, in one pass, optimised: "
        + ", ".join(os.fspath(FOLDER / f"{name}_sheet.png") for name in pictures)
    )
    print("Now your own: nst-jax stylize photo.jpg --style painting.jpg -o out.png")
    print("or, slowly:   nst-jax optimize photo.jpg painting.jpg -o out.png")
    return 0


def _save(name: str, image: ImageOfAnySize, *, origin: str | None = None) -> None:
    files.save_image(FOLDER / f"{name}.png", image, origin=origin)


def make_sheet(pictures: Sequence[ImageOfAnySize]) -> ImageOfAnySize:
    """Return the pictures side by side on white, all as high as the last one."""
    height = pictures[-1].shape[1]
    gap = jnp.ones((1, height, _GAP, 3), jnp.float32)
    row = []
    for picture in pictures:
        width = max(1, round(picture.shape[2] * height / picture.shape[1]))
        row += [gap, resize(picture, height=height, width=width)]
    return jnp.concatenate(row[1:], axis=2)


def _make_folder() -> None:
    try:
        FOLDER.mkdir(exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"cannot make the folder '{FOLDER}' in {Path.cwd()}: {error.strerror}; "
            "go to a folder that you may write to"
        ) from error
