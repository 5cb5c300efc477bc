"""What is shown of a job: lines for whatever happens, HTML that says no more than it should."""

import re
import threading
from pathlib import Path

import pytest

from nst_jax.app import view
from nst_jax.app.device_queue import DeviceQueue
from nst_jax.app.recipes import Recipe
from nst_jax.app.visits import Visits
from nst_jax.app.work import Course, Outcome


def lines(work, queue=None):
    return [shown.status for shown in view.follow(queue or DeviceQueue(max_waiting=1), "a", work)]


def raising(error):
    def work(cancel, emit):
        raise error

    return work


@pytest.mark.parametrize(
    ("work", "last"),
    [
        (raising(ValueError("size: wanted 3\nor 4")), "error: size: wanted 3 or 4"),
        (raising(OSError("cannot read '/a/b/c.png'")), "error: cannot read 'a file'"),
        (raising(RuntimeError("/secret")), "error: this failed (RuntimeError); the server's log"),
        (raising(KeyboardInterrupt("stopped")), "stopped before it had begun"),
        (lambda cancel, emit: None, "stopped"),
    ],
)
def test_whatever_happens_is_a_line(work, last):
    assert lines(work)[-1].startswith(last)


def test_a_full_queue_and_a_second_job_are_told():
    queue, opened = DeviceQueue(max_waiting=0), threading.Event()
    queue.submit("b", lambda cancel, emit: opened.wait(10))
    assert lines(lambda cancel, emit: None, queue) == [
        "busy: 0 jobs wait already, which is the most; try again later"
    ]
    opened.set()


def test_a_course_has_its_step_and_its_curve():
    course = Course(2, 10, (1000.0, 100.0), b"\xff\xd8jpeg")
    shown = list(view.follow(DeviceQueue(max_waiting=1), "a", emitting(course)))
    assert "step 2 of 10, loss 100" in [each.status for each in shown]
    drawn = view.course_html(course)
    assert "data:image/jpeg;base64," in drawn
    (points,) = re.findall(r'points="([^"]+)"', drawn)
    first, second = points.split()
    assert first == "0.0,0.0"
    assert second == f"{320 / 9:.1f},120.0"
    assert view.curve_svg([1.0], 10) == ""
    assert view.curve_svg([5.0, 5.0], 2) != ""


def emitting(progress):
    def work(cancel, emit):
        emit(progress)
        cancel.wait(0.3)

    return work


def test_links_lead_to_the_visitor_s_files_and_names_are_escaped(tmp_path):
    visit = Visits(tmp_path, most=1, idle_seconds=9.0).visit("me")
    path, mask = visit.claim("painted.png"), visit.claim("mask1.png")
    outcome = Outcome(path, "", Recipe("", ""), [('<b>"x"', mask)])
    shown = view.result_html(visit, outcome)
    assert f'src="results/{visit.token}/{path.name}"' in shown
    assert 'download="painted.png"' in shown
    assert "<b>" not in shown
    assert str(tmp_path) not in shown
    sheet = view.sheet_html(visit, outcome)
    assert 'data-style="&lt;b&gt;&quot;x&quot;"' in sheet
    clip = Outcome(Path(f"{visit.folder}/1a-painted.mp4"), "", Recipe("", ""))
    assert "<video" in view.result_html(visit, clip)
