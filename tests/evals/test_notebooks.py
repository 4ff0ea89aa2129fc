"""Notebooks run from the first cell to the last, and are kept without outputs."""

import ast
import json
from pathlib import Path

import matplotlib
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
OF_CHECKPOINTS = [notebook for notebook in NOTEBOOKS if "CHECKPOINT" in notebook.read_text()]  # others run in their own room


def code_cells(notebook: Path) -> list[dict]:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cells
    return cells


@pytest.mark.parametrize("notebook", OF_CHECKPOINTS, ids=lambda notebook: notebook.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook, checkpoints, monkeypatch, capsys):
    matplotlib.use("agg")
    monkeypatch.setenv("CHECKPOINT", str(checkpoints["tuned"]))
    names: dict = {}
    for cell in code_cells(notebook):
        exec("".join(cell["source"]), names)
    assert repr(names["loaded"].step) == "3"
    assert "good" in capsys.readouterr().out


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_is_kept_without_outputs(notebook):
    for cell in code_cells(notebook):
        ast.parse("".join(cell["source"]))
        assert not cell["outputs"]
        assert cell["execution_count"] is None
