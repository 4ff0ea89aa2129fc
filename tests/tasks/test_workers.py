"""A crew gives the same results as one process, passes on what is raised, and ends when anybody is killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks.preparing.workers import Crew, all_cores, untold


def _square(item, tell):
    tell(item)
    return item * item


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_item_is_answered_once_and_what_is_told_is_heard(workers):
    heard = []
    with Crew(_square, workers) as crew:
        results = sorted(crew.results(range(7), heard.append))
    assert results == [(item, item * item) for item in range(7)]
    assert sorted(heard) == list(range(7))


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_input_reaches_the_caller_with_its_one_line(workers):
    def fail(item, tell):
        del tell
        raise InputError(f"file.jsonl:{item}: expected a number")

    with Crew(fail, workers) as crew, pytest.raises(InputError, match=r"^file\.jsonl:4: expected a number$"):
        list(crew.results([4], untold))


def test_another_error_brings_its_traceback():
    def fail(item, tell):
        del tell
        return [][item]

    with Crew(fail, 2) as crew, pytest.raises(RuntimeError, match=r"(?s)in fail.*IndexError: list index out of range"):
        list(crew.results([4], untold))


@pytest.mark.parametrize("idle", [False, True])
def test_a_killed_worker_stops_the_work_with_one_line_and_no_wait(idle):
    def wait(item, tell):
        tell(os.getpid())
        time.sleep(60 if item else 0)

    with Crew(wait, 2) as crew:
        if idle:
            os.kill(crew._members[0].process.pid, signal.SIGKILL)
            crew._members[0].process.join()
        start = time.monotonic()
        with pytest.raises(InputError, match=r"^a worker process was killed by signal 9, .*what is finished is kept$"):
            list(crew.results([1, 1], lambda pid: os.kill(pid, signal.SIGKILL)))
        assert time.monotonic() - start < 30


_PARENT = """
import sys, time
from instruct_jax.tasks.preparing.workers import Crew, untold

def wait(item, tell):
    with open(f"{sys.argv[1]}/{item}", "w") as stream:
        stream.write(str(__import__("os").getpid()))
    time.sleep(120)

with Crew(wait, 2) as crew:
    list(crew.results([0, 1], untold))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word that a parent died is Linux's own")
def test_workers_die_with_a_parent_that_is_killed(tmp_path):
    running = subprocess.Popen([sys.executable, "-c", _PARENT, tmp_path])
    deadline = time.monotonic() + 60
    while not all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in "01"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    pids = [int((tmp_path / name).read_text()) for name in "01"]
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_all_cores_are_those_that_this_process_may_use():
    assert 1 <= all_cores() <= os.cpu_count()
