"""Which requests reach the page: what it needs, within bounds, from itself."""

import asyncio

import pytest

from nst_jax.app.guard import Guard
from nst_jax.app.limits import Limits

LIMITS = Limits(picture_bytes=1000, clip_bytes=2000, stored_bytes=100_000, request_bytes=500)
HERE = {"host": "localhost:7860"}


async def _inner(scope, receive, send):
    """An application that reads all it is sent and answers how much it was."""
    read = 0
    if scope["type"] == "http":
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            read += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(read).encode()})


@pytest.fixture
def guard(tmp_path):
    return Guard(_inner, limits=LIMITS, uploads=tmp_path, hosts=frozenset({"localhost"}))


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/config", "/theme.css", "/assets/index-1a_b.js", "/gradio_api/queue/data"),
        *("/gradio_api/heartbeat/abc123", "/gradio_api/file=/some/where/photo.png"),
        "/results/0123456789abcdef0123456789abcdef/1a2b3c4d-painted.png",
    ],
)
def test_what_the_page_needs_is_passed_on(guard, path):
    assert guard.refusal("GET", path, HERE) is None


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/file=http://127.0.0.1/x", "/gradio_api/file=https://example.org/"),
        *("/gradio_api/proxy=http://127.0.0.1/", "/gradio_api/info", "/gradio_api/openapi.json"),
        *("/gradio_api/vibe-code", "/gradio_api/runs", "/monitoring", "/docs", "/openapi.json"),
        *("/../etc/passwd", "/results/../x", "/results/zz/a.png", "/results/ab/../../a", "/x"),
        *("/gradio_api/heartbeat/../info", "/login", "/token", "/gradio_api/stream/a/b"),
    ],
)
def test_other_addresses_are_not_there(guard, path):
    assert guard.refusal("GET", path, HERE) == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/gradio_api/queue/join", {"content-length": "500"}, None),
        ("POST", "/gradio_api/queue/join", {"content-length": "501"}, 413),
        ("POST", "/gradio_api/queue/join", {}, 411),
        ("POST", "/gradio_api/queue/join", {"content-length": "-1"}, 411),
        ("POST", "/gradio_api/queue/join", {"content-length": "1e3"}, 411),
        ("POST", "/gradio_api/queue/join", {"content-length": "²"}, 411),
        ("POST", "/gradio_api/queue/join", {"content-length": "9" * 5000}, 413),
        ("POST", "/gradio_api/upload", {"content-length": "2000"}, None),
        ("POST", "/gradio_api/upload", {"content-length": "99999"}, 413),
        ("POST", "/gradio_api/component_server", {"content-length": "99999"}, 413),
        ("POST", "/gradio_api/run/predict", {"content-length": "5"}, 404),
        ("POST", "/gradio_api/vibe-edit/", {"content-length": "5"}, 404),
        ("PUT", "/", {}, 404),
        ("DELETE", "/gradio_api/queue/join", {}, 404),
        ("GET", "/", {"host": "example.org"}, 421),
        ("GET", "/", {"host": ""}, 421),
        ("GET", "/", {"host": "localhost.example.org:7860"}, 421),
        ("GET", "/", {"origin": "https://example.org"}, 403),
        ("GET", "/", {"origin": "null"}, 403),
        ("GET", "/", {"origin": "http://localhost:7860"}, None),
    ],
)
def test_methods_sizes_and_origins(guard, method, path, headers, status):
    assert guard.refusal(method, path, {**HERE, **headers}) == status


def test_uploads_are_bounded_together(guard, tmp_path):
    (tmp_path / "before").write_bytes(bytes(99_000))
    post = {**HERE, "content-length": "1000"}
    assert guard.refusal("POST", "/gradio_api/upload", post) is None
    assert guard.refusal("POST", "/gradio_api/upload", {**post, "content-length": "1001"}) == 507


def test_any_name_will_do_where_others_are_let_in(tmp_path):
    guard = Guard(_inner, limits=LIMITS, uploads=tmp_path, hosts=frozenset())
    assert guard.refusal("GET", "/", {"host": "studio.example.org"}) is None


def send(guard, scope, *bodies):
    """What an ASGI client that sends these bodies gets back."""
    sent, messages = [], [{"type": "http.request", "body": b, "more_body": True} for b in bodies]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    async def keep(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, keep))
    return sent


def scope_of(path, method="POST", length="10"):
    headers = [(b"host", b"localhost:1"), (b"content-length", length.encode())]
    return {"type": "http", "method": method, "path": path, "headers": headers}


def test_a_body_that_is_longer_than_it_says_is_cut_off(guard):
    path = "/gradio_api/queue/join"
    assert send(guard, scope_of(path), b"x" * 10)[-1]["body"] == b"10"
    assert send(guard, scope_of(path), b"x" * 400, b"x" * 400) == []


def test_answers_forbid_browsers_to_ask_other_hosts(guard):
    start = send(guard, scope_of("/", method="GET"))[0]
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy
    assert "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert send(guard, scope_of("/x"))[0]["status"] == 404
    assert send(guard, {"type": "websocket"})[0]["type"] == "websocket.close"
