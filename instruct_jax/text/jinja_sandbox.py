"""Foreign Jinja templates run in bounds: what they may call is on a list, and time, text and nesting have limits.

Chat templates come with downloaded models, so they are programs of strangers. Jinja's own sandbox keeps them away from
Python's insides; what is added here keeps them from taking all time or memory. Every way to make something large, or to
look at all of something large, passes a meter: operators, comparisons, tests, slices, loops, calls, filters, literals, and
what is printed.
"""

import contextlib
import dataclasses
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
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
from instruct_jax.text.jinja_filters import (
    BUILT,
    COMPARED,
    CONCATENATED,
    EACH,
    FILTERS,
    FUNCTIONS,
    TESTS,
    concat,
    guarded,
    joined,
    replaced,
)
from instruct_jax.text.jinja_meter import METER, LimitError, Meter

SOURCE_CHARACTERS = 100_000  # of a template; the longest public ones have 30,000
_NODES = 10_000  # of a parsed template; the longest public ones have some 1,500
_BITS = 256  # of a whole number

# Methods of text that compare, at worst, every place of a text with every place of another; Python's others are linear.
_SEARCHES = ("rfind", "rindex", "rsplit", "rpartition", "strip", "lstrip", "rstrip")

_COPIES = 8  # of its arguments, on the way to a macro
_SCOPES = ("_loop_vars", "_block_vars")  # what Jinja passes to calls within loops and blocks, for itself

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
      filters: those beside the usual ones; they see what they are given on the meter.
      kind: what it is, for errors.
      trims: whether line breaks after a block and white space before one are left out, as `transformers` has it.

    Raises:
      InputError: it is no Jinja, or too long.
    """

    def __init__(
        self,
        source: str,
        name: str,
        functions: Mapping[str, Callable[..., Any]],
        filters: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
        kind: str = "chat template",
        trims: bool = True,
    ):
        self._name = f"{kind} {name!r}"
        if len(source) > SOURCE_CHARACTERS:
            raise InputError(f"{self._name} has {len(source):,} characters; expected at most {SOURCE_CHARACTERS:,}")
        environment = _Environment(trims)
        environment.globals |= functions
        environment.filters |= {filter_name: guarded(function) for filter_name, function in filters.items()}
        with self._errors(), Meter().render(source):
            self._template = environment.from_string(source)
        self.marks_generated = re.search(r"\{%[-+]?\s*generation\b", source) is not None

    def run(self, variables: Mapping[str, Any], marks: tuple[str, str], meter: Meter | None = None) -> Text:
        """What the template writes.

        Args:
          variables: plain values: text, numbers, lists, dicts.
          marks: two characters that occur in none of them, to find again what the template marks as generated.
          meter: of the conversation, where it is written several times; None: this time is the only one.

        Raises:
          InputError: the template refuses, fails, or takes more than it may; with the line and its own words.
        """
        meter = meter or Meter()
        meter.marks = marks
        with self._errors(), meter.render(variables):
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
            raise InputError(f"{self._name}, line {error.lineno}: {_line(error)}; mend the template") from None
        except Exception as error:  # a stranger's program may fail in any way
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
            where = f", line {lines[-1]}" if lines else ""
            raise InputError(f"{self._name}{where}: {_line(error)}; {_advice(error)}") from None


def _advice(error: Exception) -> str:
    if isinstance(error, LimitError):
        return "choose another template, or a shorter conversation"
    if isinstance(error, jinja2.UndefinedError):
        return "give what it lacks in the messages or the template's variables, or choose another template"
    return "mend the conversation, or choose another template"


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


class _Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}: what the model itself writes."""

    tags = frozenset(("generation",))

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("marked"), [], [], body).set_lineno(line)

    def marked(self, caller: Callable[[], str]) -> str:
        begin, end = METER.get().marks
        return f"{begin}{caller()}{end}"


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja as `transformers` sets it up for chat templates, with everything that can grow put on the meter."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, trims: bool):
        super().__init__(
            trim_blocks=trims,
            lstrip_blocks=trims,
            extensions=[_Generation, jinja2.ext.loopcontrols],
            finalize=lambda value: METER.get().written(value),
            optimized=False,
        )
        self.filters, self.tests, self.globals = dict(FILTERS), dict(TESTS), dict(FUNCTIONS)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return _Bounds().visit(super()._parse(source, name, filename))

    def wrap_str_format(self, value: Any) -> None:
        """No text.format: a width within it makes a text of any length."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        del value
        if attr.startswith("_"):
            return False
        if isinstance(obj, jinja2.utils.Namespace):
            return True
        return any(attr in names.split() for kind, names in _METHODS.items() if isinstance(obj, kind))

    def getitem(self, obj: Any, argument: Any) -> Any:
        METER.get().tick()  # the attributes that a filter is given may be many, in many values
        return super().getitem(obj, argument)

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        meter = METER.get()
        meter.tick(len(args))
        meter.charge(_COPIES * (sys.getsizeof(args) + sys.getsizeof(kwargs)))
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        given = {key: value for key, value in kwargs.items() if key not in _SCOPES}
        if not isinstance(function, jinja2.runtime.Macro):
            meter.checked((args, given, owner if isinstance(owner, list | tuple) else None))
        if isinstance(owner, str):
            meter.search(owner, max(map(str, (*args, *given.values())), key=len, default="") if name in _SEARCHES else "")
            if name in ("replace", "join"):
                return (replaced if name == "replace" else joined)(owner, *args, **given)
        result = super().call(context, function, *args, **kwargs)
        return result if isinstance(result, jinja2.utils.Namespace) else meter.made(result)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        meter = METER.get()
        meter.tick()
        sized = [len(side) for side in (left, right) if isinstance(side, str | list | tuple)]
        whole = [side for side in (left, right) if isinstance(side, int)]
        if operator == "+" and len(sized) == 2:
            meter.tick(sum(sized))
        elif operator == "*" and sized and whole:
            meter.tick(sized[0] * max(0, whole[0]))
        elif any(one.bit_length() > _BITS for one in whole):
            raise LimitError(f"{operator} takes whole numbers of at most {_BITS} bits")
        elif operator in ("*", "**") and len(whole) == 2:
            bits = left.bit_length() + right.bit_length() if operator == "*" else left.bit_length() * max(1, abs(right))
            if bits > _BITS:
                raise LimitError(f"{operator} makes a number of {bits:,} bits; at most {_BITS} are allowed")
        elif operator == "%" and isinstance(left, str):
            raise LimitError("formatting with % is not available; join texts with ~")
        return meter.moved(super().call_binop(context, operator, left, right))

    concat = staticmethod(concat)


class _Bounds(NodeTransformer):
    """Sends through the meter what Jinja would compile to plain Python: loops, literals, slices, comparisons, joining with ~."""

    def __init__(self):
        self._nodes = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        self._nodes += 1
        if self._nodes > _NODES:
            raise LimitError(f"it has more than {_NODES:,} parts")
        return super().visit(node, *args, **kwargs)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), CONCATENATED)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, BUILT)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, BUILT)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, BUILT) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, BUILT) if isinstance(node.arg, nodes.Slice) else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filter(node.expr, COMPARED)
        for operand in node.ops:
            operand.expr = _filter(operand.expr, COMPARED)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filter(node.iter, EACH)
        return node


def _filter(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
