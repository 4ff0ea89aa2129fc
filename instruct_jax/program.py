"""The one door: read gin files and flags, check them, and run the program they name.

    python -m instruct_jax --gin_file=gin_configs/recipes/t0_sft_cpu.gin --gin.DATASET=data/t0 --gin.WORKDIR=runs/t0

A program is a gin file: its macro PROGRAM names a function, and its bindings that function's arguments. All files and
flags are flattened into one text, later values overriding earlier ones; that text is what `--print_config` shows, what
gin evaluates and, where the program has a parameter `config`, what its manifests keep. No other file imports gin.
"""

import dataclasses
import difflib
import errno
import inspect
import logging
import os
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gin
from gin import config_parser

from instruct_jax.errors import InputError
from instruct_jax.recipe import Binding, Import, Macro, Recipe, Reference
from instruct_jax.recipe_check import check_names, check_objects, nearest

REPOSITORY = Path(__file__).resolve().parent.parent
FLAGS = ("--gin_file", "--gin_search_paths", "--gin.NAME", "--print_config", "--distributed", "--help")
_TARGET = re.compile(r"([A-Za-z_]\w*/)*[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
# What a file system says of a place where nothing can be written.
_UNWRITABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EBUSY),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
}
# What libraries print while they are imported, unless the user asks for it.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "GRPC_VERBOSITY": "ERROR"}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The command line: `bindings` holds the text after `--gin.`, by name."""

    files: tuple[str, ...] = ()
    search_paths: tuple[str, ...] = ()
    bindings: tuple[tuple[str, str], ...] = ()
    print_config: bool = False
    distributed: bool = False
    help: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0, 2 for bad input, 130 when interrupted."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does, so that the user's own modules import either way
    try:
        return _run(parse_arguments(sys.argv[1:] if arguments is None else arguments))
    except InputError as error:
        # gin adds lines of its own to whatever is raised inside a constructor that it calls.
        message = str(error).partition("\n  In call to configurable")[0]
        print(f"instruct-jax: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("instruct-jax: interrupted", file=sys.stderr)
        return 130


def _run(arguments: Arguments) -> int:
    if arguments.help or not (arguments.files or arguments.bindings):
        print(usage())
        return 0 if arguments.help else 2
    recipe = read_recipe(arguments)
    check_names(recipe)
    if arguments.distributed:
        _join_processes()
    bound = bind(recipe)
    if arguments.print_config:
        print(bound.text, end="")
        return 0
    values = bound.values()
    try:
        bound.program(**values)
    except OSError as error:
        if error.errno in _UNWRITABLE and error.filename and _concerns(error.filename, values.get("workdir")):
            raise InputError(
                f"WORKDIR {values['workdir']}: {error.strerror}: {error.filename}; give a folder that can be written"
            ) from None
        raise
    return 0


@dataclasses.dataclass(frozen=True)
class Bound:
    """A program with all that its recipe says.

    Attributes:
      program: the function.
      text: the recipe, flattened; a gin file of its own.
      constants: of the recipe's modules that it names.
    """

    program: Callable[..., Any]
    text: str
    constants: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        """The program's arguments, evaluated now: the functions that the recipe calls are called."""
        gin.clear_config(clear_constants=True)
        for name, value in self.constants.items():
            gin.constant(name, value)
        gin.parse_config(self.text)
        values = gin.get_bindings(self.program)
        if "config" in inspect.signature(self.program).parameters:
            values.setdefault("config", self.text)
        return values


def bind(recipe: Recipe) -> Bound:
    """The program that a recipe names, its modules imported and its bindings checked.

    Raises:
      InputError: see `check_objects`.
    """
    program, constants = check_objects(recipe)
    logging.getLogger("absl").setLevel(logging.ERROR)  # what orbax and tfds warn of concerns their own insides
    return Bound(program, recipe.text(), constants)


def _concerns(file: str | bytes | os.PathLike, workdir: str | os.PathLike | None) -> bool:
    """Whether a file is the folder to write, in it, beside it under a longer name (.partial), or above it."""
    if workdir is None:
        return False
    at, folder = Path(os.fsdecode(file)).absolute(), Path(workdir).absolute()
    return str(at).startswith(str(folder)) or folder.is_relative_to(at)


def _join_processes() -> None:
    import jax

    numbers = {name: os.environ.get(f"JAX_{name.upper()}") for name in ("num_processes", "process_id")}
    try:
        jax.distributed.initialize(**{name: int(text) for name, text in numbers.items() if text})
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"--distributed: {str(error).splitlines()[0]}; start under Slurm, Open MPI, Kubernetes or on a TPU pod, "
            "or set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID"
        ) from None


def parse_arguments(arguments: Sequence[str]) -> Arguments:
    """The command line as values.

    >>> parse_arguments(["--gin_file=a.gin", "--gin.STEPS=5", "--gin_file", "b.gin"]).files
    ('a.gin', 'b.gin')

    Raises:
      InputError: an unknown flag, or a flag without its value.
    """
    files, search_paths, bindings = [], [], []
    switches: dict[str, bool] = {}
    waiting = list(arguments)
    while waiting:
        flag, equals, value = waiting.pop(0).partition("=")
        if flag in ("--print_config", "--distributed", "--help", "-h") and not equals:
            switches["help" if flag == "-h" else flag[2:]] = True
            continue
        if flag not in ("--gin_file", "--gin_search_paths") and not flag.startswith("--gin."):
            hint = f"; did you mean --gin_file={flag}?" if flag.endswith(".gin") else nearest(flag, FLAGS)
            raise InputError(f"unknown argument {flag}{hint or '; --help lists the flags'}")
        if not equals:
            if not waiting or waiting[0].startswith("--"):
                raise InputError(f"{flag} needs a value: {flag}=VALUE")
            value = waiting.pop(0)
        if flag == "--gin_file":
            files.append(value)
        elif flag == "--gin_search_paths":
            search_paths += value.split(",")
        else:
            bindings.append((flag.removeprefix("--gin."), value))
    return Arguments(tuple(files), tuple(search_paths), tuple(bindings), **switches)


def usage() -> str:
    """How to call, and what there is to run."""
    lines = [
        "usage: instruct-jax --gin_file=FILE [--gin_file=FILE ...] [--gin.NAME=VALUE ...]",
        "",
        "  --gin_file=FILE          a recipe, or a file that overrides some of its bindings; may be repeated",
        "  --gin.NAME=VALUE         set a macro (--gin.STEPS=100) or a parameter (--gin.loop.train.steps=100)",
        "  --gin_search_paths=A,B   further folders to look for files and includes in",
        "  --print_config           print the operative configuration and stop",
        "  --distributed            join the other processes of a pod or job (jax.distributed.initialize) first",
        "",
    ]
    for folder in ("recipes", "runs"):
        lines += [f"{folder}:"] + [f"  {_shown(file):48} {_headline(file)}" for file in _gin_files(folder)]
    return "\n".join(lines)


def read_recipe(arguments: Arguments) -> Recipe:
    """The statements of all files, in order, and those of the flags after them.

    Raises:
      InputError: a file is not there, does not parse, or includes itself; a flag has a malformed name or value.
    """
    imports: list[Import] = []
    bindings: list[Binding] = []
    for layer, file in enumerate(arguments.files):
        folders = (Path(), *map(Path, arguments.search_paths), REPOSITORY, REPOSITORY / "gin_configs")
        for statement in _statements(_find(file, folders, ""), folders, layer, ()):
            (imports if isinstance(statement, Import) else bindings).append(statement)
    for name, text in arguments.bindings:
        if not _TARGET.fullmatch(name):
            raise InputError(
                f"--gin.{name}: {name!r} is no name; write --gin.MACRO=VALUE or --gin.module.function.parameter=VALUE"
            )
        bindings.append(Binding(name, flag_value(name, text), f"--gin.{name}", layer=len(arguments.files)))
    return Recipe(tuple(imports), tuple(bindings))


def flag_value(name: str, text: str) -> Any:
    """A flag's value: a gin value where it reads as one, the text itself otherwise, so that paths need no quotes.

    >>> flag_value("STEPS", "200"), flag_value("WORKDIR", "/data/run-1"), flag_value("INIT_FROM", "None")
    (200, '/data/run-1', None)
    """
    try:
        parser = config_parser.ConfigParser(text, _Delegate())
        value = parser.parse_value()
        if parser.current_token.type not in (tokenize.NEWLINE, tokenize.ENDMARKER):
            raise SyntaxError("more than one value")
        return value
    except (SyntaxError, tokenize.TokenError):
        if text.startswith(("@", "%", "[", "(", "{", '"', "'")):
            raise InputError(f"--gin.{name}: {text!r} is no gin value; check its brackets and quotes") from None
        return os.path.expanduser(text)


class _Delegate(config_parser.ParserDelegate):
    """Makes gin's parser yield this package's values rather than live functions."""

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        return Reference(scoped_configurable_name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


def _statements(file: Path, folders: Sequence[Path], layer: int, including: tuple[Path, ...]) -> Iterator[Import | Binding]:
    """A file's imports and bindings in order, with those of its includes in their place."""
    if file in including:
        raise InputError(f"{_shown(file)} includes itself, by way of {_shown(including[-1])}")
    lines = file.read_text().splitlines()
    try:
        for statement in config_parser.ConfigParser("\n".join(lines) + "\n", _Delegate()):
            where = f"{_shown(file)}:{statement.location.line_num}"
            if isinstance(statement, config_parser.IncludeStatement):
                found = _find(statement.filename, (*folders, file.parent), f"{where}: ")
                yield from _statements(found, folders, layer, (*including, file))
            elif isinstance(statement, config_parser.ImportStatement):
                if not statement.module.startswith("__gin__."):
                    yield Import(statement.module, statement.bound_name(), statement.format(), where)
            elif isinstance(statement, config_parser.BindingStatement):
                scope = f"{statement.scope}/" if statement.scope else ""
                target = f"{scope}{statement.selector}" + (f".{statement.arg_name}" if statement.arg_name else "")
                comment = _comment(lines, statement.location.line_num - 1)
                yield Binding(target, statement.value, where, comment, layer, own=not including)
    except SyntaxError as error:
        raise InputError(f"{_shown(file)}:{error.lineno}: {error.msg.splitlines()[0]} in: {(error.text or '').strip()}") from None
    except tokenize.TokenError as error:
        raise InputError(f"{_shown(file)}:{error.args[1][0]}: {error.args[0]}; check brackets and quotes") from None


def _find(name: str, folders: Sequence[Path], where: str) -> Path:
    for folder in folders:
        if (folder / name).is_file():
            return (folder / name).resolve()
    known = {file.stem: _shown(file) for folder in ("recipes", "runs", "meshes") for file in _gin_files(folder)}
    matches = [known[stem] for stem in difflib.get_close_matches(Path(name).stem, known, n=3, cutoff=0.5)]
    hint = f"; nearest: {', '.join(matches)}" if matches else "; --help lists the recipes"
    searched = ", ".join(str(folder) for folder in dict.fromkeys(folders))
    raise InputError(f"{where}there is no gin file {name} (searched {searched}){hint}")


def _comment(lines: Sequence[str], index: int) -> str:
    beside = lines[index].partition("#")[2].strip()
    above = lines[index - 1].strip() if index else ""
    return beside or (above.lstrip("# ") if above.startswith("#") else "")


def _gin_files(folder: str) -> list[Path]:
    return sorted((REPOSITORY / "gin_configs" / folder).glob("*.gin"))


def _headline(file: Path) -> str:
    first = file.read_text().partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def _shown(file: Path) -> str:
    for root in (Path.cwd(), REPOSITORY):
        if file.is_relative_to(root):
            return str(file.relative_to(root))
    return str(file)
