"""Everything that can be wrong with a recipe, found before anything heavy runs: one line each, with the nearest name."""

import difflib
import importlib
import inspect
import pathlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.recipe import PROGRAM, REQUIRED, Binding, Import, Macro, Recipe, Reference, parts, reach, unscoped


def check_names(recipe: Recipe) -> None:
    """What can be seen without importing anything.

    Raises:
      InputError: a macro that is never set or never used, a binding without effect, a symbol that no file imports, two
        modules under one name, no program, or must-sets left unset (all of them in one line).
    """
    symbols = _symbols(recipe)
    macros = {binding.target for binding in recipe.bindings if binding.parameter is None}
    for binding in recipe.bindings:
        if binding.parameter is not None:
            _check_symbol(binding.owner, binding.where, symbols)
        for part in parts(binding.value):
            if isinstance(part, Reference) or part.is_constant:
                _check_symbol(part.name, binding.where, symbols)
            elif part.name not in macros and part.name != REQUIRED:
                raise InputError(f"{binding.where}: the macro {part} is never set{nearest(part.name, macros)}")
    _check_program(recipe)
    _check_used(recipe)
    _check_required(recipe)


def check_objects(recipe: Recipe) -> tuple[Callable[..., Any], dict[str, Any]]:
    """What can be seen once the recipe's modules are imported.

    Returns:
      The program, and the constants that the recipe names, by name.

    Raises:
      InputError: a module, a name in it or a parameter does not exist, a parameter without default is unset, or a
        literal is of another type than its parameter.
    """
    for one in recipe.imports:
        _import(one)
    modules = {one.name: importlib.import_module(one.bound) for one in recipe.imports}
    operative, constants = recipe.operative(), {}
    for binding in operative.values():
        for part in parts(binding.value):
            if isinstance(part, Reference):
                found = resolve(part.name, modules, binding.where)
                if not callable(found):
                    raise InputError(f"{binding.where}: {part} is a value, not a function; write %{part.name}")
                if part.evaluate:
                    _check_complete(part.selector, found, binding.where, operative)
            elif part.is_constant:
                constants[part.name] = resolve(part.name, modules, binding.where)
        if binding.parameter is not None:
            _check_parameter(binding, resolve(binding.owner, modules, binding.where), operative)
    chosen = operative[PROGRAM]
    program = resolve(chosen.value.name, modules, chosen.where)
    _check_complete(chosen.value.name, program, chosen.where, operative)
    return program, constants


def resolve(selector: str, modules: Mapping[str, Any], where: str) -> Any:
    """The object a dotted name stands for."""
    first, *rest = selector.split(".")
    found = modules[first]
    for name in rest:
        if not hasattr(found, name):
            public = [entry for entry in dir(found) if not entry.startswith("_")]
            raise InputError(f"{where}: {found.__name__} has no {name!r}{nearest(name, public)}")
        found = getattr(found, name)
    return found


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause for an error message; empty where nothing is near.

    >>> nearest("STEP", ["STEPS", "SEED"])
    '; did you mean STEPS?'
    """
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]}?" if matches else ""


def _symbols(recipe: Recipe) -> dict[str, Import]:
    """Imports by the symbol they bind. All files share one table, so that flags may use any file's symbols."""
    by_name: dict[str, Import] = {}
    by_module: dict[str, Import] = {}
    for one in recipe.imports:
        known = by_name.setdefault(one.name, one)
        if known.bound != one.bound:
            raise InputError(
                f"{one.where}: {one.name!r} is {one.module} here and {known.module} at {known.where}; tell them apart with 'as'"
            )
        other = by_module.setdefault(one.bound, one)
        if other.name != one.name:
            raise InputError(
                f"{one.where}: {one.module} is {one.name!r} here and {other.name!r} at {other.where}; use one name for it"
            )
    return by_name


def _check_symbol(selector: str, where: str, symbols: Mapping[str, Import]) -> None:
    first = selector.partition(".")[0]
    if first not in symbols:
        hint = nearest(first, symbols) or f"; add an import of the module, such as: from instruct_jax.train import {first}"
        raise InputError(f"{where}: {selector} begins with {first!r}, which no file imports{hint}")


def _check_program(recipe: Recipe) -> None:
    chosen = recipe.operative().get(PROGRAM)
    if chosen is None:
        raise InputError("no file names a program; include one of gin_configs/runs, or write PROGRAM = @module.function")
    if not isinstance(chosen.value, Reference) or chosen.value.evaluate or "/" in chosen.value.selector:
        raise InputError(f"{chosen.where}: PROGRAM is {chosen.value!r}; expected a function, such as @loop.train")


def _check_used(recipe: Recipe) -> None:
    """Fail on what has no effect: a macro that nothing names, a binding of something that the program does not reach.

    A file's own bindings, and every flag, must have an effect once their layer is read. What a file includes may be left
    behind by it: a recipe that swaps the optimizer leaves the run's settings of the other one without effect.
    """
    ever = reach(recipe.bindings)
    for binding in recipe.bindings:
        complete = recipe.operative(binding.layer)
        is_flag = binding.where.startswith("--")
        if is_flag or (binding.own and binding.parameter is not None and PROGRAM in complete):
            reached = reach(complete.values())
        else:
            reached = ever
        if binding.owner in reached:
            continue
        if binding.parameter is None:
            used = [name for name in reached if "." not in name]
            raise InputError(f"{binding.where}: nothing uses the macro {binding.target}{nearest(binding.target, used)}")
        known = [name for name in reached if "." in name]
        raise InputError(
            f"{binding.where}: {binding.target} has no effect: the program never reaches {binding.owner}"
            f"{nearest(binding.owner, known)}"
        )


def _check_required(recipe: Recipe) -> None:
    missing = [binding for binding in recipe.operative().values() if binding.value == Macro(REQUIRED)]
    if missing:
        names = ", ".join(f"{binding.target} ({binding.comment})" if binding.comment else binding.target for binding in missing)
        flags = " ".join(f"--gin.{binding.target}=..." for binding in missing)
        raise InputError(f"must be set: {names}; add {flags}")


def _import(one: Import) -> None:
    try:
        importlib.import_module(one.module)
    except ImportError as error:
        raise InputError(f"{one.where} imports {one.module}, which cannot be imported: {error}") from error
    except Exception as error:
        error.add_note(f"while importing {one.module}, as {one.where} asks")
        raise


def _parameters(found: Any) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(found).parameters
    except (TypeError, ValueError):  # some built-in functions have no signature to read
        return None


def _check_parameter(binding: Binding, found: Any, operative: Mapping[str, Binding]) -> None:
    parameters = _parameters(found)
    if parameters is None:
        return
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if binding.parameter not in parameters and not open_ended:
        hint = nearest(binding.parameter, parameters)
        raise InputError(f"{binding.where}: {binding.owner} has no parameter {binding.parameter!r}{hint}")
    value, where = binding.value, binding.where
    while isinstance(value, Macro) and value.name in operative:
        value, where = operative[value.name].value, operative[value.name].where
    accepted = _literal_types(found, binding.parameter)
    if accepted and not any(True for _ in parts(value)) and not _fits(value, accepted):
        expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in accepted)
        raise InputError(f"{where}: {binding.target} is {value!r}; expected {expected}")


def _literal_types(found: Any, parameter: str) -> tuple[type, ...]:
    """The types a parameter takes; empty where its annotation is not made of plain literal types."""
    try:
        hint = typing.get_type_hints(found.__init__ if inspect.isclass(found) else found).get(parameter)
    except (NameError, TypeError, AttributeError):  # an annotation that only a type checker can read
        return ()
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    kinds = typing.get_args(hint) if is_union else (hint,)
    return kinds if all(kind in (int, float, str, bool, type(None), pathlib.Path) for kind in kinds) else ()


def _fits(value: Any, accepted: tuple[type, ...]) -> bool:
    kind = type(value)
    return kind in accepted or (kind is int and float in accepted) or (kind is str and pathlib.Path in accepted)


def _check_complete(selector: str, found: Any, where: str, operative: Mapping[str, Binding]) -> None:
    """Fail where a parameter without default is bound nowhere."""
    for parameter in (_parameters(found) or {}).values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        targets = {f"{selector}.{parameter.name}", f"{unscoped(selector)}.{parameter.name}"}
        if parameter.default is parameter.empty and not targets & operative.keys():
            raise InputError(f"{where}: {selector} needs a value for {parameter.name!r}; bind {selector}.{parameter.name}")
