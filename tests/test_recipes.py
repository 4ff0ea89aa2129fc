"""Every recipe parses and fits the code it binds; the demo's run end to end through the command line."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from instruct_jax.program import Arguments, main, read_recipe
from instruct_jax.recipe_check import check_names, check_objects

GIN_CONFIGS = Path(__file__).parent.parent / "gin_configs"
RECIPES = sorted(file.stem for file in (GIN_CONFIGS / "recipes").glob("*.gin"))
MESHES = sorted(file.stem for file in (GIN_CONFIGS / "meshes").glob("*.gin"))
# A stand-in for every must-set. Nothing is read or written: programs are checked, not run.
GIVEN = {
    name: f"/nowhere/{name}"
    for name in (
        *("WORKDIR", "DATASET", "CHECKPOINT", "TOKENIZER", "DATA_DIR", "INIT_FROM", "MIXTURE"),
        *("CHAT_TEMPLATE", "JSONL", "ENDPOINT", "MODEL", "FILES", "T0", "GSM8K", "PAIRS"),
    )
} | dict.fromkeys(("STEPS", "ROWS", "LENGTH", "VOCAB_SIZE", "EXAMPLES", "COUNT"), "8")


def bound(*files: str):
    """A recipe with every must-set that it has set, checked against the code."""
    open_recipe = read_recipe(Arguments(files=files))
    needed = {one.target for one in open_recipe.operative().values() if repr(one.value) == "%gin.REQUIRED"}
    flags = (*((name, GIVEN[name]) for name in sorted(needed & set(GIVEN))), ("LEARNING_RATE", "0.1"))
    flags = tuple(flag for flag in flags if flag[0] in needed)
    recipe = read_recipe(Arguments(files=files, bindings=flags))
    check_names(recipe)
    check_objects(recipe)
    return recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_the_code_it_binds(name):
    recipe = bound(f"gin_configs/recipes/{name}.gin")
    assert "PROGRAM = @" in recipe.text()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_is_how_it_runs_and_what_was_measured(name):
    header = []
    for line in (GIN_CONFIGS / "recipes" / f"{name}.gin").read_text().splitlines():
        if not line.startswith("#"):
            break
        header.append(line)
    text = "\n".join(header)
    assert header[0].endswith(".")
    assert len(header[0]) < 130
    assert f"--gin_file=gin_configs/recipes/{name}.gin" in text or "launch/speedrun.sh" in text
    assert "# Time: " in text
    assert "Result" in text


@pytest.mark.parametrize("mesh", MESHES)
def test_a_mesh_fits_any_training_recipe(mesh):
    bound("gin_configs/recipes/t0_sft_cpu.gin", f"gin_configs/meshes/{mesh}.gin")


def test_the_story_uses_every_demo_recipe(repository):
    story = (repository / "launch" / "speedrun.sh").read_text()
    assert {name for name in RECIPES if name.startswith("demo_")} == set(re.findall(r" (demo_\w+)", story))


def test_readme_commands_name_what_is_there(repository):
    readme = (repository / "README.md").read_text()
    files = re.findall(r"(?:gin_configs|launch|instruct_jax)/[\w/]+\.\w+", readme)
    assert len(files) > 5
    assert [file for file in files if not (repository / file).exists()] == []


def test_the_readme_task_can_be_prepared_as_the_readme_says(repository, tmp_path, monkeypatch):
    readme = (repository / "README.md").read_text()
    (module,) = (block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "import seqio" in block)
    (command,) = re.findall(r"run (--gin_file=gin_configs/runs/prepare.gin .*?)\n```", readme, re.DOTALL)
    assert len(module.splitlines()) <= 20
    (tmp_path / "my_tasks.py").write_text(module)
    for split in ("train", "validation"):
        lines = [json.dumps({"review": f"The {split} tea was number {i}.", "label": i % 2}) for i in range(20)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main([*shlex.split(command.replace("\\\n", " "))]) == 0
    manifest = json.loads((tmp_path / "runs" / "mine" / "data" / "manifest.json").read_text())
    assert manifest["tasks"][0]["examples"] == 20
    items = (tmp_path / "runs" / "mine" / "data" / "items.jsonl").read_text().splitlines()
    assert {json.loads(item)["split"] for item in items} == {"held_in_seen", "held_in_unseen"}


def run(*arguments: str, folder: Path) -> str:
    """Launch the shipped command; returns what it printed."""
    environment = {**os.environ, "XLA_FLAGS": "", "COLUMNS": "150"}
    command = [sys.executable, "-m", "instruct_jax", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_recipes_run_two_steps_end_to_end(tmp_path):
    def recipe(name: str, **flags: object) -> str:
        given = [f"--gin.{key}={value}" for key, value in flags.items()]
        return run(f"--gin_file=gin_configs/recipes/demo_{name}.gin", *given, folder=tmp_path)

    few = {"EXAMPLES": 400, "TEXT_ITEMS": 4}
    recipe("tokenizer", WORKDIR="tokenizer", EXAMPLES=4_000)
    recipe("base_prepare", TOKENIZER="tokenizer", WORKDIR="plain_text", **few)
    recipe("base", DATASET="plain_text", WORKDIR="base", STEPS=2)
    recipe("prepare", TOKENIZER="tokenizer", WORKDIR="procedural", ITEMS_PER_TEMPLATE=1, **few)
    recipe("tune", DATASET="procedural", INIT_FROM="base", WORKDIR="tuned", STEPS=2)
    models = "['base=base', 'tuned=tuned']"
    recipe("eval", CHECKPOINT=models, DATASET="procedural", WORKDIR="report")
    answers = recipe("ask", CHECKPOINT=models, DATASET="procedural")

    rows = [json.loads(line) for line in (tmp_path / "tuned" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1]
    assert all({"loss", "grad_norm", "tokens_per_second"} <= row.keys() for row in rows)
    manifest = json.loads((tmp_path / "tuned" / "manifest.json").read_text())
    assert "STEPS = 2" in manifest["config"]
    scores = json.loads((tmp_path / "report" / "report.json").read_text())["scores"]
    splits = {"held_in_seen", "held_in_unseen", "held_out_dataset", "held_out_cluster"}
    assert splits <= {score["split"] for score in scores if score["checkpoint"] == "tuned"}
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000
    assert answers.count("target") == 2
