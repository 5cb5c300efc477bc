"""The page that paints in the browser, in Chromium, beside what the stylizer paints."""

import base64
import functools
import io
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from nst_jax import files, load_stylizer
from website.browser_page import fetch_engine, write_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing of it."""

    def log_message(self, format, *args):
        pass


@pytest.fixture
def address(tmp_path):
    write_page(tmp_path / "browser", fetch_engine(ROOT / "build" / "npm"))
    page = (ROOT / "website" / "browser.md").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/page.html"
    server.shutdown()
    server.server_close()


def small_png(asset, size, path):
    """A PNG of a bundled picture, which the page takes as it is, and its pixels."""
    pixels = files.load_pixels(files.asset_path(asset), size=size)
    pixels = np.rint(pixels * 255).astype(np.uint8)
    PIL.Image.fromarray(pixels).save(path)
    return pixels[None].astype(np.float32) / np.float32(255)


def test_it_paints_what_the_stylizer_paints_and_asks_nobody_else(address, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    photo = small_png("content/ring_tailed_lemur.jpg", 256, tmp_path / "photo.png")
    painting = small_png("style/van_gogh_harvest.jpg", 256, tmp_path / "painting.png")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        asked, faults = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#nst-samples img")
        page.click("#nst-paint")
        assert "first" in page.inner_text("#nst-state")
        bad = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
        page.set_input_files("#nst-photo input", bad)
        page.wait_for_function("document.getElementById('nst-state').textContent.includes('read')")
        page.set_input_files("#nst-photo input", tmp_path / "photo.png")
        page.set_input_files("#nst-painting input", tmp_path / "painting.png")
        page.wait_for_function("document.getElementById('nst-state').textContent.includes('Ready')")
        page.select_option("#nst-size", "256")
        page.click("#nst-paint")
        page.wait_for_selector("#nst-save:not([hidden])", timeout=240_000)
        text = page.evaluate("document.getElementById('nst-result').toDataURL('image/png')")
        browser.close()
    assert not faults
    assert {url.split("/")[2] for url in asked if re.match("https?:", url)} == {
        address.split("/")[2]
    }
    content = base64.b64decode(text.partition(",")[2])
    painted = np.asarray(PIL.Image.open(io.BytesIO(content)).convert("RGB")) / 255
    ours = np.asarray(load_stylizer()(photo, painting))[0]
    assert painted.shape == ours.shape
    assert np.abs(painted - ours).mean() < 2 / 255, "8 bits a weight, and a level of rounding"
