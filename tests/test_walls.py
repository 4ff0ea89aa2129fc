"""The walls between the rooms: who imports whom, and who must never meet TensorFlow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

# What each room may import of ours, besides itself, errors and progress.
MAY_IMPORT = {
    "core": set(),
    "text": set(),
    "artifacts": {"core"},
    "kernels": {"core"},
    "data": {"core", "artifacts"},
    "train": {"core", "artifacts"},
    "curation": {"text", "artifacts"},
    "model": {"core", "artifacts", "kernels"},
    "objectives": {"core", "model"},
    "convert": {"core", "text", "artifacts", "model"},
    "inference": {"core", "text", "artifacts", "model", "convert"},
    "tasks": {"text", "data", "artifacts", "curation"},
    "rl": {"core", "text", "model", "inference", "data"},
    "synthesis": {"core", "text", "artifacts", "model", "convert", "inference", "curation"},
    "evals": {"core", "text", "artifacts", "model", "inference"},
    "plan": {"core", "model", "train", "objectives"},
}
DOOR = {"program.py", "beam.py", "recipe.py", "recipe_check.py", "__main__.py", "__init__.py", "errors.py", "progress.py"}
# Only one room may import each of these, and only the door may import gin.
PRIVATE = {"tensorflow": "tasks", "tensorflow_datasets": "tasks", "seqio": "tasks", "gin": "program.py"}
WITHOUT_TENSORFLOW = ("train.loop", "model.decoder", "inference.decode", "evals.report")


def imported(file: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively; write the whole name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files(repository: Path) -> list[Path]:
    return sorted((repository / "instruct_jax").rglob("*.py"))


def room_of(file: Path, repository: Path) -> str:
    """The room a file is in, or its own name where it stands at the door."""
    return file.relative_to(repository / "instruct_jax").parts[0]


def test_every_room_has_walls(repository):
    assert {room_of(file, repository) for file in files(repository)} - DOOR <= set(MAY_IMPORT)


def test_rooms_import_only_what_they_may(repository):
    wrong = []
    for file in files(repository):
        room = room_of(file, repository)
        if room in DOOR:
            continue
        for name in imported(file):
            parts = name.split(".")
            if parts[0] == "instruct_jax" and parts[1] not in MAY_IMPORT[room] | {room, "errors", "progress"}:
                wrong.append(f"{file.relative_to(repository)} imports {name}")
    assert not wrong


def test_private_libraries_stay_in_their_room(repository):
    wrong = [
        f"{file.relative_to(repository)} imports {name}"
        for file in files(repository)
        for name in imported(file)
        if PRIVATE.get(name.partition(".")[0], room_of(file, repository)) != room_of(file, repository)
    ]
    assert not wrong


def test_the_check_sees_a_breach(tmp_path):
    (tmp_path / "breach.py").write_text("def late():\n    from instruct_jax.train.loop import train\n    import seqio.utils\n")
    assert imported(tmp_path / "breach.py") == {"instruct_jax.train.loop.train", "seqio.utils"}


def test_rooms_re_export_nothing(repository):
    assert [str(file) for file in files(repository) if file.name == "__init__.py" and file.read_text()] == []


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_training_and_evaluation_never_load_tensorflow(module):
    script = f"import sys, instruct_jax.{module}; print(sorted({{'tensorflow', 'seqio'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("version", ["311", "312"])
def test_constraints_are_names_and_versions(repository, version):
    lines = (repository / "constraints" / f"py{version}.txt").read_text().splitlines()
    names = [line.partition("==")[0].lower() for line in lines]
    assert len(names) > 50
    assert all(line.count("==") == 1 and "/" not in line and "@" not in line for line in lines)
    assert not [name for name in names if name.startswith(("torch", "nvidia", "libtpu"))]
