"""The page itself, of Gradio's parts. What its buttons do is in work.py."""

import contextlib
import dataclasses
import importlib.util
from collections import OrderedDict
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any, get_args

import gradio as gr
from gradio import themes

from nst_jax.app import view, work
from nst_jax.app.device_queue import DeviceQueue, Work
from nst_jax.app.limits import Limits
from nst_jax.app.style_menu import MINE, list_items
from nst_jax.app.uploads import check_upload
from nst_jax.app.visits import Visits
from nst_jax.app.work import BRUSHES, LEAST_SIZE, NOTHING, Look, Place
from nst_jax.jobs.color_words import ColorWord

THEME = themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
"""Fonts that every machine has: Gradio's own come from another host."""

CSS = """
.result img, .result video { max-width: 100%; height: auto; border-radius: 4px; }
.result svg { max-width: 24rem; width: 100%; }
.result a { text-decoration: underline; margin-right: 1em; }
.styles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .6rem; }
.styles button { text-align: left; border: 1px solid var(--border-color-primary); padding: 0;
  border-radius: 4px; overflow: hidden; cursor: pointer; }
.styles button:hover, .styles button:focus-visible { outline: 2px solid var(--color-accent); }
.styles img { width: 100%; display: block; }
.styles span { display: block; padding: .2rem .4rem; font-size: .85rem; }
"""

_CHOOSE = """
element.addEventListener('click', event => {
  const button = event.target.closest('[data-style]');
  if (button) trigger('click', {style: button.dataset.style});
});
"""
_MOST_DRAWINGS = 16
_MOST_EVENTS = 64  # that Gradio holds; the device's own queue is shorter


@dataclasses.dataclass(frozen=True)
class Parts:
    """What the page works with.

    Attributes:
        queue: The device's.
        visits: The visitors.
        uploads: The folder of uploads.
        limits: What may be asked for.
    """

    queue: DeviceQueue
    visits: Visits
    uploads: Path
    limits: Limits


class _Drawings(OrderedDict):
    """What drawing boards have sent and not used yet: the oldest goes where there are many."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > _MOST_DRAWINGS:
            self.popitem(last=False)


def build_page(parts: Parts) -> gr.Blocks:
    """Return the page, to be served.

    Args:
        parts: What it works with.
    """
    with gr.Blocks(title="nst_jax", analytics_enabled=False, delete_cache=(60, 3600)) as page:
        gr.Markdown("# nst_jax\nYour photograph in the style of a painting.")
        with gr.Tabs() as tabs:
            with gr.Tab("Paint", id="paint"):
                label = _paint_tab(parts)
            with gr.Tab("Optimise", id="optimise"):
                _optimise_tab(parts)
            with gr.Tab("Regions", id="regions"):
                _regions_tab(parts)
            with gr.Tab("Styles", id="styles"):
                _styles_tab(parts, label, tabs)
            with gr.Tab("Video", id="video"):
                _video_tab(parts)

        def leave(request: gr.Request) -> None:
            _leave(parts, request)

        page.unload(leave)
    page.queue(max_size=_MOST_EVENTS, default_concurrency_limit=_MOST_EVENTS)
    return page


def _leave(parts: Parts, request: gr.Request) -> None:
    key = str(request.session_hash)
    parts.queue.cancel(key)
    parts.visits.end(key)


class _Result:
    """The right half of a tab: a status line, the result, how to make it again."""

    def __init__(self) -> None:
        self.status = gr.Textbox(label="Status", interactive=False, lines=1, max_lines=3)
        self.shown = gr.HTML()
        with gr.Accordion("The same from a terminal or from Python", open=False):
            self.command = gr.Code(label="Command line", language="shell", lines=2, wrap_lines=True)
            self.python = gr.Code(label="Python", language="python", lines=2, wrap_lines=True)

    @property
    def outputs(self) -> list[Any]:
        return [self.status, self.shown, self.command, self.python]


def _run(
    parts: Parts, request: gr.Request, make: Callable[[Place], Work], *, is_sheet: bool = False
) -> Generator[tuple[Any, Any, Any, Any]]:
    """What a button shows while its job runs."""
    key = str(request.session_hash)
    visit = parts.visits.visit(key)
    job = make(Place(visit, parts.uploads, parts.limits))
    draw = view.sheet_html if is_sheet else view.result_html
    for shown in view.follow(parts.queue, key, job):
        if shown.outcome is not None:
            recipe = shown.outcome.recipe
            made = draw(visit, shown.outcome)
            yield shown.status, made, recipe.command, recipe.python
        elif shown.course is not None and shown.course.totals:
            yield shown.status, view.course_html(shown.course), gr.skip(), gr.skip()
        else:
            yield shown.status, gr.skip(), gr.skip(), gr.skip()


def _stop(parts: Parts, request: gr.Request) -> None:
    parts.queue.cancel(str(request.session_hash))


def _upload(parts: Parts, label: str) -> gr.Image:
    """A field for a picture, of which Python is told the path: our reader alone opens it."""
    # The clipboard too: browsers paste into it. No webcam, for which they would ask.
    field = gr.Image(label=label, type="filepath", sources=["upload", "clipboard"], height=240)
    _by_path(field, lambda payload: payload.path)
    _adopt(parts, field)
    return field


def _adopt(parts: Parts, field: Any) -> None:
    """Note at once whose an upload is, so that it goes with the visit, and not with another's."""

    def adopt(given, request: gr.Request) -> None:
        visit = parts.visits.visit(str(request.session_hash))
        with contextlib.suppress(ValueError):  # told when it is used
            most = parts.limits.clip_bytes
            visit.uploads.add(check_upload(given, parts.uploads, most_bytes=most, name="upload"))

    field.upload(adopt, field, None, show_progress="hidden", api_visibility="private")


def _by_path(field: Any, read: Callable[[Any], Any]) -> Any:
    """A field of files whose content Gradio neither opens nor fetches from elsewhere."""

    async def stay(path: str) -> str:
        if "://" in path:
            raise gr.Error("wanted an uploaded file", print_exception=False)
        return path

    field.preprocess = lambda payload: None if payload is None else read(payload)
    field.async_move_resource_to_block_cache = stay
    return field


def _style_fields(
    parts: Parts, label: str, *, only_paintings: bool = False, place: int = 0
) -> tuple[gr.Dropdown, gr.Image]:
    items = list_items()
    names = [name for name, item in items.items() if item.style is None or not only_paintings]
    with gr.Row():
        choice = gr.Dropdown([*names, MINE], value=names[place % len(names)], label=label)
        painting = _upload(parts, "My painting")
        painting.visible = False
    choice.change(
        lambda word: gr.update(visible=word == MINE), choice, painting, show_progress="hidden"
    )
    return choice, painting


def _paint_tab(parts: Parts) -> gr.Dropdown:
    limits = parts.limits
    with gr.Row():
        with gr.Column():
            photo = _upload(parts, "Photograph")
            label, painting = _style_fields(parts, "Style")
            with gr.Accordion("More", open=False):
                alpha = gr.Slider(0, 1, 1, step=0.05, label="How much of the style (paintings)")
                color = gr.Dropdown(list(get_args(ColorWord)), value="style", label="Colours")
                second = gr.Dropdown(
                    [NOTHING, *list_items(), MINE], value=NOTHING, label="Mixed with"
                )
                other = _upload(parts, "My second painting")
                share = gr.Slider(0, 1, 0.5, step=0.05, label="Share of the second")
            size = gr.Slider(LEAST_SIZE, limits.size, 512, step=16, label="Longer side in pixels")
            with gr.Row():
                start = gr.Button("Paint", variant="primary")
                stop = gr.Button("Stop")
        with gr.Column():
            result = _Result()

    def paint(
        photo, label, painting, alpha, color, second, other, share, size, request: gr.Request
    ):
        look = Look(label, painting, alpha, color, size, second, other, share)
        yield from _run(parts, request, lambda place: work.paint_work(photo, look, place))

    inputs = [photo, label, painting, alpha, color, second, other, share, size]
    start.click(paint, inputs, result.outputs, api_visibility="private")
    _connect_stop(parts, stop)
    return label


def _connect_stop(parts: Parts, button: gr.Button) -> None:
    def stop(request: gr.Request):
        _stop(parts, request)

    button.click(stop, None, None, show_progress="hidden", api_visibility="private")


def _optimise_tab(parts: Parts) -> None:
    limits = parts.limits
    with gr.Row():
        with gr.Column():
            photo = _upload(parts, "Photograph")
            label, painting = _style_fields(parts, "Painting", only_paintings=True)
            steps = gr.Slider(1, limits.steps, min(100, limits.steps), step=1, label="Steps")
            with gr.Accordion("More", open=False):
                weight = gr.Slider(5, 500, 50, step=5, label="Boldness (style weight)")
                color = gr.Dropdown(list(get_args(ColorWord)), value="style", label="Colours")
            size = gr.Slider(
                LEAST_SIZE, limits.optimise_size, 256, step=16, label="Longer side in pixels"
            )
            with gr.Row():
                start = gr.Button("Start", variant="primary")
                stop = gr.Button("Stop")
                goes_on = gr.Button("Go on")
        with gr.Column():
            result = _Result()

    def handler(*, resumes: bool) -> Callable:
        def optimise(photo, label, painting, steps, weight, color, size, request: gr.Request):
            look = Look(label, painting, color=color, size=size)
            yield from _run(
                parts,
                request,
                lambda place: work.optimise_work(
                    photo, look, steps, weight, place, goes_on=resumes
                ),
            )

        return optimise

    inputs = [photo, label, painting, steps, weight, color, size]
    start.click(handler(resumes=False), inputs, result.outputs, api_visibility="private")
    goes_on.click(handler(resumes=True), inputs, result.outputs, api_visibility="private")
    _connect_stop(parts, stop)


def _regions_tab(parts: Parts) -> None:
    gr.Markdown(
        "Draw on the photograph: each brush is a style. What no brush touches gets the last one."
    )
    with gr.Row():
        with gr.Column():
            colours = [f"rgb{colour}" for colour in BRUSHES.values()]
            brush = gr.Brush(default_size=40, colors=list(colours), color_mode="fixed")
            board = gr.ImageEditor(
                label="Photograph",
                type="filepath",
                sources=["upload", "clipboard"],
                brush=brush,
                transforms=[],
                layers=False,
                format="png",
                height=420,
            )
            board.blob_storage = _Drawings()
            _by_path(board, lambda payload: _read_board(board, payload))
            fields = [
                _style_fields(parts, f"The {name} brush", place=place)
                for place, name in enumerate(BRUSHES)
            ]
            rest = gr.Dropdown([NOTHING, *list_items()], value=NOTHING, label="The rest")
            size = gr.Slider(
                LEAST_SIZE, parts.limits.size, 512, step=16, label="Longer side in pixels"
            )
            with gr.Row():
                start = gr.Button("Paint the regions", variant="primary")
                stop = gr.Button("Stop")
        with gr.Column():
            result = _Result()

    def paint(red, green, blue, first, second, third, drawn, rest, size, request: gr.Request):
        photo, layers = (None, []) if drawn is None else drawn
        labels, paintings = (red, green, blue), (first, second, third)
        yield from _run(
            parts,
            request,
            lambda place: work.regions_work(photo, layers, labels, paintings, rest, size, place),
        )

    inputs = [label for label, _ in fields] + [painting for _, painting in fields]
    inputs += [board, rest, size]
    start.click(paint, inputs, result.outputs, api_visibility="private")
    _connect_stop(parts, stop)


def _read_board(board: gr.ImageEditor, payload: Any) -> tuple[Any, list[Any]]:
    """The photograph and the layers of a drawing board: paths, or bytes that it has sent."""
    drawn = payload if payload.id is None else board.blob_storage.pop(payload.id, None)
    if drawn is None:
        return None, []

    def read(each: Any) -> Any:
        return each if isinstance(each, bytes) else getattr(each, "path", None)

    layers = [layer for layer in map(read, drawn.layers or []) if layer]
    return read(drawn.background), layers


def _styles_tab(parts: Parts, label: gr.Dropdown, tabs: gr.Tabs) -> None:
    photo = _upload(parts, "Photograph")
    with gr.Row():
        start = gr.Button("Show all styles", variant="primary")
        stop = gr.Button("Stop")
    status = gr.Textbox(label="Status", interactive=False, lines=1, max_lines=3)
    sheet = gr.HTML(js_on_load=_CHOOSE)
    with gr.Accordion("The same from a terminal or from Python", open=False):
        command = gr.Code(label="Command line", language="shell", lines=2, wrap_lines=True)
        python = gr.Code(label="Python", language="python", lines=2, wrap_lines=True)

    def show(photo, request: gr.Request):
        yield from _run(parts, request, partial(work.sheet_work, photo), is_sheet=True)

    start.click(show, photo, [status, sheet, command, python], api_visibility="private")
    _connect_stop(parts, stop)

    def choose(event: gr.EventData):
        chosen = event._data.get("style") if isinstance(event._data, dict) else None
        if chosen not in list_items():
            return gr.skip(), gr.skip()
        return chosen, gr.update(selected="paint")

    sheet.click(choose, None, [label, tabs], api_visibility="private")


def _video_tab(parts: Parts) -> None:
    missing = [name for name in ("av", "cv2") if importlib.util.find_spec(name) is None]
    if missing:
        gr.Markdown("Clips want two packages more: `pip install av opencv-python-headless`")
        return
    limits = parts.limits
    with gr.Row():
        with gr.Column():
            clip = gr.File(label="Clip", file_types=["video"], type="filepath")
            _by_path(clip, lambda payload: payload.path)
            _adopt(parts, clip)
            label, painting = _style_fields(parts, "Style")
            steadies = gr.Checkbox(True, label="Without flicker")
            size = gr.Slider(
                LEAST_SIZE, limits.clip_size, 320, step=16, label="Longer side in pixels"
            )
            gr.Markdown(f"The first {limits.clip_seconds:g} seconds are painted.")
            with gr.Row():
                start = gr.Button("Paint the clip", variant="primary")
                stop = gr.Button("Stop")
        with gr.Column():
            result = _Result()

    def paint(clip, label, painting, steadies, size, request: gr.Request):
        look = Look(label, painting, size=size)
        yield from _run(parts, request, lambda place: work.clip_work(clip, look, steadies, place))

    inputs = [clip, label, painting, steadies, size]
    start.click(paint, inputs, result.outputs, api_visibility="private")
    _connect_stop(parts, stop)
