"""Manifests: folders to build in are found beside the folder to be, whatever it is called."""

from pathlib import Path

import pytest

from instruct_jax.artifacts.manifest import fresh_partial
from instruct_jax.errors import InputError


def test_the_working_directory_by_its_dot_has_a_folder_beside_it(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert fresh_partial(Path()) == (tmp_path / "here.partial").resolve()
    assert fresh_partial(Path("new")).parent == (tmp_path / "here").resolve()


def test_what_an_interrupted_attempt_left_is_removed(tmp_path):
    (fresh_partial(tmp_path / "x") / "left").write_text("over")
    assert not list(fresh_partial(tmp_path / "x").iterdir())


def test_the_root_is_refused():
    with pytest.raises(InputError, match="choose another WORKDIR"):
        fresh_partial(Path("/"))
