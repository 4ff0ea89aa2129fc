"""What a foreign template may call: Jinja's filters, tests and functions, whatever they take and make put on the meter."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jinja2
import jinja2.filters
import jinja2.nodes
import jinja2.runtime
import jinja2.tests
import jinja2.utils

from instruct_jax.text.jinja_meter import METER, LimitError

_RANGE = 10_000
_DIGITS = 100
_FILTERS = (
    "abs capitalize d default dictsort e escape first float items last list lower map max min reject rejectattr reverse safe "
    "select selectattr sort string title unique upper"
)
# What Jinja passes to some filters beside their arguments.
_SURROUNDINGS = (jinja2.Environment, jinja2.runtime.Context, jinja2.nodes.EvalContext)
# Tests that look at all of a value; the others ask what kind it is.
_COMPARING = "== != < <= > >= eq ne lt le gt ge equalto greaterthan lessthan in lower upper"
# Filters under names that no template can spell: what the compiler of templates sends through the meter.
CONCATENATED, BUILT, EACH, COMPARED = "~", "[]", "for", "=="


class Namespace(jinja2.utils.Namespace):
    """A template's mutable variables: no hidden names, and no namespace within another."""

    def __init__(*args: Any, **kwargs: Any):
        self, args = args[0], args[1:]  # so that a template may name a variable "self"
        values = dict(*args, **kwargs)
        for name, value in values.items():
            _check_variable(name, value)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_variable(name, value)
        jinja2.utils.Namespace.__setitem__(self, name, value)


def _check_variable(name: Any, value: Any) -> None:
    if str(name).startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace cannot hold {name!r}: names do not begin with an underscore")
    METER.get().checked(value)


def concat(parts: Iterable[str]) -> str:
    """Texts as one, if it is not too long."""
    parts, meter = list(parts), METER.get()
    meter.tick(sum(map(len, parts)))
    return meter.made("".join(parts))


def _each(values: Iterable[Any]) -> Iterator[Any]:
    meter = METER.get()
    for value in values:
        meter.tick()
        yield value


def _concatenated(values: Sequence[Any]) -> str:
    return concat(map(METER.get().written, values))


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose arguments and result pass the meter."""

    @functools.wraps(function)  # which also keeps Jinja's marks on what it is passed
    def metered(*args: Any, **kwargs: Any) -> Any:
        meter = METER.get()
        for value in (*args, *kwargs.values()):
            if not isinstance(value, _SURROUNDINGS):
                meter.checked(value)
        return meter.made(function(*args, **kwargs))

    return metered


def _compares(function: Callable[..., Any]) -> Callable[..., Any]:
    """A test that looks at all of its values: they pass the meter first."""

    @functools.wraps(function)
    def guarded(*args: Any) -> Any:
        meter = METER.get()
        for value in args:
            meter.checked(value)
        return function(*args)

    return guarded


def _length(value: Any) -> int:
    METER.get().tick()
    return len(value)


def _trim(value: str, chars: str | None = None) -> str:
    meter = METER.get()
    text = meter.written(value)
    meter.search(text, chars or "")
    return meter.made(text.strip(chars))


def _int(value: Any, default: Any = 0, base: int = 10) -> Any:
    if isinstance(value, str) and len(value) > _DIGITS:
        raise LimitError(f"int takes at most {_DIGITS} digits")
    return jinja2.filters.do_int(value, default, base)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    wide = [indent if isinstance(indent, int) else len(indent or "")]
    if max(wide + [len(part) for part in separators or ()]) > 16:
        raise LimitError("tojson takes an indent and separators of at most 16 characters")
    settings = {"ensure_ascii": ensure_ascii, "indent": indent, "separators": separators, "sort_keys": sort_keys}
    if indent is None:
        return json.dumps(value, **settings)
    meter, parts, size = METER.get(), [], 0
    for part in json.JSONEncoder(**settings).iterencode(value):  # part by part: deep and wide lines are long
        size += len(part)
        meter.tick(size)
        parts.append(part)
    return "".join(parts)


@jinja2.pass_environment
def _join(environment: Any, value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        value = map(jinja2.filters.make_attrgetter(environment, attribute), value)
    return joined(d, map(METER.get().written, value))


def joined(separator: str, values: Iterable[str]) -> str:
    """Texts joined by another, if it is not too long."""
    meter, parts, size = METER.get(), [], 0
    for value in values:
        size += len(value) + len(separator)
        meter.tick(size)
        parts.append(value)
    return meter.made(str(separator).join(parts))


def _replace_filter(s: Any, old: str, new: str, count: int | None = None) -> str:
    meter = METER.get()
    return replaced(meter.written(s), meter.written(old), meter.written(new), -1 if count is None else count)


def replaced(text: str, old: str, new: str, count: int = -1) -> str:
    """The text with one of its parts exchanged for another, if it is not too long."""
    meter = METER.get()
    meter.tick(len(text))
    found = text.count(old) if count < 0 else min(count, text.count(old))
    meter.tick(len(text) + found * len(new))
    return meter.made(text.replace(old, new, count))


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    meter = METER.get()
    text = meter.written(s)
    meter.tick(len(text) + (text.count("\n") + 1) * (width if isinstance(width, int) else len(width)))
    return meter.made(jinja2.filters.do_indent(text, width, first, blank))


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if abs(precision) > 30:
        raise LimitError("round takes a precision of at most 30 digits")
    return jinja2.filters.do_round(value, precision, method)


def _range(*args: int) -> range:
    METER.get().tick()
    found = range(*args)
    if len(found) > _RANGE:
        raise LimitError(f"range() of {len(found):,} numbers; at most {_RANGE:,} are allowed")
    return found


def _dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(str(message))


def _built(value: Any) -> Any:
    return METER.get().moved(value)


def _compared(value: Any) -> Any:
    return METER.get().checked(value)


FILTERS: dict[str, Callable[..., Any]] = {
    **{name: guarded(jinja2.filters.FILTERS[name]) for name in _FILTERS.split()},
    "tojson": guarded(_tojson),
    "join": _join,
    "replace": _replace_filter,
    "indent": _indent,
    "round": _round,
    "length": _length,
    "count": _length,
    "trim": _trim,
    "int": _int,
    CONCATENATED: _concatenated,
    BUILT: _built,
    EACH: _each,
    COMPARED: _compared,
}
TESTS: dict[str, Callable[..., Any]] = {
    **jinja2.tests.TESTS,
    **{name: _compares(jinja2.tests.TESTS[name]) for name in _COMPARING.split()},
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "range": _range,
    "dict": _dict,
    "namespace": Namespace,
    "raise_exception": _raise_exception,
}
