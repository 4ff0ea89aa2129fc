"""Rows that hold judgements: pairs of a chosen and a rejected answer, with or without their prompt, and single labels."""

import dataclasses
import re
from collections.abc import Sequence
from typing import ClassVar

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.row_form import Fields, RowForm, first_of, said, shared_turns, text, truth, untrained, with_system
from instruct_jax.tasks.files.samples import Provenance, Sample
from instruct_jax.text.conversation import Conversation, Message

_PROMPTS = ("prompt", "question", "instruction", "query", "input")
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant):")


@dataclasses.dataclass(frozen=True)
class Preference(RowForm):
    """A prompt with two answers, one preferred; each is text or messages, and an answer may repeat its prompt.

    Attributes:
      prompts: what the prompt may be called.
      chosen, rejected: the fields of the two answers.
    """

    guards: ClassVar[bool] = True
    prompts: tuple[str, ...] = _PROMPTS
    chosen: str = "chosen"
    rejected: str = "rejected"

    def reads(self, fields: Fields) -> tuple[str, ...]:
        names = (first_of(fields, self.prompts), self.chosen, self.rejected)
        return tuple(first_of(fields, [name]) for name in names)

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        prompt = first_of(fields, self.prompts)
        asked = with_system(fields, _asked(fields, prompt))
        pair = []
        for name in (self.chosen, self.rejected):
            turns = said(fields, name, "assistant")
            whole = turns[0].role != "assistant"  # messages that begin with the prompt again
            pair.append(with_system(fields, turns) if whole else (*asked, *turns))
        return (_judged(pair[0], pair[1], provenance),)


@dataclasses.dataclass(frozen=True)
class ImplicitPreference(RowForm):
    """Two dialogues that begin alike: what they share is the prompt.

    Each is a list of messages; text of turns, each "Human:" or "Assistant:" after an empty line, as in HH-RLHF (Bai et al.
    2022, arXiv:2204.05862); or plain text, whose shared words are the prompt.

    Attributes:
      chosen, rejected: the fields of the two dialogues.
    """

    guards: ClassVar[bool] = True
    chosen: str = "chosen"
    rejected: str = "rejected"

    def reads(self, fields: Fields) -> tuple[str, ...]:
        return (first_of(fields, [self.chosen]), first_of(fields, [self.rejected]))

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        names = self.reads(fields)
        for name in _PROMPTS:
            if fields.get(name) is not None:
                raise InputError(f"field {name!r}: expected none, since the dialogues hold the prompt")
        if not all(isinstance(fields[name], str) and not _is_list(fields[name]) for name in names):
            one, other = (said(fields, name, "assistant") for name in names)
            return (_judged(with_system(fields, one), with_system(fields, other), provenance),)
        if all(_SPEAKER.match(text(fields, name)) for name in names):
            one, other = (dialogue(text(fields, name), name) for name in names)
            return (_judged(one, other, provenance),)
        return (_judged(*_texts(text(fields, names[0]), text(fields, names[1])), provenance),)


@dataclasses.dataclass(frozen=True)
class Unpaired(RowForm):
    """A prompt, an answer, and whether it is a good one, as KTO takes them (Ethayarajh et al. 2024, arXiv:2402.01306).

    Attributes:
      prompts, completions: what the prompt and the answer may be called.
      label: the field that says true or false.
    """

    guards: ClassVar[bool] = True
    one_each: bool = dataclasses.field(default=False, kw_only=True)
    prompts: tuple[str, ...] = _PROMPTS
    completions: tuple[str, ...] = ("completion", "response")
    label: str = "label"

    def reads(self, fields: Fields) -> tuple[str, ...]:
        return (first_of(fields, self.prompts), first_of(fields, self.completions), first_of(fields, [self.label]))

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        prompt, completion, label = self.reads(fields)
        turns = (*_asked(fields, prompt), *said(fields, completion, "assistant"))
        return (Sample(Conversation(with_system(fields, turns)), provenance, label=truth(fields, label)),)


def dialogue(value: str, name: str) -> tuple[Message, ...]:
    """The turns of a text in which each begins with "Human:" or "Assistant:" after an empty line.

    Args:
      value: the text.
      name: of its field, for errors.

    Raises:
      InputError: it begins otherwise.

    >>> [(turn.role, turn.text) for turn in dialogue("\\n\\nHuman: hi\\n\\nAssistant: Hello.", "chosen")]
    [('user', 'hi'), ('assistant', 'Hello.')]
    """
    before, *parts = _SPEAKER.split(value)
    if before.strip() or not parts:
        raise InputError(f"field {name!r}: expected turns that begin with 'Human:' or 'Assistant:', got {value!r:.60}")
    roles = {"Human": "user", "Assistant": "assistant"}
    return tuple(Message(roles[who], what.strip()) for who, what in zip(parts[::2], parts[1::2], strict=True))


def _asked(fields: Fields, name: str) -> tuple[Message, ...]:
    """A prompt: messages, text, or a dialogue as text that ends where the assistant is to speak."""
    if isinstance(fields[name], str) and _SPEAKER.match(fields[name].lstrip()) and "\nAssistant:" in fields[name]:
        turns = dialogue(fields[name].lstrip(), name)
        return turns[:-1] if turns[-1] == Message("assistant", "") else turns
    return said(fields, name, "user")


def _is_list(value: str) -> bool:
    return value.lstrip().startswith('[{"role"')


def _texts(chosen: str, rejected: str) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Two texts that begin alike as prompt and answers, parted at the last white space that they share."""
    unlike = (place for place, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other)
    shared = next(unlike, min(len(chosen), len(rejected)))
    cut = next((place for place in range(shared, 0, -1) if chosen[place - 1].isspace()), 0)
    prompt, one, other = chosen[:cut].strip(), chosen[cut:].strip(), rejected[cut:].strip()
    if not prompt or not one or not other:
        raise InputError(
            "fields 'chosen' and 'rejected': expected dialogues that begin with the same prompt and end in different answers, "
            f"got {chosen!r:.40} and {rejected!r:.40}"
        )
    return tuple((Message("user", prompt), Message("assistant", answer)) for answer in (one, other))


def _judged(chosen: Sequence[Message], rejected: Sequence[Message], provenance: Provenance) -> Sample:
    """Two conversations, trained where they differ."""
    shared = shared_turns(Conversation(tuple(chosen)), Conversation(tuple(rejected)))
    pair = []
    for name, turns in (("chosen", chosen), ("rejected", rejected)):
        if not turns[shared:] or turns[-1].role != "assistant":
            got = f"the turn of {turns[-1].role!r}" if turns[shared:] else "the same dialogue in both, or a part of the other"
            raise InputError(f"field {name!r}: expected an answer of its own at the end, got {got}")
        pair.append(Conversation((*untrained(turns[:shared]), *turns[shared:])))
    return Sample(pair[0], provenance, rejected=pair[1])
