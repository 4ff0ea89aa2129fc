"""Instruction templates with metadata: a record of fields becomes a prompt, an answer and its alternatives."""

import dataclasses
import functools
import hashlib
import json
import string
from collections.abc import Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.options import DASHES, OptionStyle


@dataclasses.dataclass(frozen=True)
class Template:
    """One wording of a task.

    `prompt` and `response` name a record's fields in braces. A classification template gives its `choices` in the order of
    the record's integer `label`; a record may instead bring its own `options` (a list) beside its `answer`. "{options}" in
    the prompt lists the alternatives, a line each; "{answer}" is the right one.

    Attributes:
      id: unique within the dataset.
      prompt, response: wordings with fields in braces; a doubled brace is a literal one.
      choices: answer choices in this template's words, indexed by the record's `label`.
      original_task: False for a template turned round (the answer asks for the question): never option-scored.
      reserved: kept for evaluation; never trained.
      rationale: the response where it is to show the reasoning: "{rationale} So the answer is {answer}."; None where the
        wording does not ask for any. Never option-scored.
      language: of the wording, as BCP 47 has it ("en", "pt-BR").
      reference: where the wording or its data was published: "Author et al. year, arXiv:…".

    >>> template = Template("t1", "Is it good? {text}", choices=("no", "yes"))
    >>> template.apply({"text": "I like it.", "label": 1})
    Instance(prompt='Is it good? I like it.', response='yes', options=('no', 'yes'))
    """

    id: str
    prompt: str
    response: str = "{answer}"
    choices: tuple[str, ...] | None = None
    original_task: bool = True
    reserved: bool = False
    rationale: str | None = None
    language: str = "en"
    reference: str = ""

    def __post_init__(self):
        for wording in (self.prompt, self.response, *([] if self.rationale is None else [self.rationale])):
            try:
                names = [name for _, name, _, _ in string.Formatter().parse(wording) if name is not None]
            except ValueError as error:
                raise InputError(
                    f"template {self.id!r}: {error} in {wording!r}; double a brace that is meant literally"
                ) from None
            for name in names:
                if not name.isidentifier():
                    raise InputError(
                        f"template {self.id!r}: {{{name}}} in {wording!r} is no field name; double a brace meant literally"
                    )

    @property
    def shows_options(self) -> bool:
        """Whether the prompt lists the alternatives."""
        return "options" in fields_of(self.prompt)

    def explains(self, record: Mapping[str, Any]) -> bool:
        """Whether the record can be put into the wording that shows the reasoning: what that names is there, not empty."""
        if self.rationale is None:
            return False
        return all(record.get(name) not in (None, "") for name in fields_of(self.rationale) - {"answer", "options"})

    def apply(
        self, record: Mapping[str, Any], options: OptionStyle = DASHES, key: str = "", reasoned: bool = False
    ) -> "Instance":
        """The record in this template's words.

        Args:
          record: its fields.
          options: how alternatives are listed, where the prompt lists them.
          key: decides their order, where the style shuffles them: the example's identity.
          reasoned: whether the response shows the reasoning.

        Raises:
          InputError: the record lacks a field that the wording names, or the field holds no text or number; its label is out
            of range; the response is not one of the alternatives that it would be ranked among; or reasoning is asked of a
            template without a wording for it.
        """
        if reasoned and self.rationale is None:
            raise InputError(f"template {self.id!r} has no wording that shows the reasoning; give it a rationale")
        values, ranked = dict(record), None
        alternatives = self._alternatives(values)
        if alternatives is not None:
            ranked, right = alternatives
            if self.shows_options:
                order = options.order(len(ranked), key)
                shown = [ranked[place] for place in order]
                values["options"] = "\n".join(options.listed(shown))
                ranked = options.answers(shown) if self.original_task else tuple(shown)
                right = None if right is None else order.index(right)
            if right is not None:
                values["answer"] = ranked[right]
        prompt = self._fill(self.prompt, values)
        if reasoned:
            return Instance(prompt, self._fill(self.rationale, values))
        response = self._fill(self.response, values)
        if not self.original_task:
            return Instance(prompt, response)
        if ranked is not None and response not in ranked:
            raise InputError(
                f"template {self.id!r}: the response {response!r} is not among the options {list(ranked)}, so that no ranking "
                "finds it; let the response be the answer alone, or set original_task=False"
            )
        return Instance(prompt, response, ranked)

    def _alternatives(self, record: Mapping[str, Any]) -> tuple[tuple[str, ...], int | None] | None:
        """The alternatives as they are given, and the place of the right one; None where there are no alternatives.

        The place is None where a record brings its own and its answer is none of them, or has no field of that name.
        """
        if self.choices is not None:
            label = record.get("label")
            if not isinstance(label, int) or not 0 <= label < len(self.choices):
                raise InputError(
                    f"template {self.id!r}: label is {label!r}; expected an integer from 0 to {len(self.choices) - 1}"
                )
            return self.choices, label
        if not record.get("options"):
            return None
        given = tuple(map(str, record["options"]))
        answer = record.get("answer")
        known = isinstance(answer, str | int | float) and str(answer) in given
        return given, given.index(str(answer)) if known else None

    def _fill(self, wording: str, values: Mapping[str, Any]) -> str:
        for name in sorted(fields_of(wording)):
            if name not in values:
                have = ", ".join(sorted(values))
                raise InputError(f"template {self.id!r} names the field {name!r}, which the record lacks; it has: {have}")
            if not isinstance(values[name], str | int | float):
                kind = type(values[name]).__name__
                raise InputError(f"template {self.id!r}: field {name!r} holds {kind}; expected text or a number: mend the record")
        return wording.format_map(values)


@dataclasses.dataclass(frozen=True)
class Instance:
    """One example in words: what is asked, what is right, and the alternatives to rank (None where there are none)."""

    prompt: str
    response: str
    options: tuple[str, ...] | None = None

    def conversation(self) -> Conversation:
        """The example as two turns."""
        return Conversation((Message("user", self.prompt), Message("assistant", self.response)))


@functools.lru_cache(maxsize=65_536)
def fields_of(wording: str) -> frozenset[str]:
    """The field names in a wording.

    >>> sorted(fields_of("{text} Is it {a} or {b}?"))
    ['a', 'b', 'text']
    """
    return frozenset(name for _, name, _, _ in string.Formatter().parse(wording) if name)


def choose(count: int, *, seed: int, epoch: int, example: str) -> int:
    """Which of `count` templates an example wears: a stateless hash, even over examples and new in every epoch.

    Args:
      count: number of templates, at least 1.
      seed: the preparation's seed.
      epoch: how many times this example has been used before.
      example: the example's identity (task and content or row), never its place in a stream.
    """
    digest = hashlib.blake2b(f"{seed}\0{epoch}\0{example}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


def fingerprint(templates: Sequence[Template]) -> str:
    """Hash of a dataset's wordings, for manifests."""
    content = json.dumps([dataclasses.asdict(template) for template in templates], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
