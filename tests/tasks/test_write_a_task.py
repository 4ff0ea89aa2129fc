"""What writers of tasks are told, in the README and in a notebook, does what it says."""

import json
import re
import shlex
import sys

import pytest

from instruct_jax.program import main


@pytest.fixture
def anew(registry):
    """No module of an earlier test is there, nor what it registered, and none is left to a later one."""
    sys.modules.pop("my_tasks", None)
    if "shop_reviews" in registry.TaskRegistry.names():
        registry.TaskRegistry.remove("shop_reviews")
    yield registry
    sys.modules.pop("my_tasks", None)


@pytest.fixture
def section(repository):
    """The README's section, as blocks of code by language."""
    text = (repository / "README.md").read_text().partition("## Write a task")[2].partition("\n## ")[0]
    return re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)


def test_the_readmes_task_passes_its_test_and_shows_every_prompt_setting(anew, section, tmp_path, monkeypatch, capsys):
    declaration, check = (code for language, code in section if language == "python")
    (settings,) = (code for language, code in section if not language)
    (command,) = (code for language, code in section if language == "sh" and "runs/show.gin" in code)
    assert len(declaration.strip().splitlines()) <= 16
    (tmp_path / "my_tasks.py").write_text(declaration)
    (tmp_path / "my_prompts.gin").write_text(settings)
    for split in ("train", "validation"):
        lines = [json.dumps({"review": f"The {split} tea was number {i}.", "label": i % 2}) for i in range(40)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    exec(check, {})
    assert "shop_reviews" in anew.TaskRegistry.names()
    assert main(shlex.split(command.replace("\\\n", " ").replace("run ", "", 1))) == 0
    shown = capsys.readouterr().out
    for title in ("zero-shot, options '({letter}) {option}', shuffled", "3-shot, at most 512 tokens of exemplars"):
        assert title in shown


def test_the_notebook_runs_from_top_to_bottom(registry, repository, capsys):
    cells = json.loads((repository / "notebooks" / "1_write_a_task.ipynb").read_text())["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert "tickets" in registry.TaskRegistry.names()
    printed = capsys.readouterr().out
    assert "task 'careless' is not ready:\n  1. " in printed
    assert printed.count("\n=== ") == 4
    assert {example.setting for example in names["drawn"]} == {0, 1, 2, 3}
