"""Scratch: gone when its process ends; what a killed process left, the next one removes, and nothing that is in use."""

import os
import signal
import subprocess
import sys

PROGRAM = """
import sys
from pathlib import Path
from instruct_jax.tasks.files.scratch import scratch_file
print(scratch_file("key", lambda file: file.write_text("rows")), flush=True)
sys.stdin.read()
"""


def started(folder):
    environment = os.environ | {"TMPDIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


def end(process):
    with process:
        process.stdin.close()
    assert process.returncode == 0


def test_scratch_goes_with_its_process(tmp_path):
    process, file = started(tmp_path)
    assert os.path.exists(file)
    end(process)
    assert not list(tmp_path.iterdir())


def test_the_next_process_removes_what_a_killed_one_left_and_no_other(tmp_path):
    killed, left = started(tmp_path)
    running, used = started(tmp_path)
    os.kill(killed.pid, signal.SIGKILL)
    with killed:
        killed.stdin.close()
    assert os.path.exists(left)
    later, own = started(tmp_path)
    assert [os.path.exists(file) for file in (left, used, own)] == [False, True, True]
    end(running)
    end(later)
    assert not list(tmp_path.iterdir())
