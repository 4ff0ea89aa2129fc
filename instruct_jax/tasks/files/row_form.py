"""RowForm: how the fields of one row are to be read; and the values that fields hold."""

import abc
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.samples import Provenance, Sample
from instruct_jax.text.conversation import Conversation, Message, conversation_of

Fields = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class RowForm(abc.ABC):
    """One way to read a row, as a value.

    Attributes:
      name: by which it is asked for.
      title: what people call it.
      needs: the fields that it needs, for people.
      one_each: whether every row gives exactly one sample that can be trained.
      guards: whether a row with its fields may not be taken for one of another form: that would train on rejected answers.
    """

    name: str
    title: str
    needs: str
    one_each: bool = dataclasses.field(default=True, kw_only=True)
    guards: ClassVar[bool] = False

    @abc.abstractmethod
    def reads(self, fields: Fields) -> tuple[str, ...]:
        """Names of the fields that it reads in such a row, for people.

        Raises:
          InputError: the row lacks one of those that it needs; the message names it.
        """

    @abc.abstractmethod
    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        """What the row says; one sample, but for forms that hold several instances in a row.

        Raises:
          InputError: a field is missing or holds something else; the message names the field, what was expected and what
            was there.
        """

    def misfit(self, fields: Fields) -> str | None:
        """Why a row is not of this form; None if it is."""
        try:
            self.samples(fields, Provenance("", 0, self.name))
        except InputError as error:
            return str(error)
        return None

    def fits(self, fields: Fields) -> bool:
        """Whether a row is of this form."""
        return self.misfit(fields) is None


def kind(value: Any) -> str:
    """What a value is, in words.

    >>> kind([]), kind("a"), kind(None), kind({})
    ('a list', 'text', 'null', 'an object')
    """
    if value is None:
        return "null"
    names = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def first_of(fields: Fields, names: Sequence[str]) -> str:
    """The first of these fields that a row has and that is not null.

    Raises:
      InputError: it has none.
    """
    for name in names:
        if fields.get(name) is not None:
            return name
    raise InputError(f"no field {' or '.join(map(repr, names))}; it has: {names_of(fields)}")


def names_of(fields: Fields) -> str:
    """What fields a row has, in words.

    >>> names_of({"prompt": "hi", "completion": None})
    'prompt, completion (null)'
    """
    return ", ".join(f"{name} (null)" if value is None else str(name) for name, value in fields.items()) or "nothing"


def text(fields: Fields, name: str) -> str:
    """A field that holds text.

    Raises:
      InputError: it is missing or holds something else.
    """
    value = fields.get(first_of(fields, [name]))
    if not isinstance(value, str):
        raise InputError(f"field {name!r}: expected text, got {kind(value)}")
    return value


def optional_text(fields: Fields, name: str) -> str:
    """A field that holds text; empty where it is missing or null."""
    return "" if fields.get(name) is None else text(fields, name)


def listed(fields: Fields, name: str) -> list[Any]:
    """A field that holds a list: as such, as JSON text (in a CSV cell), or as lists by field (as older Arrow files have it).

    Raises:
      InputError: it is missing or holds something else.
    """
    value = fields.get(first_of(fields, [name]))
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise InputError(f"field {name!r}: expected a list, got text that is not valid JSON") from None
    if isinstance(value, Mapping) and value and all(isinstance(column, list) for column in value.values()):
        sizes = {field: len(column) for field, column in value.items()}
        if len(set(sizes.values())) > 1:
            raise InputError(f"field {name!r}: expected one entry of each part, got these many: {sizes}")
        value = [dict(zip(value, entries, strict=True)) for entries in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise InputError(f"field {name!r}: expected a list, got {kind(value)}")
    return value


def truth(fields: Fields, name: str) -> bool:
    """A field that says yes or no: as such, as 0 or 1, or as the text of either (in a CSV cell).

    Raises:
      InputError: it is missing or says neither.
    """
    value = fields.get(first_of(fields, [name]))
    said = {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())
    if said is None:
        raise InputError(f"field {name!r}: expected true or false, got {value!r:.40}")
    return said


def said(fields: Fields, name: str, role: str) -> tuple[Message, ...]:
    """What a field says: text as one message of this role, or a list of messages of the OpenAI format.

    Raises:
      InputError: it is missing or holds something else.
    """
    value = fields.get(first_of(fields, [name]))
    if isinstance(value, str) and not value.lstrip().startswith('[{"role"'):
        return (Message(role, value),)
    if not isinstance(value, str | list | Mapping):
        raise InputError(f"field {name!r}: expected text, or a list of messages, got {kind(value)}")
    return messages(listed(fields, name), name)


def messages(entries: Sequence[Any], name: str) -> tuple[Message, ...]:
    """Messages of the OpenAI format, with its "weight" of 0 or 1 as what is trained.

    Args:
      entries: what a field holds.
      name: the field's, for errors.

    Raises:
      InputError: an entry is no message, or there is none.
    """
    if not entries:
        raise InputError(f"field {name!r}: expected messages, got an empty list")
    ready = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("role"), str):
            raise InputError(f"field {name!r}, message {number}: expected an object with 'role' and 'content', got {entry!r:.60}")
        one = dict(entry)
        parts = one.get("content")
        odd = (
            [part for part in parts if not isinstance(part, Mapping) or not isinstance(part.get("text"), str)]
            if isinstance(parts, list)
            else []
        )
        if odd:
            raise InputError(f"field {name!r}, message {number}: expected parts of text in its content, got {odd[0]!r:.60}")
        if one.get("tool_calls") is None:
            one.pop("tool_calls", None)
        else:
            one.setdefault("content", None)
        if "weight" in one:
            one["trained"] = None if truth(one, "weight") else False
            del one["weight"]
        ready.append(one)
    try:
        return conversation_of(ready).messages
    except InputError as error:
        raise InputError(f"field {name!r}, {error}") from None


def tools(fields: Fields, name: str = "tools") -> tuple[Mapping[str, Any], ...]:
    """The tools of a row, an object each; none where the field is missing, null or empty."""
    if fields.get(name) in (None, "", [], {}):
        return ()
    found = listed(fields, name)
    wrong = [tool for tool in found if not isinstance(tool, Mapping)]
    if wrong:
        raise InputError(f"field {name!r}: expected a list of objects, got {kind(wrong[0])} in it")
    return tuple(found)


def with_system(fields: Fields, turns: Sequence[Message]) -> tuple[Message, ...]:
    """Messages under the row's system prompt, if it has one in a field of its own and none among them."""
    system = optional_text(fields, "system") or optional_text(fields, "system_prompt")
    if not system or (turns and turns[0].role == "system"):
        return tuple(turns)
    return (Message("system", system), *turns)


def shared_turns(one: Conversation, other: Conversation) -> int:
    """How many messages two conversations share at their beginning."""
    count = 0
    for ours, theirs in zip(one.messages, other.messages, strict=False):
        if ours != theirs or ours.fields != theirs.fields:
            break
        count += 1
    return count


def untrained(turns: Sequence[Message]) -> tuple[Message, ...]:
    """The same messages, none of them trained."""
    return tuple(dataclasses.replace(turn, trained=False) for turn in turns)
