"""Training as its user runs it: the shipped command, killed and interrupted, with bad folders and broken files."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

SIZES = {"embed": 16, "layers": 1, "heads": 2, "kv_heads": 1, "head_dim": 8, "mlp": 32}
TIMINGS = ("tokens_per_second", "supervised_tokens_per_second", "step_seconds", "eta_seconds")


def command(repository, dataset, workdir, **macros):
    values = {"DATASET": dataset, "WORKDIR": workdir, "STEPS": 40, "ROWS": 4, "LEARNING_RATE": 1e-2, "SAVE_EVERY": 4} | macros
    flags = [f"--gin.{name}={value}" for name, value in values.items()]
    flags += [f"--gin.spec.DecoderSpec.{name}={size}" for name, size in SIZES.items()]
    return [sys.executable, "-m", "instruct_jax", f"--gin_file={repository}/gin_configs/runs/train.gin", *flags]


def environment():
    return {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}


def finish(arguments, timeout=300):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=timeout, env=environment(), check=False)


def log(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMINGS} for row in rows]


def logged(workdir):
    file = workdir / "metrics.jsonl"
    return file.read_text().count("\n") if file.exists() else 0


def start_and_stop(arguments, workdir, rows, signum):
    """Start a run, send it a signal once its log has that many rows; returns the process, ended."""
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment())
    deadline = time.monotonic() + 200
    while logged(workdir) < rows and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signum)
    _, process.errors = process.communicate(timeout=120)
    return process


@pytest.mark.slow
def test_a_run_killed_five_times_ends_as_one_that_never_stopped(repository, make_dataset, tmp_path):
    dataset = make_dataset("killed", documents=90)
    whole = finish(command(repository, dataset, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    arguments, points = command(repository, dataset, tmp_path / "killed"), random.Random(0)
    for _ in range(5):
        rows = logged(tmp_path / "killed") + points.randint(1, 8)
        assert start_and_stop(arguments, tmp_path / "killed", rows, signal.SIGKILL).returncode == -signal.SIGKILL
    last = finish(arguments)
    assert last.returncode == 0, last.stderr
    assert log(tmp_path / "killed") == log(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_told_to_stop_saves_and_goes_on_from_there(repository, make_dataset, tmp_path, signum, status):
    dataset = make_dataset("told", documents=90)
    arguments = command(repository, dataset, tmp_path / "run", SAVE_EVERY=1_000, STEPS=400)
    stopped = start_and_stop(arguments, tmp_path / "run", 5, signum)
    assert stopped.returncode == status, stopped.errors
    assert "saved the state of step" in stopped.errors
    steps = logged(tmp_path / "run")
    again = finish(command(repository, dataset, tmp_path / "run", SAVE_EVERY=1_000, STEPS=steps + 2))
    assert f"resumed at step {steps}; steps {steps} to {steps + 2}" in again.stderr
    assert [row["step"] for row in log(tmp_path / "run")] == list(range(steps + 2))


def test_a_broken_shard_a_wrong_path_and_an_unfinished_folder_are_told_apart(repository, make_dataset, tmp_path):
    dataset = make_dataset("broken")
    changed = shutil.copytree(dataset, tmp_path / "changed")
    with open(changed / "rows-00000.arrayrecord", "r+b") as stream:
        stream.seek(70)
        stream.write(b"\0\1\2\3")
    unfinished = shutil.copytree(dataset, tmp_path / "unfinished")
    (unfinished / "manifest.json").unlink()
    cases = {
        changed: "does not match its checksum",
        unfinished: "holds no manifest.json",
        tmp_path / "nowhere": "no such folder",
    }
    for folder, message in cases.items():
        result = finish(command(repository, folder, tmp_path / "run"))
        assert result.returncode == 2
        assert message in result.stderr
        assert str(folder) in result.stderr
        assert "Traceback" not in result.stderr
        assert not (tmp_path / "run").exists()
