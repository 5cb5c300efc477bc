"""What stands before the page: which requests reach it, how large they may be, what browsers do.

Gradio answers many more addresses than this page needs, some of which fetch others for a visitor.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nst_jax.app.limits import Limits
from nst_jax.app.view import ADDRESS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_UPLOAD = "/gradio_api/upload"
_DRAWING = "/gradio_api/component_server"
_POSTED = {_UPLOAD, _DRAWING, "/gradio_api/queue/join", "/gradio_api/cancel"}
_READ = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/(assets|static|svelte)/[\w./@+-]+"
    r"|/gradio_api/(queue/data|upload_progress|startup-events|theme\.css|app_id)"
    r"|/gradio_api/heartbeat/\w+|/gradio_api/file=(?!https?:).*"
    rf"|/{ADDRESS}/[0-9a-f]+/[\w.-]+"
)
_ENVELOPE = 1 << 16  # bytes of a form around a file
_HEADERS = {
    # Everything from here: no fonts, scripts or pictures of other hosts.
    "content-security-policy": (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """An ASGI application around another, which gets what is within bounds."""

    def __init__(self, inner: Application, *, limits: Limits, uploads: Path, hosts: frozenset[str]):
        self._inner, self._limits, self._uploads, self._hosts = inner, limits, uploads, hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        status = self.refusal(scope["method"], scope["path"], headers)
        if status is not None:
            await _answer(send, status)
            return
        most = self._most_bytes(scope["path"])

        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            return message if read <= most else {"type": "http.disconnect"}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        await self._inner(scope, bounded, with_headers)

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> int | None:
        """Return the status by which a request is refused; None where it is passed on.

        Args:
            method: Such as GET.
            path: Decoded.
            headers: Their names in lower case.
        """
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        if self._hosts and host not in self._hosts:
            return 421  # another name for this machine, by which a page elsewhere would reach it
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return 403
        if method in ("GET", "HEAD"):
            return None if _READ.fullmatch(path) else 404
        if method != "POST" or path.rstrip("/") not in _POSTED:
            return 404
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            return 411
        if int(length[:20]) > self._most_bytes(path):
            return 413
        if path.rstrip("/") == _UPLOAD:
            stored = sum(each.stat().st_size for each in self._uploads.rglob("*") if each.is_file())
            if stored + int(length) > self._limits.stored_bytes:
                return 507
        return None

    def _most_bytes(self, path: str) -> int:
        if path.rstrip("/") == _UPLOAD:
            return self._limits.clip_bytes + _ENVELOPE
        if path.rstrip("/") == _DRAWING:
            return self._limits.picture_bytes + _ENVELOPE
        return self._limits.request_bytes


async def _answer(send: Send, status: int) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
