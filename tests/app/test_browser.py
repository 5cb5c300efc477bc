"""The page in a browser: each tab once, stopping, reloading, two visitors, bad uploads.

Run by `make browser`, where Gradio, Playwright and a Chromium are.
"""

import re
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_models import save_picture

pytestmark = [pytest.mark.slow, pytest.mark.browser]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 240_000  # milliseconds: a picture's first program is compiled on a busy machine


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.fixture
def visit(browser, address):
    """Opens the page as one more visitor; in the end, no other host was ever asked."""
    asked: list[str] = []

    def open_page(width: int = 1280, height: int = 900):
        page = browser.new_context(viewport={"width": width, "height": height}).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.get_by_role("button", name="Paint", exact=True).wait_for()
        return page

    yield open_page
    others = {url for url in asked if not url.startswith((address, "data:", "blob:"))}
    assert asked
    assert not others


@pytest.fixture
def photo(tmp_path) -> str:
    save_picture(tmp_path / "photo.png", height=96, width=128)
    return str(tmp_path / "photo.png")


def panel(page, tab: str):
    """The tab's own part of the page, shown."""
    page.get_by_role("tab", name=tab).click()
    shown = page.get_by_role("tabpanel").filter(visible=True)
    shown.wait_for()
    return shown


def upload(shown, path: str, *, number: int = 0) -> None:
    shown.locator("input[type=file]").nth(number).set_input_files(path)
    shown.page.wait_for_timeout(1500)


def make_small(shown, pixels: int = 64) -> None:
    field = shown.get_by_label("number input for Longer side in pixels")
    field.fill(str(pixels))
    field.press("Tab")


def status(shown) -> str:
    return shown.get_by_label("Status").input_value()


def wait_for_status(shown, pattern: str) -> str:
    for _ in range(PATIENCE // 100):
        if re.search(pattern, status(shown)):
            return status(shown)
        shown.page.wait_for_timeout(100)
    raise AssertionError(f"wanted {pattern}, got {status(shown)}")


def result_of(shown) -> np.ndarray:
    """What the link under a result downloads."""
    with shown.page.expect_download() as download:
        shown.locator(".result a").first.click()
    with PIL.Image.open(download.value.path()) as picture:
        return np.asarray(picture)


def test_paint_on_a_telephone(visit, photo):
    page = visit(390, 844)
    shown = panel(page, "Paint")
    make_small(shown)
    upload(shown, photo)
    shown.get_by_role("button", name="Paint", exact=True).click()
    assert wait_for_status(shown, "^(painted|error)") == "painted: 64 by 48 pixels"
    assert result_of(shown).shape == (48, 64, 3)
    widest = page.evaluate("document.documentElement.scrollWidth")
    assert widest <= 390, "nothing is wider than the screen"
    shown.get_by_text("The same from a terminal").click()
    shown.get_by_text("nst-jax stylize photo.jpg").first.wait_for()


def test_optimise_stops_and_goes_on(visit, photo):
    shown = panel(visit(), "Optimise")
    make_small(shown)
    upload(shown, photo)
    shown.get_by_role("button", name="Start").click()
    wait_for_status(shown, "^step [2-9]")
    shown.locator("svg[role=img]").wait_for()
    shown.get_by_role("button", name="Stop").click()
    told = wait_for_status(shown, "^(stopped|error|painted)")
    assert re.fullmatch(r"stopped after step \d+ of 100; go on if you like", told)
    shown.get_by_role("button", name="Go on").click()
    assert wait_for_status(shown, "^(error|painted)").endswith("after 100 steps")
    assert result_of(shown).shape == (48, 64, 3)


def test_regions_are_drawn_with_a_brush(visit, photo):
    page = visit()
    shown = panel(page, "Regions")
    make_small(shown)
    upload(shown, photo)
    canvas = shown.locator("canvas").first
    canvas.wait_for()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=10)
    page.mouse.up()
    page.wait_for_timeout(1500)
    shown.get_by_role("button", name="Paint the regions").click()
    assert wait_for_status(shown, "^(painted|error)").startswith("painted: 64 by ")
    shown.get_by_role("link", name="mask1.png").wait_for()


def test_a_style_of_the_sheet_is_used_by_a_click(visit, photo):
    page = visit()
    shown = panel(page, "Styles")
    upload(shown, photo)
    shown.get_by_role("button", name="Show all styles").click()
    wait_for_status(shown, "click one to use it")
    shown.locator("[data-style='wave (johnson2016-wave)']").click()
    paint = page.get_by_role("tabpanel").filter(visible=True)
    paint.get_by_role("button", name="Paint", exact=True).wait_for()
    assert paint.get_by_label("Style", exact=True).input_value() == "wave (johnson2016-wave)"


def test_a_clip_is_painted(visit, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(3):
            pixels = np.full((48, 64, 3), 60 * number, np.uint8)
            pixels[10:30, 10 + 5 * number : 40] = 200
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    shown = panel(visit(), "Video")
    make_small(shown)
    upload(shown, str(path))
    shown.get_by_role("button", name="Paint the clip").click()
    assert wait_for_status(shown, "^(painted|error)") == "painted: 3 frames of 64 by 48 pixels"
    with shown.page.expect_download() as download:
        shown.locator(".result a").first.click()
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"


def test_two_visitors_wait_for_each_other_and_a_reload_ends_a_job(visit, photo):
    first, second = (panel(visit(), tab) for tab in ("Optimise", "Paint"))
    for shown in (first, second):
        make_small(shown)
        upload(shown, photo)
    field = first.get_by_label("number input for Steps")
    field.fill("500")
    field.press("Tab")
    first.get_by_role("button", name="Start").click()
    wait_for_status(first, "^step")
    second.get_by_role("button", name="Paint", exact=True).click()
    wait_for_status(second, "^waiting: 1 job before yours$")
    first.page.reload()
    assert wait_for_status(second, "^(painted|error)") == "painted: 64 by 48 pixels"


def test_what_is_no_picture_is_refused_in_one_line(visit, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    shown = panel(visit(), "Paint")
    upload(shown, str(tmp_path / "bad.png"))
    shown.get_by_role("button", name="Paint", exact=True).click()
    told = wait_for_status(shown, "^error")
    assert told.startswith("error: cannot read photograph: not a JPEG, PNG")
    assert "/" not in told
