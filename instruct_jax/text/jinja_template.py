"""Instruction templates in Jinja, as promptsource writes them: a record of fields becomes a prompt and an answer."""

import collections
import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jinja2
import jinja2.ext
import jinja2.meta

from instruct_jax.errors import InputError
from instruct_jax.text.jinja_filters import FUNCTIONS
from instruct_jax.text.jinja_sandbox import Program
from instruct_jax.text.options import DASHES, OptionStyle
from instruct_jax.text.templates import Instance, choose

BAR = "|||"  # between prompt and answer, and between answer choices
_MARKS = ("\ufdd0", "\ufdd1")  # no characters, so they are in no text
_IDENTITY = "the record's identity"  # a variable that no template can name
_BAR_IN_TEXT = "\ufdd2"


@dataclasses.dataclass(frozen=True)
class JinjaTemplate:
    """One wording of a task, for what `templates.Template` cannot say: conditions, loops, filters, parts of fields.

    It can stand wherever a Template can. Its Jinja is a stranger's program and runs in bounds: see `jinja_sandbox`. White
    space at the ends of prompt and answer goes (Bach et al. 2022, arXiv:2202.01279, section 3). Where promptsource draws at
    random (the filter `choice`), the record's content decides.

    Attributes:
      id: unique within the dataset.
      jinja: "prompt ||| answer". Where it writes no answer, the template does not apply to the record.
      answer_choices: Jinja for the alternatives, with "|||" between them; the wording knows them as `answer_choices`.
      original_task: False for a template turned round: never option-scored.
      shows_options: whether the prompt lists the alternatives.
      reserved: kept for evaluation; never trained.
      language, reference: as of a Template.

    >>> template = JinjaTemplate("t1", "{{text}} Good? ||| {{answer_choices[label]}}", "no ||| {{'yes' if text else '-'}}")
    >>> template.apply({"text": "I like it.", "label": 1})
    Instance(prompt='I like it. Good?', response='yes', options=('no', 'yes'))
    """

    id: str
    jinja: str
    answer_choices: str | None = None
    original_task: bool = True
    shows_options: bool = False
    reserved: bool = False
    language: str = "en"
    reference: str = ""

    choices: ClassVar[None] = None
    rationale: ClassVar[None] = None

    def __post_init__(self):
        for source in (self.jinja, self.answer_choices or ""):
            _program(source, self.id)

    def explains(self, record: Mapping[str, Any]) -> bool:
        """Whether the record can be put into a wording that shows the reasoning: there is none."""
        del record
        return False

    def apply(self, record: Mapping[str, Any], options: OptionStyle = DASHES, key: str = "", reasoned: bool = False) -> Instance:
        """The record in this template's words.

        Args:
          record: its fields.
          options, key: of no account: the wording lists the alternatives in its own way.
          reasoned: whether the response shows the reasoning; it cannot.

        Raises:
          InputError: the template fails on the record, does not apply to it, or gives an answer that is not among its choices.
        """
        del options, key
        if reasoned:
            raise InputError(f"template {self.id!r} has no wording that shows the reasoning; give it a rationale")
        missing = sorted((_named(self.jinja) | _named(self.answer_choices or "")) - {*record, "answer_choices"})
        if missing:
            have = ", ".join(sorted(record))
            raise InputError(f"template {self.id!r} names the field {missing[0]!r}, which the record lacks; it has: {have}")
        identity = json.dumps(record, sort_keys=True, ensure_ascii=False, default=str)
        variables = {**_without_bars(dict(record)), _IDENTITY: identity}
        alternatives = None
        if self.answer_choices:
            alternatives = _parts(_program(self.answer_choices, self.id).run(variables, _MARKS).text)
            variables["answer_choices"] = _without_bars(list(alternatives))
        parts = _parts(_program(self.jinja, self.id).run(variables, _MARKS).text)
        if len(parts) < 2 or not all(parts[:2]):
            raise InputError(f"template {self.id!r} does not apply to this record: it writes no prompt with an answer")
        prompt, response = parts[:2]
        if not self.original_task or alternatives is None:
            return Instance(prompt, response)
        if response not in alternatives:
            raise InputError(
                f"template {self.id!r}: the response {response!r} is not among the options {list(alternatives)}, so that no "
                "ranking finds it; mend its answer_choices, or set original_task=False"
            )
        return Instance(prompt, response, alternatives)


@functools.lru_cache(maxsize=4_096)
def _program(source: str, name: str) -> Program:
    return Program(source, name, {}, _FILTERS, kind="template", trims=False)


@functools.lru_cache(maxsize=4_096)
def _named(source: str) -> frozenset[str]:
    """The fields that a template names: Jinja itself would write nothing for one that is missing."""
    environment = jinja2.Environment(extensions=[jinja2.ext.loopcontrols])
    environment.filters |= _FILTERS
    return frozenset(jinja2.meta.find_undeclared_variables(environment.parse(source)) - FUNCTIONS.keys())


@jinja2.pass_context
def _choice(context: jinja2.runtime.Context, values: Sequence[Any]) -> Any:
    return values[choose(len(values), seed=0, epoch=0, example=str(context.get(_IDENTITY)))]


def _most_frequent(values: Sequence[Any]) -> list[Any]:
    """The values that come most often, in order of their first coming."""
    counts = collections.Counter(values)
    return [value for value, count in counts.items() if count == max(counts.values())]


_FILTERS = {"choice": _choice, "most_frequent": _most_frequent}  # promptsource's own


def _parts(written: str) -> tuple[str, ...]:
    return tuple(part.replace(_BAR_IN_TEXT, BAR).strip() for part in written.split(BAR))


def _without_bars(value: Any) -> Any:
    """A record whose own bars part nothing."""
    if isinstance(value, str):
        return value.replace(BAR, _BAR_IN_TEXT)
    if isinstance(value, Mapping):
        return {name: _without_bars(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bars(one) for one in value]
    return value
