"""Hundreds of odd requests to the running page: refused or answered in a line, and it goes on."""

import http.client
import itertools
import json
from urllib.parse import urlsplit

import pytest

from nst_jax.app.limits import Limits
from nst_jax.app.server import make_application

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECRET = "/etc/passwd"
PATHS = [
    *("/", "/config", "//", "/..", f"/..{SECRET}", "/%2e%2e/%2e%2e/etc/passwd", f"/{SECRET}"),
    *(f"/gradio_api/file={SECRET}", "/gradio_api/file=/proc/self/environ", "/gradio_api/file="),
    *("/gradio_api/file=../../../../etc/passwd", "/gradio_api/file=http://127.0.0.1:1/"),
    *("/gradio_api/file=%00", "/gradio_api/file=%2fetc%2fpasswd", "/gradio_api/info"),
    *(f"/results/..{SECRET}", f"/results/{'0' * 32}/a.png", f"/results/{'0' * 32}/..%2f..%2fa"),
    *("/assets/../../../blocks.py", "/assets/..%2f..%2f..%2fblocks.py", "/static/%2e%2e/x"),
    *("/gradio_api/queue/data", "/gradio_api/queue/data?session_hash=nobody"),
    *("/gradio_api/proxy=http://127.0.0.1/", "/gradio_api/vibe-code", "/" + "x" * 5000),
]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


@pytest.fixture
def ask(address):
    """ask(method, path, body, headers) returns the status and the answer's first bytes."""
    netloc = urlsplit(address).netloc

    def ask_once(method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(netloc, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(4096)
        except (http.client.HTTPException, ConnectionError):
            return 0, b""  # cut off
        finally:
            connection.close()

    return ask_once


def test_odd_addresses_show_no_file_and_do_not_end_it(ask):
    statuses = []
    for method, path in itertools.product(METHODS, PATHS):
        status, content = ask(method, path)
        statuses.append(status)
        assert b"root:" not in content, f"{method} {path}"
        assert b"PATH=" not in content, f"{method} {path}"
        assert status != 200 or path.startswith(("/", "//")), f"{method} {path}"
    assert len(statuses) > 150
    assert 500 not in statuses
    assert ask("GET", "/")[0] == 200


def test_odd_bodies_reach_no_file_and_no_other_host(ask, address):
    config = json.loads(_whole(address, "/config"))
    files = [
        *({"path": SECRET}, {"path": "http://127.0.0.1:9/x.png"}, {"path": "../../x"}, {}, [], 7),
        *({"path": "\0"}, {"path": None}, {"url": "http://127.0.0.1:9/x"}, "x" * 9000, None),
    ]
    kind = {"meta": {"_type": "gradio.FileData"}}
    asked = 0
    for dependency in config["dependencies"]:
        count = len(dependency["inputs"])
        for given in files:
            data = [given | kind if isinstance(given, dict) else given] * count
            body = {"data": data, "fn_index": dependency["id"], "session_hash": f"odd{asked}"}
            status, content = ask("POST", "/gradio_api/queue/join", json.dumps(body))
            assert b"root:" not in content
            assert status != 0
            asked += 1
    assert asked > 100
    for body in (b"", b"{", b"[]", b"null", b"\xff" * 100, b"{" * 9000, b'{"data": 1}'):
        status, _ = ask("POST", "/gradio_api/queue/join", body)
        assert status != 200
        assert ask("POST", "/gradio_api/upload", body)[0] != 200
    assert ask("POST", "/gradio_api/queue/join", b"x" * (2 << 20))[0] in (0, 413)
    wrong = {"Host": "example.org"}
    assert ask("GET", "/", headers=wrong)[0] == 421
    assert ask("GET", "/", headers={"Origin": "https://example.org"})[0] == 403
    assert ask("GET", "/")[0] == 200


def _whole(address: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET", path)
    return connection.getresponse().read()


def test_only_so_many_sessions_are_remembered(tmp_path):
    """Gradio keeps each of 10,000, closed or not, unless it is told."""
    pytest.importorskip("gradio")
    guard = make_application(tmp_path, limits=Limits(visits=3), hosts=frozenset())
    mounted = [route.app for route in guard._inner.routes if hasattr(route, "app")]
    holders = [app.state_holder for app in mounted if hasattr(app, "state_holder")]
    assert [holder.capacity for holder in holders] == [3]
    for number in range(9):
        holders[0][f"session{number}"]
    assert len(holders[0].session_data) == 3
