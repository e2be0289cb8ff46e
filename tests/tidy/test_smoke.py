"""The demo's examiner: a server that leaves a process behind must not get past it."""

import subprocess

from tests.smoke import left_over


def test_a_process_left_behind_is_found():
    parent = subprocess.Popen(["/bin/sh", "-c", "sleep 60 &"], start_new_session=True)
    parent.wait()
    (orphan,) = left_over(parent.pid)
    orphan.kill()
    orphan.wait(5)
    assert left_over(parent.pid) == []


def test_a_session_that_ended_left_nothing():
    done = subprocess.Popen(["/bin/sh", "-c", "exit 0"], start_new_session=True)
    done.wait()
    assert left_over(done.pid) == []
