"""A recipe as statements: what is imported, what is bound, and what of it the program reaches."""

import dataclasses
import pprint
from collections.abc import Iterable, Iterator
from typing import Any

PROGRAM = "PROGRAM"
REQUIRED = "gin.REQUIRED"


@dataclasses.dataclass(frozen=True)
class Reference:
    """`@module.name` or, evaluated, `@module.name()`; a scope may stand before it, as in `@scope/module.name`."""

    selector: str
    evaluate: bool

    def __repr__(self) -> str:
        return f"@{self.selector}{'()' if self.evaluate else ''}"

    @property
    def name(self) -> str:
        """What it refers to, without scope."""
        return unscoped(self.selector)


@dataclasses.dataclass(frozen=True)
class Macro:
    """`%NAME`: another binding's value; with a dot in it, a constant of an imported module."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"

    @property
    def is_constant(self) -> bool:
        """Whether it names a value of an imported module, as `%chat.INSTRUCT` does."""
        return "." in self.name and self.name != REQUIRED


@dataclasses.dataclass(frozen=True)
class Import:
    """One import statement. `text` is the statement; `module` what it imports; `name` the symbol it binds."""

    module: str
    name: str
    text: str
    where: str

    @property
    def is_plain(self) -> bool:
        """Whether it is `import a.b`, which binds `a`."""
        return self.text.startswith("import ") and " as " not in self.text

    @property
    def bound(self) -> str:
        """The module that the symbol stands for."""
        return self.name if self.is_plain else self.module


@dataclasses.dataclass(frozen=True)
class Binding:
    """`target = value`.

    Attributes:
      target: a macro's name, or `scope/module.name.parameter`.
      where: "file:line", or the flag.
      comment: what the author wrote beside it, or above it.
      layer: which of the files and flags on the command line it came with; later layers override earlier ones.
      own: whether it stands in the layer itself rather than in a file that the layer includes.
    """

    target: str
    value: Any
    where: str
    comment: str = ""
    layer: int = 0
    own: bool = True

    @property
    def owner(self) -> str:
        """The macro, or the function or class without scope, that the binding belongs to."""
        return unscoped(self.target).rpartition(".")[0] or self.target

    @property
    def parameter(self) -> str | None:
        """The parameter that is bound; None for a macro."""
        selector, _, parameter = unscoped(self.target).rpartition(".")
        return parameter if selector else None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Imports and bindings in the order they were read; a later binding of one target overrides an earlier one."""

    imports: tuple[Import, ...]
    bindings: tuple[Binding, ...]

    def operative(self, layer: int | None = None) -> dict[str, Binding]:
        """The bindings in force that the program reaches, by target; `layer` stops after that layer."""
        read = [binding for binding in self.bindings if layer is None or binding.layer <= layer]
        final = {binding.target: binding for binding in read}
        reached = reach(final.values())
        return {target: binding for target, binding in final.items() if binding.owner in reached}

    def text(self) -> str:
        """The operative recipe as one flat gin file; run alone, it does the same."""
        operative = self.operative().values()
        blocks: dict[str, list[str]] = {"imports": ["from __gin__ import dynamic_registration"], "macros": []}
        blocks["imports"] += dict.fromkeys(one.text for one in self.imports)
        for binding in operative:
            line = f"{binding.target} = {pprint.pformat(binding.value, width=120, sort_dicts=False)}"
            blocks.setdefault(binding.owner if binding.parameter else "macros", []).append(line)
        return "\n\n".join("\n".join(block) for block in blocks.values() if block) + "\n"


def parts(value: Any) -> Iterator[Reference | Macro]:
    """Every reference and macro in a value, however deep."""
    if isinstance(value, (Reference, Macro)):
        yield value
    elif isinstance(value, dict):
        yield from parts([*value.keys(), *value.values()])
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from parts(entry)


def reach(bindings: Iterable[Binding]) -> set[str]:
    """The macros, functions and classes that the program reaches through values.

    >>> steps, seed = Binding("STEPS", 5, ""), Binding("SEED", 0, "")
    >>> chosen, bound = Binding("PROGRAM", Reference("loop.train", False), ""), Binding("loop.train.steps", Macro("STEPS"), "")
    >>> sorted(reach([steps, seed, chosen, bound]))
    ['PROGRAM', 'STEPS', 'loop.train']
    """
    values: dict[str, list[Any]] = {}
    for binding in bindings:
        values.setdefault(binding.owner, []).append(binding.value)
    reached: set[str] = set()
    waiting = [PROGRAM]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [part.name for part in parts(values.get(name, []))]
    return reached


def unscoped(target: str) -> str:
    """A selector without its scope; a macro's scope is part of its name.

    >>> unscoped("warm/optax.adamw.b1"), unscoped("warm/STEPS")
    ('optax.adamw.b1', 'warm/STEPS')
    """
    last = target.rpartition("/")[2]
    return last if "." in last else target
