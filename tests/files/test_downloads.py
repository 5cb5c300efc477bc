import hashlib
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from nst_jax.files import DownloadError, HashMismatchError, download, downloads, sha256_of

CONTENT = np.random.default_rng(0).bytes(300_000)
HASH = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Each address behaves in its own way; the server remembers what it was asked."""

    server: "Server"

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if self.path.endswith("-no-range"):
            start = 0
        behaviour = self.path.removeprefix("/").removesuffix("-no-range")
        getattr(self, behaviour)(start)

    def whole(self, start: int, *, sent: int | None = None):
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT[start:][:sent])

    def tagged(self, start: int):
        """A file that changed after a first part of it was sent, told by its entity tag."""
        first = len(self.server.asked) == 1
        if self.headers.get("If-Range") != '"new"':
            start = 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"old"' if first else '"new"')
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write((bytes(150_000) if first else CONTENT)[start:])

    def cut_once(self, start: int):
        self.whole(start, sent=150_000 if len(self.server.asked) == 1 else None)

    def cut_always(self, start: int):
        self.whole(start, sent=1000)

    def unavailable_once(self, start: int):
        if len(self.server.asked) == 1:
            self.send_error(503, "Busy")
        else:
            self.whole(start)

    def other_range(self, start: int):
        if not start:
            self.whole(0)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - 7))
        self.end_headers()
        self.wfile.write(CONTENT[7:])

    def no_length(self, start: int):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def missing(self, start: int):
        self.send_error(404, "Not Found")

    def hangs(self, start: int):
        self.server.released.wait(10)

    def redirect(self, start: int):
        self.send_response(302)
        self.send_header("Location", "/whole")
        self.end_headers()

    def redirect_to_file(self, start: int):
        self.send_response(302)
        self.send_header("Location", "file:///etc/hostname")
        self.end_headers()

    def redirect_to_ftp(self, start: int):
        self.send_response(301)
        self.send_header("Location", "ftp://127.0.0.1/weights")
        self.end_headers()

    def log_message(self, format, *args):  # the parent's writes to the terminal
        pass


class Server(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    def url(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{behaviour}"


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("nst_jax.files.downloads._PAUSES", (0.0, 0.0, 0.0))
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def fetch(
    server: Server, behaviour: str, path, *, sha256: str | None = HASH, max_bytes=10**6, **options
):
    download(server.url(behaviour), path, sha256=sha256, max_bytes=max_bytes, **options)


def test_a_whole_file_arrives_with_progress(server, tmp_path):
    path = tmp_path / "cache" / "weights.bin"
    told = []
    fetch(server, "whole", path, on_progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert server.asked == [("/whole", None)]
    assert told[0] == (0, 300_000)
    assert told[-1] == (300_000, 300_000)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) >= 4


@pytest.mark.parametrize("sha256", [HASH.upper(), HASH[:8], None])
def test_a_hash_may_be_short_or_waived(server, tmp_path, sha256):
    fetch(server, "whole", tmp_path / "a", sha256=sha256)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_an_earlier_part_is_gone_on_with(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:123_456])
    told = []
    fetch(server, "whole", tmp_path / "a", on_progress=lambda *now: told.append(now))
    assert server.asked == [("/whole", "bytes=123456-")]
    assert told[0] == (123_456, 300_000)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert not (tmp_path / "a.part").exists()


def test_a_server_without_ranges_starts_again(server, tmp_path):
    (tmp_path / "a.part").write_bytes(b"x" * 123_456)
    fetch(server, "whole-no-range", tmp_path / "a")
    assert server.asked == [("/whole-no-range", "bytes=123456-")]
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", ["cut_once", "cut_once-no-range"])
def test_a_broken_connection_is_mended_by_another_try(server, tmp_path, behaviour):
    fetch(server, behaviour, tmp_path / "a")
    assert [asked for _, asked in server.asked] == [None, "bytes=150000-"]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server, tmp_path):
    fetch(server, "unavailable_once", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_connection_that_keeps_breaking_says_so_and_keeps_the_part(server, tmp_path):
    with pytest.raises(DownloadError, match=r"after 4000 of 300000 bytes.*resumes") as error:
        fetch(server, "cut_always", tmp_path / "a")
    assert server.url("cut_always") in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "a.part").read_bytes() == CONTENT[:4000]
    fetch(server, "whole", tmp_path / "a")
    assert server.asked[-1] == ("/whole", "bytes=4000-")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_part_that_is_the_whole_needs_its_name_only(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT)
    fetch(server, "whole", tmp_path / "a")
    assert server.asked == [("/whole", "bytes=300000-")]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_part_already_too_long_is_refused_and_deleted(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT)
    with pytest.raises(DownloadError, match="more than 200000 bytes"):
        fetch(server, "whole", tmp_path / "a", max_bytes=200_000)
    assert list(tmp_path.iterdir()) == []


def test_a_part_longer_than_the_file_is_fetched_anew(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    fetch(server, "whole", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_an_answer_from_another_position_is_not_pasted_in(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:100])
    fetch(server, "other_range", tmp_path / "a", sha256=None)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_wrong_hash_deletes_the_part_and_keeps_the_old_file(server, tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    wrong = "0" * 64
    with pytest.raises(HashMismatchError) as error:
        fetch(server, "whole", tmp_path / "a", sha256=wrong)
    assert HASH in str(error.value)
    assert wrong in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"
    with pytest.raises(HashMismatchError):
        fetch(server, "whole", tmp_path / "a", sha256=HASH[:7] + ("0" if HASH[7] != "0" else "1"))


def test_a_missing_file_is_not_asked_for_twice(server, tmp_path):
    with pytest.raises(DownloadError, match="404 Not Found; check the address") as error:
        fetch(server, "missing", tmp_path / "a")
    assert server.url("missing") in str(error.value)
    assert "\n" not in str(error.value)
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("behaviour", ["whole", "no_length"], ids=["declared", "sent"])
def test_more_than_max_bytes_is_refused_and_deleted(server, tmp_path, behaviour):
    told = []
    with pytest.raises(DownloadError, match="more than 200000 bytes") as error:
        fetch(
            server,
            behaviour,
            tmp_path / "a",
            max_bytes=200_000,
            on_progress=lambda *now: told.append(now),
        )
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    if behaviour == "whole":
        assert told == [], "it was declared, yet fetched"
    fetch(server, behaviour, tmp_path / "a", max_bytes=300_000)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_redirects_within_http_are_followed_with_the_range(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    fetch(server, "redirect", tmp_path / "a")
    assert server.asked == [("/redirect", "bytes=1000-"), ("/whole", "bytes=1000-")]
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", ["redirect_to_file", "redirect_to_ftp"])
def test_redirects_out_of_http_are_refused(server, tmp_path, behaviour):
    with pytest.raises(DownloadError, match=server.url(behaviour)) as error:
        fetch(server, behaviour, tmp_path / "a", sha256=None)
    assert "\n" not in str(error.value)
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_times_out(server, tmp_path):
    with pytest.raises(DownloadError, match=r"timed out.*resumes"):
        fetch(server, "hangs", tmp_path / "a", timeout=0.1)


def test_nobody_there_says_so(server, tmp_path, monkeypatch):
    with Server() as other:
        url = other.url("whole")
    with pytest.raises(DownloadError, match=f"{url}: .*refused.*check the connection") as error:
        download(url, tmp_path / "a", sha256=HASH, max_bytes=10**6)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://host/a", "host/a", "http://", "http://host/a b\n"]
)
def test_only_http_addresses_are_taken(tmp_path, url):
    with pytest.raises(ValueError, match="url must begin with http://"):
        download(url, tmp_path / "a", sha256=HASH, max_bytes=10**6)


@pytest.mark.parametrize("sha256", ["", HASH[:7], HASH + "0", "z" * 64])
def test_a_malformed_hash_is_refused(tmp_path, sha256):
    with pytest.raises(ValueError, match="sha256 must have 8 to 64 hexadecimal digits"):
        download("http://host/a", tmp_path / "a", sha256=sha256, max_bytes=10**6)


def test_a_folder_that_cannot_be_made_says_so(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*its folder must exist") as error:
        fetch(server, "whole", tmp_path / "file" / "a")
    assert "\n" not in str(error.value)


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(FileNotFoundError, match=r"cannot read .*missing"):
        sha256_of(tmp_path / "missing")


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(server, tmp_path):
    # Without a hash nobody would notice the seam between two versions of it.
    fetch(server, "tagged", tmp_path / "a", sha256=None)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked[1][1] == "bytes=150000-"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_part_that_nothing_vouches_for_is_begun_anew(server, tmp_path):
    (tmp_path / "a.part").write_bytes(bytes(1000))
    fetch(server, "whole", tmp_path / "a", sha256=None)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [("/whole", None)]


def test_https_is_never_left_for_http():
    redirects = downloads._HttpRedirects()
    request = urllib.request.Request("https://example.org/weights")
    with pytest.raises(DownloadError, match="which anybody on the way could change") as caught:
        redirects.redirect_request(request, None, 302, "Found", {}, "http://example.org/weights")
    assert "\n" not in str(caught.value)
    followed = redirects.redirect_request(
        request, None, 302, "Found", {}, "https://example.com/weights"
    )
    assert followed is not None
    assert followed.full_url == "https://example.com/weights"
