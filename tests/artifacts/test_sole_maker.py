"""A folder has one maker at a time, whatever became of the last one."""

import os
import signal
import subprocess
import sys

import pytest

from instruct_jax.artifacts.sole_maker import sole_maker
from instruct_jax.errors import InputError

_HOLD = """
import sys, time
from pathlib import Path
from instruct_jax.artifacts.sole_maker import sole_maker
with sole_maker(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_maker_is_refused_until_the_first_is_done_or_killed(tmp_path):
    folder = tmp_path / "deep" / "data"
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=r"another process is making .*data; wait for it"), sole_maker(folder):
            pass
        os.kill(other.pid, signal.SIGKILL)
    with sole_maker(folder):
        assert list(folder.parent.iterdir()), "its lock lies beside it"
    assert not list(folder.parent.iterdir())


def test_an_error_lets_the_folder_go(tmp_path):
    with pytest.raises(KeyError), sole_maker(tmp_path / "data"):
        raise KeyError
    with sole_maker(tmp_path / "data"), sole_maker(tmp_path / "data2"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"), sole_maker(tmp_path / "file" / "data"):
        pass
