"""The one door: programs run with the values bound, and twenty mistakes each get one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from instruct_jax.program import main

TOY = """
import dataclasses
from pathlib import Path
from instruct_jax.errors import InputError

SEEN = []

@dataclasses.dataclass(frozen=True)
class Spec:
    layers: int = 2
    scale: float = 1.0

SMALL = Spec(layers=1)

def rate(peak: float, warm_up: int = 10):
    return ("rate", peak, warm_up)

def adam(learning_rate, b1: float = 0.9):
    return ("adam", learning_rate, b1)

def sgd(learning_rate, momentum: float = 0.0):
    return ("sgd", learning_rate, momentum)

def picky(limit: int = 3):
    raise InputError(f"the limit {limit} is too low; give at least 5")

def train(workdir: str | Path, steps: int, optimizer, spec=None, init_from: str | None = None, config: str = ""):
    SEEN.append(dict(locals()))

def refuse(workdir: str = ""):
    raise InputError(f"{workdir} holds no dataset; prepare it first")

def crash(workdir: str = ""):
    raise ZeroDivisionError("an unexpected fault")

def write(workdir: str = "", elsewhere: str = ""):
    (Path(elsewhere or workdir) / "deep").mkdir(parents=True)

def stop(workdir: str = ""):
    raise KeyboardInterrupt
"""

RUN = """# Trains the toy.
from __gin__ import dynamic_registration
from {package} import toy

WORKDIR = %gin.REQUIRED  # must set: where the run lives
# must set: how far to go
STEPS = %gin.REQUIRED
RATE = 0.1

PROGRAM = @toy.train
toy.train:
    workdir = %WORKDIR
    steps = %STEPS
    optimizer = @toy.adam()
toy.adam.learning_rate = @toy.rate()
toy.rate.peak = %RATE
"""
_COUNT = iter(range(1_000_000))


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A working directory with a run file and a package that holds the module `toy`; returns the package's name."""
    package = f"package_{next(_COUNT)}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / "toy.py").write_text(TOY)
    (tmp_path / "run.gin").write_text(RUN.format(package=package))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


def seen(toy: str) -> dict:
    """What the toy program was called with, last."""
    return sys.modules[f"{toy}.toy"].SEEN[-1]


def refusal(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """The one line that a command line is refused with."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("instruct-jax: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


GIVEN = ("--gin_file=run.gin", "--gin.WORKDIR=/data/run-1", "--gin.STEPS=5")


def test_a_program_gets_its_bindings_and_the_text_that_made_them(toy):
    assert main(GIVEN) == 0
    call = seen(toy)
    assert (call["workdir"], call["steps"]) == ("/data/run-1", 5)
    assert call["optimizer"] == ("adam", ("rate", 0.1, 10), 0.9)
    assert "STEPS = 5" in call["config"]


def test_the_operative_text_run_alone_does_the_same(toy, tmp_path):
    assert main([*GIVEN, "--gin.toy.adam.b1=0.5", "--gin.toy.train.spec=@toy.Spec()", "--gin.toy.Spec.layers=3"]) == 0
    first = seen(toy)
    (tmp_path / "again.gin").write_text(first["config"])
    assert main(["--gin_file=again.gin"]) == 0
    assert seen(toy) == first


def test_later_files_and_then_flags_override(toy, tmp_path):
    (tmp_path / "mine.gin").write_text("STEPS = 7\nRATE = 0.2\n")
    assert main(["--gin_file=run.gin", "--gin_file", "mine.gin", "--gin.WORKDIR=w", "--gin.RATE=0.3"]) == 0
    assert seen(toy)["steps"] == 7
    assert seen(toy)["optimizer"][1] == ("rate", 0.3, 10)


def test_includes_are_found_beside_the_file_and_may_leave_settings_behind(toy, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "recipe.gin").write_text(
        'include "settings.gin"\nfrom __gin__ import dynamic_registration\n'
        f"from {toy} import toy\ntoy.train.optimizer = @toy.sgd()\ntoy.sgd.learning_rate = 1\nSTEPS = 1\nWORKDIR = 'w'\n"
    )
    (tmp_path / "run.gin").rename(tmp_path / "inner" / "settings.gin")
    assert main(["--gin_file=inner/recipe.gin"]) == 0
    assert seen(toy)["optimizer"] == ("sgd", 1, 0.0)
    assert "adam" not in seen(toy)["config"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("200x", "200x"), ("a/b c", "a/b c"), ("'quoted'", "quoted"), ("None", None), ("3-runs", "3-runs"), ("12", "12?")],
)
def test_a_value_that_is_no_literal_is_a_string(toy, capsys, text, value):
    arguments = [*GIVEN, f"--gin.toy.train.init_from={text}"]
    if value == "12?":
        assert "expected str or None" in refusal(capsys, *arguments)
    else:
        assert main(arguments) == 0
        assert seen(toy)["init_from"] == value


def test_a_constant_of_a_module_is_a_value(toy):
    assert main([*GIVEN, "--gin.toy.train.spec=%toy.SMALL"]) == 0
    assert seen(toy)["spec"] is sys.modules[f"{toy}.toy"].SMALL
    assert main([*GIVEN, "--gin.toy.train.spec=%toy.SMALL"]) == 0


def test_print_config_shows_the_text_and_stops(toy, capsys):
    assert main([*GIVEN, "--print_config"]) == 0
    assert "toy.rate.peak = %RATE" in capsys.readouterr().out
    assert sys.modules[f"{toy}.toy"].SEEN == []


def test_help_lists_every_recipe_with_its_first_line(capsys, repository):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    recipes = sorted((repository / "gin_configs" / "recipes").glob("*.gin"))
    assert recipes
    for recipe in recipes:
        assert recipe.name in out
        assert recipe.read_text().partition("\n")[0].lstrip("# ") in out


def test_no_arguments_print_the_help_and_fail(capsys):
    assert main([]) == 2
    assert "usage: instruct-jax" in capsys.readouterr().out


MISTAKES = {
    "a misspelt macro": (["--gin.STEP=5"], "nothing uses the macro STEP; did you mean STEPS?"),
    "a macro nobody uses": (["--gin.WIDTH=5"], "nothing uses the macro WIDTH"),
    "a misspelt module": (["--gin.tpy.train.steps=5"], "'tpy', which no file imports; did you mean toy?"),
    "a misspelt function": (["--gin.toy.trian.steps=5"], "never reaches toy.trian; did you mean toy.train?"),
    "a misspelt parameter": (["--gin.toy.train.stpes=5"], "toy.train has no parameter 'stpes'; did you mean steps?"),
    "a misspelt reference": (["--gin.toy.train.optimizer=@toy.adma()"], "has no 'adma'; did you mean adam?"),
    "an unreached binding": (["--gin.toy.sgd.momentum=0.9"], "toy.sgd.momentum has no effect"),
    "an unset macro in a value": (["--gin.RATE=%RTAE"], "the macro %RTAE is never set; did you mean RATE?"),
    "a value of another type": (["--gin.toy.adam.b1=many"], "toy.adam.b1 is 'many'; expected float"),
    "a macro of another type": (["--gin.STEPS=1.5"], "--gin.STEPS: toy.train.steps is 1.5; expected int"),
    "a broken literal": (["--gin.toy.train.spec=[1,"], "'[1,' is no gin value"),
    "a flag without value": (["--gin.STEPS"], "--gin.STEPS needs a value"),
    "a malformed name": (["--gin.ST-EPS=1"], "'ST-EPS' is no name"),
    "an unknown flag": (["--gin_fil=x"], "unknown argument --gin_fil; did you mean --gin_file?"),
    "a file without its flag": (["other.gin"], "did you mean --gin_file=other.gin?"),
    "a file that is not there": (["--gin_file=t0_prepar.gin"], "there is no gin file t0_prepar.gin"),
    "an argument left open": (["--gin.toy.train.optimizer=@toy.sgd()"], "toy.sgd needs a value for 'learning_rate'"),
    "a value called": (["--gin.toy.train.spec=@toy.SMALL()"], "is a value, not a function; write %toy.SMALL"),
    "a program that is none": (["--gin.PROGRAM=5"], "PROGRAM is 5; expected a function"),
    "processes that are not there": (["--distributed"], "or set JAX_COORDINATOR_ADDRESS"),
    "a refusal by a constructor": (["--gin.toy.train.spec=@toy.picky()"], "the limit 3 is too low; give at least 5"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.usefixtures("toy")
def test_a_mistake_gets_one_line(capsys, mistake):
    arguments, expected = MISTAKES[mistake]
    assert expected in refusal(capsys, *GIVEN, *arguments)


@pytest.mark.usefixtures("toy")
def test_all_missing_must_sets_are_listed_with_what_they_are(capsys):
    message = refusal(capsys, "--gin_file=run.gin")
    assert "WORKDIR (must set: where the run lives)" in message
    assert "STEPS (must set: how far to go)" in message


FILES = {
    "a syntax error": ("STEPS = = 5\n", "bad.gin:1"),
    "an open bracket": ("A = [1,\n", "bad.gin:"),
    "a module that is not there": ("import no_such_module_here\n", "bad.gin:1 imports no_such_module_here"),
    "a function imported as a module": ("from {toy}.toy import train\n", "bad.gin:1 imports {toy}.toy.train"),
    "an include that is not there": ('include "runs/trian.gin"\n', "bad.gin:1: there is no gin file runs/trian.gin"),
    "a file that includes itself": ('include "bad.gin"\n', "includes itself"),
    "two modules of one name": ("import json as toy\n", "tell them apart with 'as'"),
    "one module of two names": ("from {toy} import toy as other\n", "use one name for it"),
    "a binding without effect": ("toy.sgd.momentum = 0.5\n", "bad.gin:1: toy.sgd.momentum has no effect"),
    "a misspelt dial": ("STEP = 5\n", "bad.gin:1: nothing uses the macro STEP; did you mean STEPS?"),
}


@pytest.mark.parametrize("mistake", FILES)
def test_a_mistake_in_a_file_names_file_and_line(toy, tmp_path, capsys, mistake):
    content, expected = FILES[mistake]
    (tmp_path / "bad.gin").write_text(content.replace("{toy}", toy))
    assert expected.replace("{toy}", toy) in refusal(capsys, *GIVEN, "--gin_file=bad.gin")


@pytest.mark.usefixtures("toy")
def test_a_file_without_program_says_so(tmp_path, capsys):
    (tmp_path / "bare.gin").write_text("")
    assert "no file names a program" in refusal(capsys, "--gin_file=bare.gin")


def test_a_refusal_by_the_program_is_one_line(toy, tmp_path, capsys):
    (tmp_path / "p.gin").write_text(f"from {toy} import toy\nPROGRAM = @toy.refuse\ntoy.refuse.workdir = 'runs/x'\n")
    assert refusal(capsys, "--gin_file=p.gin") == "instruct-jax: runs/x holds no dataset; prepare it first\n"


@pytest.mark.parametrize("workdir", ["taken", "taken/run", "taken/a/b"])
def test_a_workdir_that_cannot_be_written_is_one_line(toy, tmp_path, capsys, workdir):
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    (tmp_path / "p.gin").write_text(f"from {toy} import toy\nPROGRAM = @toy.write\ntoy.write.workdir = '{workdir}'\n")
    assert f"WORKDIR {workdir}: Not a directory: taken" in refusal(capsys, "--gin_file=p.gin")


def test_a_fault_in_another_file_than_workdir_keeps_its_traceback(toy, tmp_path):
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    (tmp_path / "p.gin").write_text(
        f"from {toy} import toy\nPROGRAM = @toy.write\ntoy.write.workdir = 'runs/x'\ntoy.write.elsewhere = 'taken'\n"
    )
    with pytest.raises(NotADirectoryError):
        main(["--gin_file=p.gin"])


def test_an_unexpected_fault_keeps_its_traceback(toy, tmp_path):
    (tmp_path / "p.gin").write_text(f"from {toy} import toy\nPROGRAM = @toy.crash\n")
    with pytest.raises(ZeroDivisionError, match=r"^an unexpected fault$"):
        main(["--gin_file=p.gin"])


def test_an_interrupt_is_one_line_and_130(toy, tmp_path, capsys):
    (tmp_path / "p.gin").write_text(f"from {toy} import toy\nPROGRAM = @toy.stop\n")
    assert main(["--gin_file=p.gin"]) == 130
    assert capsys.readouterr().err == "instruct-jax: interrupted\n"


@pytest.mark.parametrize(
    "command", [["-m", "instruct_jax"], ["-c", "from instruct_jax.program import main; raise SystemExit(main())"]]
)
def test_modules_of_the_working_directory_import_from_both_entry_points(toy, tmp_path, command):
    command = [sys.executable, *command, *GIVEN, "--print_config"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"from {toy} import toy" in done.stdout


def test_the_door_imports_neither_jax_nor_tensorflow():
    script = "import sys, instruct_jax.program; print({'jax', 'tensorflow', 'seqio', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
