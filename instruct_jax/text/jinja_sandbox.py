"""Foreign Jinja templates run in bounds: what they may call is on a list, and time, text and nesting have limits.

Chat templates come with downloaded models, so they are programs of strangers. Jinja's own sandbox keeps them away from
Python's insides; what is added here keeps them from taking all time or memory. Every way to make something large passes
a meter: operators, loops, calls, filters, literals, and what is printed.
"""

import contextlib
import contextvars
import dataclasses
import functools
import json
import re
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jinja2
import jinja2.ext
import jinja2.filters
import jinja2.nodes as nodes
import jinja2.runtime
import jinja2.sandbox
import jinja2.utils
from jinja2.visitor import NodeTransformer

from instruct_jax.errors import InputError

SECONDS = 1.0  # of this thread's own computing, for one render; public templates take less than a thousandth of it
CHARACTERS = 1 << 18  # that any text or structure of a template may have, beyond eight times what it was given
SOURCE_CHARACTERS = 100_000  # of a template; the longest public ones have 30,000
_RANGE = 10_000
_BITS = 256  # of a whole number

_METHODS = {
    str: (
        "strip lstrip rstrip split rsplit splitlines partition rpartition startswith endswith replace removeprefix "
        "removesuffix upper lower title capitalize find rfind index count join isdigit isalpha isalnum isspace isupper "
        "islower isnumeric isdecimal"
    ),
    dict: "items keys values get",
    list: "index count",
    tuple: "index count",
    jinja2.runtime.LoopContext: (
        "index index0 revindex revindex0 first last length previtem nextitem depth depth0 cycle changed"
    ),
    jinja2.runtime.Macro: "name arguments caller catch_kwargs catch_varargs",
}
_FILTERS = (
    "abs capitalize count d default dictsort e escape first float int items last length list lower map max min reject "
    "rejectattr reverse safe select selectattr sort string title trim unique upper"
)
# What Jinja passes to some filters beside their arguments.
_SURROUNDINGS = (jinja2.Environment, jinja2.runtime.Context, nodes.EvalContext)
_SEQUENCES = (list, tuple, type({}.keys()), type({}.values()), type({}.items()))


class LimitError(jinja2.TemplateRuntimeError):
    """A template took more time, text or nesting than any honest one needs."""


@dataclasses.dataclass(frozen=True)
class Text:
    """What a template wrote, and the (start, end) characters that it marked as generated, if it marks any."""

    text: str
    generated: tuple[tuple[int, int], ...]


class Program:
    """A compiled template.

    Args:
      source: the template.
      name: for errors.
      functions: what it may call beside the usual: strftime_now, if it may know a date.

    Raises:
      InputError: it is no Jinja, or too long.
    """

    def __init__(self, source: str, name: str, functions: Mapping[str, Callable[..., Any]]):
        self._name = name
        if len(source) > SOURCE_CHARACTERS:
            raise InputError(f"chat template {name!r} has {len(source):,} characters; expected at most {SOURCE_CHARACTERS:,}")
        environment = _Environment()
        environment.globals |= functions
        with self._errors(), _metered(_Meter(len(source))):
            self._template = environment.from_string(source)
        self.marks_generated = re.search(r"\{%[-+]?\s*generation\b", source) is not None

    def run(self, variables: Mapping[str, Any], marks: tuple[str, str]) -> Text:
        """What the template writes.

        Args:
          variables: plain values: text, numbers, lists, dicts.
          marks: two characters that occur in none of them, to find again what the template marks as generated.

        Raises:
          InputError: the template refuses, fails, or takes more than it may; with the line and its own words.
        """
        meter = _Meter(0)
        with self._errors(), _metered(meter):
            meter.limit += 8 * meter.size_of(variables, unlimited=True)
            meter.marks = marks
            parts, size = [], 0
            for part in self._template.generate(variables):
                size += len(part)
                meter.tick(size)
                parts.append(part)
        return _unmarked("".join(parts), marks)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except jinja2.TemplateSyntaxError as error:
            raise InputError(f"chat template {self._name!r}, line {error.lineno}: {_line(error)}; mend the template") from None
        except Exception as error:  # a stranger's program may fail in any way
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
            where = f", line {lines[-1]}" if lines else ""
            raise InputError(
                f"chat template {self._name!r}{where}: {_line(error)}; mend the conversation, or choose another template"
            ) from None


def _line(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    known = isinstance(error, jinja2.TemplateError)
    return (words if known else f"{type(error).__name__}: {words}")[:500]


def _unmarked(text: str, marks: tuple[str, str]) -> Text:
    begin, end = marks
    if begin not in text:
        return Text(text, ())
    parts, ranges, starts, size = [], [], [], 0
    for part in re.split(f"([{begin}{end}])", text):
        if part == begin:
            starts.append(size)
        elif part == end:
            ranges.append((starts.pop() if starts else size, size))
        else:
            parts.append(part)
            size += len(part)
    return Text("".join(parts), tuple(ranges))


class _Meter:
    """What one run has used, and may use."""

    def __init__(self, given: int):
        self.deadline = time.thread_time() + SECONDS
        self.limit = CHARACTERS + 8 * given
        self.marks = ("", "")

    def tick(self, size: int = 0) -> None:
        if size > self.limit:
            raise LimitError(f"it makes something of {size:,} characters; at most {self.limit:,} are allowed")
        if time.thread_time() > self.deadline:
            raise LimitError(f"it computes for more than {SECONDS:g} s")

    def size_of(self, value: Any, unlimited: bool = False) -> int:
        """Characters and entries of a value, entries of entries included; stops at more than is allowed."""
        total, stack = 0, [value]
        while stack:
            one = stack.pop()
            total += 1
            if isinstance(one, str):
                total += len(one)
            elif isinstance(one, Mapping):
                stack += one.keys()
                stack += one.values()
            elif isinstance(one, _SEQUENCES):
                stack += one
            elif isinstance(one, jinja2.utils.Namespace):
                raise LimitError("a namespace cannot be printed, nested or passed to a filter")
            if total > self.limit and not unlimited:
                self.tick(total)
        return total

    def checked(self, value: Any) -> Any:
        """The value, if it is not too large."""
        if isinstance(value, str):
            self.tick(len(value))
        else:
            self.tick(self.size_of(value))
        return value


_METER: contextvars.ContextVar[_Meter] = contextvars.ContextVar("meter")


@contextlib.contextmanager
def _metered(meter: _Meter) -> Iterator[None]:
    token = _METER.set(meter)
    try:
        yield
    finally:
        _METER.reset(token)


class _Namespace(jinja2.utils.Namespace):
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
    _METER.get().checked(value)


class _Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}: what the model itself writes."""

    tags = frozenset(("generation",))

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("marked"), [], [], body).set_lineno(line)

    def marked(self, caller: Callable[[], str]) -> str:
        begin, end = _METER.get().marks
        return f"{begin}{caller()}{end}"


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja as `transformers` sets it up for chat templates, with everything that can grow put on the meter."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self):
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, jinja2.ext.loopcontrols],
            finalize=lambda value: _METER.get().checked(value),
            optimized=False,
        )
        self.filters = {name: _guarded(jinja2.filters.FILTERS[name]) for name in _FILTERS.split()}
        self.filters |= {
            "tojson": _guarded(_tojson),
            "join": _join,
            "replace": _replace_filter,
            "indent": _indent,
            "round": _round,
            _CONCATENATED: _concatenated,
            _BUILT: lambda value: _METER.get().checked(value),
            _EACH: _each,
        }
        self.globals = {"range": _range, "dict": _dict, "namespace": _Namespace, "raise_exception": _raise_exception}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return _Bounds().visit(super()._parse(source, name, filename))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        del value
        if attr.startswith("_"):
            return False
        if isinstance(obj, jinja2.utils.Namespace):
            return True
        return any(attr in names.split() for kind, names in _METHODS.items() if isinstance(obj, kind))

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        meter = _METER.get()
        meter.tick()
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(owner, str) and name == "replace":
            return _replaced(owner, *args, **kwargs)
        if isinstance(owner, str) and name == "join":
            return _joined(owner, *args, **kwargs)
        result = super().call(context, function, *args, **kwargs)
        return result if isinstance(result, jinja2.utils.Namespace) else meter.checked(result)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        meter = _METER.get()
        meter.tick()
        sized = [len(side) for side in (left, right) if isinstance(side, str | list | tuple)]
        whole = [side for side in (left, right) if isinstance(side, int)]
        if operator == "+" and len(sized) == 2:
            meter.tick(sum(sized))
        elif operator == "*" and sized and whole:
            meter.tick(sized[0] * max(0, whole[0]))
        elif operator in ("*", "**") and len(whole) == 2:
            bits = left.bit_length() + right.bit_length() if operator == "*" else left.bit_length() * max(1, abs(right))
            if bits > _BITS:
                raise LimitError(f"{operator} makes a number of {bits:,} bits; at most {_BITS} are allowed")
        elif operator == "%" and isinstance(left, str):
            raise LimitError("formatting with % is not available; join texts with ~")
        return meter.checked(super().call_binop(context, operator, left, right))

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        parts = list(parts)
        _METER.get().tick(sum(map(len, parts)))
        return "".join(parts)


# Filters under names that no template can spell.
_CONCATENATED, _BUILT, _EACH = "~", "[]", "for"


class _Bounds(NodeTransformer):
    """Sends through the meter what Jinja would compile to plain Python: loops, literals, and joining with ~."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), _CONCATENATED)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, _BUILT)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, _BUILT)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, _BUILT) if node.ctx == "load" else node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filter(node.iter, _EACH)
        return node


def _filter(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _each(values: Iterable[Any]) -> Iterator[Any]:
    meter = _METER.get()
    for value in values:
        meter.tick()
        yield value


def _concatenated(values: Sequence[Any]) -> str:
    meter = _METER.get()
    return _Environment.concat([str(meter.checked(value)) for value in values])


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)  # which also keeps Jinja's marks on what it is passed
    def guarded(*args: Any, **kwargs: Any) -> Any:
        meter = _METER.get()
        for value in (*args, *kwargs.values()):
            if not isinstance(value, _SURROUNDINGS):
                meter.checked(value)
        return meter.checked(function(*args, **kwargs))

    return guarded


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
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@jinja2.pass_environment
def _join(environment: Any, value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        value = map(jinja2.filters.make_attrgetter(environment, attribute), value)
    meter = _METER.get()
    return _joined(d, (str(meter.checked(one)) for one in value))


def _joined(separator: str, values: Iterable[str]) -> str:
    meter, parts, size = _METER.get(), [], 0
    for value in values:
        size += len(value) + len(separator)
        meter.tick(size)
        parts.append(value)
    return str(separator).join(parts)


def _replace_filter(s: Any, old: str, new: str, count: int | None = None) -> str:
    return _replaced(str(_METER.get().checked(s)), str(old), str(new), -1 if count is None else count)


def _replaced(text: str, old: str, new: str, count: int = -1) -> str:
    found = text.count(old) if count < 0 else min(count, text.count(old))
    _METER.get().tick(len(text) + found * len(new))
    return text.replace(old, new, count)


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = str(_METER.get().checked(s))
    _METER.get().tick(len(text) + (text.count("\n") + 1) * (width if isinstance(width, int) else len(width)))
    return jinja2.filters.do_indent(text, width, first, blank)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if abs(precision) > 30:
        raise LimitError("round takes a precision of at most 30 digits")
    return jinja2.filters.do_round(value, precision, method)


def _range(*args: int) -> range:
    _METER.get().tick()
    found = range(*args)
    if len(found) > _RANGE:
        raise LimitError(f"range() of {len(found):,} numbers; at most {_RANGE:,} are allowed")
    return found


def _dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(str(message))
