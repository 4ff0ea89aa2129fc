"""Rows that hold a dialogue or a pair of texts: messages, ShareGPT, Alpaca, prompt and completion, plain text."""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.row_form import (
    Fields,
    RowForm,
    first_of,
    kind,
    listed,
    messages,
    names_of,
    optional_text,
    said,
    text,
    tools,
    with_system,
)
from instruct_jax.tasks.files.samples import Provenance, Sample
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.conversation_lines import line_conversation

# Who speaks in ShareGPT's and its followers' files.
SHAREGPT_ROLES = {
    **dict.fromkeys(("human", "user", "prompter"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model", "bot"), "assistant"),
    "system": "system",
    **dict.fromkeys(("tool", "function", "observation", "function_response", "tool_response"), "tool"),
}
_CALLS = ("function_call", "tool_call", "function-call")


@dataclasses.dataclass(frozen=True)
class Messages(RowForm):
    """Messages of the OpenAI format, with tools and their calls, and perhaps what a right answer comes to; see
    `row_form.messages`.

    Attributes:
      fields: the field that holds the messages; the first one that a row has.
    """

    fields: tuple[str, ...] = ("messages", "conversations", "conversation")

    def reads(self, fields: Fields) -> tuple[str, ...]:
        answered = isinstance(fields.get("answer"), str)
        return (first_of(fields, self.fields), *(["tools"] if fields.get("tools") else []), *(["answer"] if answered else []))

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        name = first_of(fields, self.fields)
        turns = with_system(fields, messages(listed(fields, name), name))
        answer = fields["answer"] if isinstance(fields.get("answer"), str) else None
        return (Sample(Conversation(turns, tools(fields)), provenance, answer=answer),)


@dataclasses.dataclass(frozen=True)
class ShareGpt(RowForm):
    """Turns of {"from", "value"}: human, gpt, system, tools, and what followers call them.

    Attributes:
      fields: the field that holds the turns; the first one that a row has.
    """

    fields: tuple[str, ...] = ("conversations", "conversation", "items")

    def reads(self, fields: Fields) -> tuple[str, ...]:
        return (first_of(fields, self.fields), *(name for name in ("system", "tools") if fields.get(name)))

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        name = first_of(fields, self.fields)
        turns = [_sharegpt_turn(name, number, entry) for number, entry in enumerate(listed(fields, name))]
        if not turns:
            raise InputError(f"field {name!r}: expected turns, got an empty list")
        return (Sample(Conversation(with_system(fields, turns), tools(fields)), provenance),)


def _sharegpt_turn(name: str, number: int, entry: Any) -> Message:
    where = f"field {name!r}, turn {number}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("from"), str):
        raise InputError(f"{where}: expected an object with 'from' and 'value', got {entry!r:.60}")
    speaker, value = entry["from"].strip().lower(), entry.get("value")
    if not isinstance(value, str):
        raise InputError(f"{where}: value: expected text, got {kind(value)}")
    if speaker in _CALLS:
        return Message("assistant", "", fields={"content": None, "tool_calls": _calls(where, value)})
    if speaker not in SHAREGPT_ROLES:
        raise InputError(f"{where}: from is {entry['from']!r}; expected one of {', '.join((*SHAREGPT_ROLES, *_CALLS))}")
    trained = False if entry.get("weight") == 0 else None
    return Message(SHAREGPT_ROLES[speaker], value, trained)


def _calls(where: str, value: str) -> list[dict[str, Any]]:
    """Calls of tools from the JSON text of one call, or of a list of them."""
    try:
        called = json.loads(value)
        called = called if isinstance(called, list) else [called]
        return [{"type": "function", "function": {"name": one["name"], "arguments": one["arguments"]}} for one in called]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise InputError(f"{where}: expected a call as JSON with 'name' and 'arguments', got {value!r:.60}") from None


@dataclasses.dataclass(frozen=True)
class Alpaca(RowForm):
    """An instruction, perhaps with an input, and its output; earlier turns may stand in `history` as pairs.

    Attributes:
      join: how instruction and input make one prompt; where the input is empty, the instruction is the prompt.
      names: what the three fields are called, in each of the ways that a file may have it; an input may be missing.
    """

    join: str = "{instruction}\n\n{input}"
    names: tuple[tuple[str, str, str], ...] = (("instruction", "input", "output"), ("instruction", "context", "response"))

    def __post_init__(self):
        if "{instruction}" not in self.join or "{input}" not in self.join:
            raise InputError(f"the join of {self.title} is {self.join!r}; expected {{instruction}} and {{input}} in it")

    def reads(self, fields: Fields) -> tuple[str, ...]:
        instruction, given, output = self._names(fields)
        return (instruction, *([given] if isinstance(fields.get(given), str) else []), output)

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        instruction, given, output = self._names(fields)
        turns = []
        for number, pair in enumerate(listed(fields, "history") if fields.get("history") else []):
            if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
                raise InputError(f"field 'history', entry {number}: expected a prompt and a response, got {pair!r:.60}")
            turns += [Message("user", pair[0]), Message("assistant", pair[1])]
        prompt = joined(self.join, text(fields, instruction), optional_text(fields, given))
        turns += [Message("user", prompt), Message("assistant", text(fields, output))]
        return (Sample(Conversation(with_system(fields, turns)), provenance),)

    def _names(self, fields: Fields) -> tuple[str, str, str]:
        first_of(fields, [self.names[0][0]])
        output = first_of(fields, [names[2] for names in self.names])
        return next(names for names in self.names if names[2] == output)


def joined(join: str, instruction: str, given: str) -> str:
    """An instruction and its input as one prompt.

    >>> joined("{instruction} {input}", "Name it:", "a {dog}"), joined("{instruction} {input}", "Sing.", "")
    ('Name it: a {dog}', 'Sing.')
    """
    if not given.strip():
        return instruction
    texts = {"{instruction}": instruction, "{input}": given}
    return re.sub(r"\{instruction\}|\{input\}", lambda found: texts[found.group()], join)


@dataclasses.dataclass(frozen=True)
class PromptCompletion(RowForm):
    """A prompt and what follows it; either may also be a list of messages.

    Attributes:
      names: what the two fields are called, in each of the ways that a file may have it; the first that fits counts.
    """

    names: tuple[tuple[str, str], ...] = (
        ("prompt", "completion"),
        ("prompt", "response"),
        ("question", "answer"),
        ("question", "response"),
        ("query", "response"),
        ("instruction", "completion"),
        ("input", "output"),
        ("inputs", "targets"),
    )

    def reads(self, fields: Fields) -> tuple[str, ...]:
        for names in self.names:
            if all(fields.get(name) is not None for name in names):
                return names
        expected = " or ".join(" with ".join(map(repr, names)) for names in self.names)
        raise InputError(f"expected the fields {expected}; it has: {names_of(fields)}")

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        prompt, completion = self.reads(fields)
        turns = (*said(fields, prompt, "user"), *said(fields, completion, "assistant"))
        return (Sample(Conversation(with_system(fields, turns), tools(fields)), provenance),)


@dataclasses.dataclass(frozen=True)
class PlainText(RowForm):
    """A document, trained on every token.

    Attributes:
      field: the field that holds it.
    """

    field: str = "text"

    def reads(self, fields: Fields) -> tuple[str, ...]:
        return (first_of(fields, [self.field]),)

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        return (Sample(Conversation((Message("text", text(fields, self.field)),)), provenance),)


@dataclasses.dataclass(frozen=True)
class ConversationLine(RowForm):
    """What `conversation_lines.line_conversation` reads: messages in one row, prompt and completion in the next."""

    def reads(self, fields: Fields) -> tuple[str, ...]:
        return ("messages",) if "messages" in fields else ("prompt", "completion")

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        return (Sample(line_conversation(fields), provenance),)
