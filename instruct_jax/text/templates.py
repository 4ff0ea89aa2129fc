"""Instruction templates with metadata: a record of fields becomes a prompt, an answer and its alternatives."""

import dataclasses
import hashlib
import json
import string
from collections.abc import Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Conversation, Message


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

    def __post_init__(self):
        for wording in (self.prompt, self.response):
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

    def apply(self, record: Mapping[str, Any]) -> "Instance":
        """The record in this template's words.

        Raises:
          InputError: the record lacks a field that the wording names, or the field holds no text or number; its label is out
            of range; or the response is not one of the alternatives that it would be ranked among.
        """
        values = dict(record)
        options = None
        if self.choices is not None:
            label = values.get("label")
            if not isinstance(label, int) or not 0 <= label < len(self.choices):
                raise InputError(
                    f"template {self.id!r}: label is {label!r}; expected an integer from 0 to {len(self.choices) - 1}"
                )
            options = self.choices
            values["answer"] = self.choices[label]
        elif values.get("options"):
            options = tuple(map(str, values["options"]))
        if options is not None:
            values["options"] = "\n".join(f"- {option}" for option in options)
        prompt, response = (self._fill(wording, values) for wording in (self.prompt, self.response))
        if not self.original_task:
            return Instance(prompt, response)
        if options is not None and response not in options:
            raise InputError(
                f"template {self.id!r}: the response {response!r} is not among the options {list(options)}, so that no ranking "
                "finds it; let the response be the answer alone, or set original_task=False"
            )
        return Instance(prompt, response, options)

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


def fields_of(wording: str) -> set[str]:
    """The field names in a wording.

    >>> sorted(fields_of("{text} Is it {a} or {b}?"))
    ['a', 'b', 'text']
    """
    return {name for _, name, _, _ in string.Formatter().parse(wording) if name}


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
