"""The launch scripts: they parse, and the story of another seed has a folder of its own."""

import os
import subprocess

import pytest


@pytest.mark.parametrize("script", ["launch/speedrun.sh", "launch/tpu_vm.sh", "launch/find_python.sh", ".ci/run"])
def test_every_script_parses(repository, script):
    subprocess.run(["bash", "-n", script], cwd=repository, check=True)


@pytest.mark.parametrize(
    ("settings", "folder"),
    [({}, "runs/demo"), ({"SEED": "1"}, "runs/demo-seed1"), ({"SEED": "1", "RUNS": "runs/mine"}, "runs/mine")],
)
def test_each_seed_of_the_story_has_a_folder_of_its_own(repository, tmp_path, settings, folder):
    """The program is replaced by one that prints its arguments."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "instruct-jax"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("SEED", "RUNS", "SIZE")}
    told = subprocess.run(
        ["launch/speedrun.sh"],
        cwd=repository,
        env={**environment, "VENV": str(tmp_path), **settings},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    written = [word.partition("=")[2] for word in told.split() if word.startswith("--gin.WORKDIR=")]
    assert len(written) >= 6
    assert {path.rpartition("/")[0] for path in written} == {folder}
