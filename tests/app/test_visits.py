"""A visitor's files: found by their address alone, gone when the visit ends."""

import pytest

from nst_jax.app.visits import Visits


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def visits(tmp_path, clock):
    return Visits(tmp_path, most=2, idle_seconds=100.0, clock=lambda: clock[0])


def test_files_are_found_by_their_address_alone(visits, tmp_path):
    mine, other = visits.visit("me"), visits.visit("../../etc")
    path = mine.claim("painted.png")
    assert visits.find_file(mine.token, path.name) is None, "it is not written"
    path.write_bytes(b"picture")
    (mine.folder / "secret").write_bytes(b"not claimed")
    assert visits.find_file(mine.token, path.name) == path
    assert path.parent.parent == tmp_path
    for token, name in [
        (other.token, path.name),
        (mine.token, "secret"),
        (mine.token, f"../{mine.token}/{path.name}"),
        (mine.token, f"./{path.name}"),
        ("", path.name),
        ("..", path.name),
        ("\udce9", path.name),
        (mine.token, "\0"),
    ]:
        assert visits.find_file(token, name) is None


def test_what_a_visitor_made_and_sent_goes_with_the_visit(visits, tmp_path):
    visit = visits.visit("me")
    visit.claim("painted.png").write_bytes(b"picture")
    upload = tmp_path / "upload.png"
    upload.write_bytes(b"picture")
    visit.uploads.add(upload)
    assert visits.visit("me") is visit
    visits.end("me")
    assert not list(tmp_path.iterdir())
    visits.end("me")  # which nobody minds


def test_what_another_visitor_has_sent_too_stays(visits, tmp_path):
    upload = tmp_path / "upload.png"
    upload.write_bytes(b"picture")
    for key in ("a", "b"):
        visits.visit(key).uploads.add(upload)
    visits.end("a")
    assert upload.exists()
    visits.end("b")
    assert not upload.exists()


def test_idle_visits_and_too_many_end(visits, tmp_path, clock):
    first, second = visits.visit("a"), visits.visit("b")
    clock[0] = 60
    assert visits.visit("a") is first
    clock[0] = 120
    visits.visit("a")
    assert not second.folder.exists()
    visits.visit("c")
    visits.visit("d")
    assert not first.folder.exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_of_many_files_the_oldest_go(visits):
    visit = visits.visit("me")
    for _ in range(100):
        visit.claim("painted.png").write_bytes(b"picture")
    assert len(list(visit.folder.iterdir())) == 64
