"""Fetching a file over HTTP: a break costs little, and a wrong file is refused."""

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nst_jax.files.disk import FilePath, open_to_read, reason, unwritable

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the bytes in all, None where the server hides them."""

_PAUSES = (0.5, 1.0, 2.0)  # seconds before the second, third and fourth try
_CHUNK = 1 << 16  # bytes; what a kill can lose, and how often progress is told


class DownloadError(OSError):
    """A file could not be fetched."""


class HashMismatchError(Exception):
    """A fetched file is not the one that was published."""


class _BrokenConnectionError(Exception):
    """What another try may mend."""


def download(
    url: str,
    path: FilePath,
    *,
    sha256: str | None,
    max_bytes: int,
    on_progress: Progress | None = None,
    timeout: float = 30.0,
) -> None:
    """Fetch a file into path + '.part', check its hash and give it its name.

    A break is followed by three more tries. Every try, and every later call, goes on where the
    last one stopped if the server can do so and still has the same file: by its entity tag or date
    (If-Range). Without either the part is kept only where sha256 will tell. No file at path is a
    part or a wrong one.

    Args:
        url: http or https.
        path: Where to; its folder is made if missing, a file there is replaced.
        sha256: The hash in hexadecimal, or at least its first 8 digits; None takes any content.
        max_bytes: A file longer than this is refused.
        on_progress: Called before the first and after every piece.
        timeout: Seconds without an answer that count as a break.

    Raises:
        ValueError: The url or the hash is malformed.
        DownloadError: The server cannot be reached, refuses, or sends more than max_bytes.
        HashMismatchError: The content is another; the part is deleted.
        OSError: The file cannot be written.
    """
    if not re.fullmatch(r"https?://[^/\s]\S*", url, re.IGNORECASE):
        raise ValueError(f"url must begin with http:// or https:// and a host, got {url!r}")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{8,64}", sha256):
        raise ValueError(f"sha256 must have 8 to 64 hexadecimal digits, got {sha256!r}")
    part = Path(f"{os.fspath(path)}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        for pause in (*_PAUSES, None):
            try:
                _fetch_rest(url, part, max_bytes, on_progress, timeout, hashed=sha256 is not None)
                break
            except _BrokenConnectionError as error:
                if pause is None:
                    raise DownloadError(
                        f"cannot download {url}: {reason(error)}; check the connection and "
                        "run the command again, which resumes"
                    ) from error
                time.sleep(pause)
        _check_hash(url, part, sha256)
        with part.open("r+b") as stream:
            os.fsync(stream.fileno())
        os.replace(part, path)
        _validator_path(part).unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None:  # worded already
            raise
        raise unwritable(error, path) from error


def sha256_of(path: FilePath) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
    """
    with open_to_read(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fetch_rest(
    url: str,
    part: Path,
    max_bytes: int,
    on_progress: Progress | None,
    timeout: float,
    *,
    hashed: bool,
) -> None:
    """Append what part lacks, or write it anew if the server sends the file from its beginning."""
    validator = _read_validator(part)
    if part.exists() and validator is None and not hashed:
        _discard(part)  # nothing would tell whether the rest belongs to it
    asked = part.stat().st_size if part.exists() else 0
    _refuse_excess(url, part, asked, max_bytes)
    response = _request(url, asked, part, timeout, validator)
    if response is None:
        return
    with response:
        received = _confirmed_start(response, asked, part)
        total = None if response.length is None else received + response.length
        _refuse_excess(url, part, total or 0, max_bytes)
        if not received:
            _keep_validator(part, response)
        with part.open("ab" if received else "wb") as stream:
            while True:
                if on_progress is not None:
                    on_progress(received, total)
                chunk = _read(response)
                if not chunk:
                    break
                received += len(chunk)
                _refuse_excess(url, part, received, max_bytes)
                stream.write(chunk)
    if total is not None and received < total:
        raise _BrokenConnectionError(f"the connection broke after {received} of {total} bytes")


def _request(
    url: str, start: int, part: Path, timeout: float, validator: str | None
) -> http.client.HTTPResponse | None:
    """Return the server's answer from byte start on, or None if the part is the whole file."""
    headers = {"User-Agent": "nst-jax", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator is not None:
            headers["If-Range"] = validator  # another file by now is sent from its beginning
    opener = urllib.request.build_opener(_HttpRedirects)
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"the server answered {error.code} {error.reason}"
        if error.code == 416 and start:  # nothing from there on: all was received, or too much
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return None
            _discard(part)
            raise _BrokenConnectionError(answer) from error
        if error.code in (408, 429) or error.code >= 500:
            raise _BrokenConnectionError(answer) from error
        raise DownloadError(
            f"cannot download {url}: {reason(Exception(answer))}; check the address"
        ) from error
    except DownloadError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenConnectionError(_network_reason(error)) from error


def _confirmed_start(response: http.client.HTTPResponse, asked: int, part: Path) -> int:
    """Return the position of the answer's first byte: the one asked for, or 0."""
    if response.status != 206:
        return 0
    if (response.headers.get("Content-Range") or "").startswith(f"bytes {asked}-"):
        return asked
    _discard(part)
    raise _BrokenConnectionError("the server sent another range than it was asked for")


def _validator_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_path(part).unlink(missing_ok=True)


def _read_validator(part: Path) -> str | None:
    try:
        return _validator_path(part).read_text(encoding="ascii") or None
    except (OSError, ValueError):
        return None


def _keep_validator(part: Path, response: http.client.HTTPResponse) -> None:
    """Keep what tells this version of the file from others; a weak tag does not (RFC 9110)."""
    tag = response.headers.get("ETag") or ""
    found = tag if tag.startswith('"') else response.headers.get("Last-Modified") or ""
    if found and found.isascii() and found.isprintable():
        _validator_path(part).write_text(found, encoding="ascii")
    else:
        _validator_path(part).unlink(missing_ok=True)


def _refuse_excess(url: str, part: Path, length: int, max_bytes: int) -> None:
    if length > max_bytes:
        _discard(part)
        raise DownloadError(
            f"refused to download {url}: it has more than {max_bytes} bytes; check the address"
        )


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenConnectionError(_network_reason(error)) from error


def _network_reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return reason(cause if isinstance(cause, BaseException) else Exception(cause))


def _check_hash(url: str, part: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    actual = sha256_of(part)
    if not actual.startswith(sha256.lower()):
        _discard(part)
        raise HashMismatchError(
            f"{url} has SHA-256 {actual} where {sha256.lower()} was expected; it was deleted, "
            "run the command again, and if this stays so, do not trust the address"
        )


class _HttpRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone, and never from https to http."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in ("http", "https"):
            raise DownloadError(
                f"refused to download {req.full_url}: it redirects to {newurl!r}, which is not "
                "http or https; check the address"
            )
        if scheme == "http" and urllib.parse.urlsplit(req.full_url).scheme == "https":
            raise DownloadError(
                f"refused to download {req.full_url}: it redirects to {newurl!r}, which anybody on "
                "the way could change; give an https address"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
