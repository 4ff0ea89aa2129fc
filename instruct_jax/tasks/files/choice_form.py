"""Rows of multiple choice: a question, its options, and which of them is right."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.row_form import Fields, RowForm, first_of, kind, listed, optional_text, text, with_system
from instruct_jax.tasks.files.samples import Provenance, Sample
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.options import LETTERS, OptionStyle, letter


@dataclasses.dataclass(frozen=True)
class MultipleChoice(RowForm):
    """A question under its passage, if there is one, and above its options; the answer is what `style` says of the right one.

    Options are a list, an object of their labels ({"A": ..., "B": ...}), or {"label": [...], "text": [...]}, as such or as
    JSON text. The right one is named by its place counted from 0, its label, its letter or its words; where that could mean
    two of them, the row does not fit.

    Attributes:
      passages, questions, options, answers: what the fields may be called; a row need not have a passage.
      style: how options are listed and the answer is given.
    """

    guards: ClassVar[bool] = True  # its answer alone may be a letter
    passages: tuple[str, ...] = ("passage", "context", "article")
    questions: tuple[str, ...] = ("question", "question_stem", "prompt", "problem")
    options: tuple[str, ...] = ("choices", "options")
    answers: tuple[str, ...] = ("answer", "answerKey", "answer_index", "answer_idx", "label")
    style: OptionStyle = LETTERS

    def reads(self, fields: Fields) -> tuple[str, ...]:
        passage = [name for name in self.passages if isinstance(fields.get(name), str)]
        return (*passage[:1], *(first_of(fields, names) for names in (self.questions, self.options, self.answers)))

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        *passage, question, options, answer = self.reads(fields)
        labels, words = _options(fields, options)
        right = _place(fields[answer], labels, words, answer)
        order = self.style.order(len(words), text(fields, question))
        words = [words[place] for place in order]
        said = self.style.answers(words)[order.index(right)]
        above = [optional_text(fields, name) for name in passage]
        asked = "\n\n".join(part for part in (*above, text(fields, question)) if part.strip())
        turns = (Message("user", "\n".join((asked, *self.style.listed(words)))), Message("assistant", said))
        return (Sample(Conversation(with_system(fields, turns)), provenance, answer=said),)


def _options(fields: Fields, name: str) -> tuple[list[str], list[str]]:
    """Labels and words of the options; the labels are letters where a row gives none."""
    value = fields[name]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise InputError(f"field {name!r}: expected a list of options, got text that is not valid JSON") from None
    if isinstance(value, Mapping) and value and all(isinstance(option, str) for option in value.values()):
        labels, words = list(value), list(value.values())
    else:
        entries = listed({name: value}, name)
        parted = bool(entries) and all(isinstance(entry, Mapping) and {"label", "text"} <= entry.keys() for entry in entries)
        labels = [str(entry["label"]) for entry in entries] if parted else [letter(place) for place in range(len(entries))]
        words = [entry["text"] for entry in entries] if parted else entries
    odd = [option for option in words if not isinstance(option, str)]
    if odd or len(words) < 2:
        got = kind(odd[0]) + " in it" if odd else f"{len(words)} of them"
        raise InputError(f"field {name!r}: expected two options or more, each a text, got {got}")
    return labels, words


def _place(answer: Any, labels: list[str], words: list[str], name: str) -> int:
    """The place of the right option, counted from 0."""
    if isinstance(answer, int) and not isinstance(answer, bool):
        found = {answer} & set(range(len(words)))
    elif isinstance(answer, str):
        said = answer.strip()
        found = {place for place, option in enumerate(words) if option.strip() == said}
        found |= {place for place, label in enumerate(labels) if label in (said, said.strip("()."))}
        if said.isdecimal() and said not in labels:
            found |= {int(said)} & set(range(len(words)))
    else:
        found = set()
    if len(found) != 1:
        got = f"{answer!r:.40}, which means {'several' if found else 'none'} of them"
        expected = f"a place from 0 to {len(words) - 1}, or one of {', '.join(labels)}, or an option's words"
        raise InputError(f"field {name!r}: expected {expected}; got {got}")
    return found.pop()
