"""The server of the page, on this machine unless it is told otherwise."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nst_jax import files
from nst_jax.app.device_queue import DeviceQueue
from nst_jax.app.guard import Guard
from nst_jax.app.limits import Limits
from nst_jax.app.requirements import require_gradio
from nst_jax.app.view import ADDRESS
from nst_jax.app.visits import Visits

LOCAL = "127.0.0.1"
_LOCAL_NAMES = frozenset({LOCAL, "localhost", "::1"})
_SECONDS_TO_END = 2


def serve(
    *,
    host: str = LOCAL,
    port: int = 7860,
    limits: Limits = Limits(),
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        host: The address to listen on; by default this machine alone can reach it.
        port: The port; 0 for any that is free.
        limits: What visitors may ask for.
        on_start: Called with the page's address once it can be opened.

    Raises:
        AppLibraryMissingError: Gradio is not installed.
        OSError: The port is taken, or the address is none of this machine.
    """
    require_gradio()
    listening = _listen(host, port)
    with (
        listening,
        files.temporary_folder(prefix="nst_jax-app-") as root,
        _gradio_in(root),
    ):
        import uvicorn

        application = make_application(root, limits=limits, hosts=_hosts(host))
        config = uvicorn.Config(
            application, log_level="critical", timeout_graceful_shutdown=_SECONDS_TO_END
        )
        if on_start is not None:
            name = "localhost" if host in _LOCAL_NAMES else host
            on_start(f"http://{name}:{listening.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listening])


def make_application(root: Path, *, limits: Limits, hosts: frozenset[str]) -> Any:
    """Return the page as an ASGI application.

    Args:
        root: A folder for all that visitors send and get.
        limits: What they may ask for.
        hosts: The names by which browsers may ask for the page; none for any.
    """
    import fastapi
    import gradio as gr
    from starlette.responses import FileResponse, Response

    from nst_jax.app.page import CSS, THEME, Parts, build_page

    uploads, folders = root / "uploads", root / "visits"
    for folder in (uploads, folders):
        files.make_folder(folder)
    visits = Visits(folders, most=limits.visits, idle_seconds=limits.idle_seconds)
    parts = Parts(DeviceQueue(max_waiting=limits.waiting), visits, uploads, limits)
    outer = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @outer.get(f"/{ADDRESS}/{{token}}/{{name}}")
    def send_file(token: str, name: str) -> Response:
        path = visits.find_file(token, name)
        return Response(status_code=404) if path is None else FileResponse(path)

    page = build_page(parts)
    # Gradio keeps some 0.7 MB of each session until there are 10,000.
    page.state_session_capacity = limits.visits
    gr.mount_gradio_app(
        outer,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=limits.clip_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=THEME,
        css=CSS,
    )
    return Guard(outer, limits=limits, uploads=uploads, hosts=hosts)


def _hosts(host: str) -> frozenset[str]:
    """The names by which a browser may ask: any where others are to reach the page."""
    return _LOCAL_NAMES if host in _LOCAL_NAMES else frozenset()


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise OSError(
            f"port: cannot listen on {host} port {port}: {why}; choose another --port, or 0 for "
            "any that is free"
        ) from error
    return listening


@contextlib.contextmanager
def _gradio_in(root: Path) -> Iterator[None]:
    """Let Gradio keep its files in a folder of ours and tell nobody of its use."""
    said = {"GRADIO_TEMP_DIR": str(root / "uploads"), "GRADIO_ANALYTICS_ENABLED": "False"}
    before = {name: os.environ.get(name) for name in said}
    os.environ.update(said)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
