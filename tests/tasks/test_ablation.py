"""Ablation grids: the commands that are written are those that run, each with what its run holds out."""

import ast
import json
import os
import subprocess

import pytest

from instruct_jax.errors import InputError
from instruct_jax.program import main
from instruct_jax.tasks import ablation, procedural
from instruct_jax.tasks.suite.collection import DATASETS

CLUSTERS = sorted({one.cluster for one in DATASETS})
RECIPE = "gin_configs/recipes/suite_ablation.gin"


@pytest.fixture
def written(tmp_path, repository, monkeypatch):
    """The folder that the shipped recipe writes."""
    monkeypatch.chdir(repository)
    assert main([f"--gin_file={RECIPE}", f"--gin.WORKDIR={tmp_path / 'grid'}"]) == 0
    return tmp_path / "grid"


def _run(folder, tmp_path, *names):
    """What `bash runs.sh` calls: a stand-in for the command writes down its arguments, one call a line."""
    stand_in = tmp_path / "bin" / "instruct-jax"
    stand_in.parent.mkdir(exist_ok=True)
    stand_in.write_text("#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{stand_in.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", folder / "runs.sh", *names], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_every_cluster_is_held_out_once_and_its_relative_with_it(written, tmp_path):
    status, calls, _ = _run(written, tmp_path)
    assert status == 0
    assert len(calls) == 3 * len(CLUSTERS)
    prepared = [dict(flag.split("=", 1) for flag in call) for call in calls[::3]]
    assert [ast.literal_eval(flags["--gin.HELD_OUT_CLUSTERS"]) for flags in prepared] == [(name,) for name in CLUSTERS]
    assert len({flags["--gin.WORKDIR"] for flags in prepared}) == len(CLUSTERS)
    held = json.loads((written / "runs.json").read_text())["held_out"]
    both = sorted(one.name for one in DATASETS if one.cluster in ("entailment", "paraphrase"))
    assert held["entailment"] == held["paraphrase"] == both
    assert held["sentiment"] == sorted(one.name for one in DATASETS if one.cluster == "sentiment")


def test_every_command_is_one_that_the_program_takes(written, tmp_path, capsys):
    _, calls, _ = _run(written, tmp_path, "sentiment")
    for call in calls:
        assert main([*call, "--print_config"]) == 0
    printed = capsys.readouterr().out
    assert f"{written}/sentiment/data" in printed
    assert f"tuned={written}/sentiment/tuned" in printed


def test_an_unknown_run_is_refused_with_the_names_there_are(written, tmp_path):
    status, calls, message = _run(written, tmp_path, "sentimental")
    assert status == 2
    assert not calls
    assert "there are: arithmetic" in message


def test_a_second_call_does_not_write_over_the_first(written, capsys):
    assert main([f"--gin_file={RECIPE}", f"--gin.WORKDIR={written}"]) == 2
    assert "holds something already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prepare": {"recipe": "none.gin"}}, "prepare has the recipe 'none.gin'"),
        ({"train": {"recipe": RECIPE, "DATASET": "x"}}, "train sets DATASET, which the grid decides"),
        ({"evaluate": {"recipe": RECIPE, "seed": 1}}, "evaluate sets 'seed'"),
        ({"grid": ablation.GrowingClusters(("entailmnt",))}, "names 'entailmnt'"),
        ({"mixture": procedural.TEXT}, "no instruction task"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(changed, message, tmp_path, repository, monkeypatch):
    monkeypatch.chdir(repository)
    recipes = {name: {"recipe": RECIPE} for name in ("prepare", "train", "evaluate")}
    arguments = {"mixture": procedural.INSTRUCTIONS, "grid": ablation.LeaveOneClusterOut(), **recipes, **changed}
    with pytest.raises(InputError, match=message):
        ablation.ablation(str(tmp_path / "grid"), **arguments)
    assert not (tmp_path / "grid").exists()
