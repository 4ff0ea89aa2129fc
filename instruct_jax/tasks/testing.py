"""The test kit of a task writer: one assertion that a task asks, answers, trains and is stored as it should."""

import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seqio

from instruct_jax.artifacts.records import decode_row, encode_row
from instruct_jax.data.packing import Segment, pack
from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import Example, InstructionExamples, instruct_of, open_examples, open_records
from instruct_jax.tasks.files.records import MalformedRow, Records
from instruct_jax.tasks.instruct import Instruct
from instruct_jax.tasks.mixture import registered
from instruct_jax.tasks.prompts import EARLIER_TURNS, ZERO_SHOT, PromptSettings
from instruct_jax.text.chat import INSTRUCT, Rendered, render_rows
from instruct_jax.text.conversation import Conversation
from instruct_jax.text.options import NUMBERS, SHUFFLED_LETTER_ANSWERS
from instruct_jax.text.template_lint import lint
from instruct_jax.text.templates import fields_of
from instruct_jax.text.tokenizer import ByteTokenizer

SETTINGS = (
    ZERO_SHOT,
    PromptSettings(shots=2),
    PromptSettings(shots=2, layout=EARLIER_TURNS),
    PromptSettings(shots=2, chain_of_thought=True),
    PromptSettings(inversion=True),
    PromptSettings(option_style=NUMBERS, system=("Answer the question.",)),
    PromptSettings(shots=2, option_style=SHUFFLED_LETTER_ANSWERS),
)
_SPLIT_RECORDS = 1_000  # of each split, to look for questions that two splits share


def assert_task(
    name: str, records: Sequence[Mapping[str, Any]] | None = None, ignored: Collection[str] = (), most: int = 48
) -> None:
    """Check a registered task, and tell all that is wrong with it at once.

    Of an instruction task: that its wordings pass the lint and name fields that the records have; that no two splits ask the
    same; that each prompt setting that it supports gives the same example each time, its answer among the options, no
    exemplar that is the question, and trains the answer and its end, no more and no less; and that a row of them is read
    back as it was written. Of any other task: what of this applies.

    Args:
      name: of the task.
      records: some records as its templates get them, where its source cannot be read (data that is not there); None to read
        the source.
      ignored: fields of the records that no wording uses on purpose.
      most: how many records of each split to look at.

    Raises:
      AssertionError: something is wrong; the message lists what, where and what to do.
      InputError: there is no such task.

    >>> from instruct_jax.tasks import procedural
    >>> assert_task("procedural_number_pairs", most=8)
    """
    task = registered(name)
    if not isinstance(task, seqio.Task):
        raise InputError(f"{name!r} is a mixture; check its tasks one by one: {', '.join(one.name for one in task.tasks)}")
    with tempfile.TemporaryDirectory() as scratch:
        problems = list(dict.fromkeys(_problems(task, records, ignored, most, Path(scratch))))
    if problems:
        listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, 1))
        raise AssertionError(f"task {name!r} is not ready:\n{listed}")


class _Given(Records):
    """Records that the writer gives."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]):
        self._rows, self.size = rows, len(rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(self._rows[index])

    def where(self, index: int) -> str:
        return f"records[{index}]"


def _problems(
    task: seqio.Task, given: Sequence[Mapping[str, Any]] | None, ignored: Collection[str], most: int, scratch: Path
) -> Iterator[str]:
    try:
        instruct = instruct_of(task)
        splits = {split: open_records(task, split, 0, scratch) for split in task.splits} if given is None else {"": _Given(given)}
    except InputError as error:
        yield str(error)
        return
    if not all(records.size is None or records.size for records in splits.values()):
        yield "there are no records to check; give some"
        return
    for split, records in splits.items():
        if instruct is None:
            yield from _plain_problems(task, split, most, scratch)
            continue
        looked_at, broken = _readable(records, most)
        yield from broken
        if looked_at and not broken:
            yield from _wording_problems(instruct, list(looked_at.values()), ignored)
            supported = (setting for setting in SETTINGS if instruct.refusal(setting) is None)
            found = (list(_setting_problems(instruct, records, setting, looked_at)) for setting in supported)
            yield from next(filter(None, found), [])  # what ails one setting mostly ails all
    if instruct is not None:
        yield from _shared_questions(instruct, splits)


def _readable(records: Records, most: int) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """The first records by index, and what is wrong with those that cannot be used."""
    found, broken = {}, []
    for index in range(most if records.size is None else min(most, records.size)):
        try:
            found[index] = records[index]
            json.dumps(found[index])
        except MalformedRow as error:
            broken.append(str(error))
        except TypeError as error:
            kinds = ", ".join(f"{name}: {type(value).__name__}" for name, value in found[index].items())
            broken.append(f"{records.where(index)}: {error} ({kinds}); give text, numbers, or lists of them")
    return found, broken[:3]


def _wording_problems(instruct: Instruct, records: Sequence[Mapping[str, Any]], ignored: Collection[str]) -> Iterator[str]:
    for name in ("cluster", "dataset"):
        if not getattr(instruct, name):
            yield f"Instruct.{name} is empty; name it, so that it can be held out"
    if not instruct.trainable():
        yield "every template is reserved for evaluation, so none is left to train on"
    if instruct.source_field is not None and any(instruct.source_field not in record for record in records):
        yield f"source_field is {instruct.source_field!r}, which a record lacks; it has: {', '.join(records[0])}"
    if instruct.template_field is not None:  # such records bring their words; the templates have none of their own
        known = {template.id for template in instruct.templates}
        for strange in {str(record.get(instruct.template_field)) for record in records} - known:
            yield f"a record names the template {strange!r} in {instruct.template_field!r}; there is: {', '.join(sorted(known))}"
        return
    used = set().union(*(fields_of(one.prompt) | fields_of(one.response) for one in instruct.templates))
    meant = {*ignored, *({instruct.source_field} - {None} - used)}
    yield from map(str, lint(instruct.templates, records, meant))


def _setting_problems(
    instruct: Instruct, records: Records, setting: PromptSettings, looked_at: Mapping[int, Mapping[str, Any]]
) -> Iterator[str]:
    tokenizer, title = ByteTokenizer(), setting.title()
    first, second = (InstructionExamples(records, instruct, 0, [setting], tokenizer) for _ in range(2))
    segments, unreasoned = [], 0
    for index, record in looked_at.items():
        if setting.chain_of_thought and not any(instruct.templates[one].explains(record) for one in instruct.trainable(setting)):
            unreasoned += 1
            continue
        where = f"{title}: {records.where(index)}"
        try:
            example, again = first.example(index, 0), second.example(index, 0)
        except InputError as error:
            yield f"{title}: {error}"
            return
        if example != again:
            yield f"{where}: read twice it is not the same; let a record depend on its index alone"
            return
        yield from (f"{where}: {problem}" for problem in _answer_problems(instruct, record, example, setting))
        rendered = _rendered(example.content, tokenizer)
        yield from (f"{where}: {problem}" for problem in mask_problems(example.content, rendered, tokenizer))
        segments.append(Segment(rendered.tokens, rendered.weights, (0, example.template, index, 0)))
    if unreasoned == len(looked_at):
        yield f"{title}: templates show reasoning and no record has any; add the field, or leave Template.rationale out"
    yield from _row_problems(segments, title)


def _answer_problems(instruct: Instruct, record: Mapping[str, Any], example: Example, setting: PromptSettings) -> Iterator[str]:
    wording = instruct.templates[example.template]
    plain = wording.apply(record)
    *before, question, answer = example.content.messages
    if not answer.text.strip():
        yield f"template {wording.id!r} gives an empty answer"
    options = plain.options or ()
    if len(set(options)) < len(options):
        yield f"two of the options {list(options)} are the same, so that ranking cannot tell the answer; make them differ"
    if setting.shots and wording.original_task:
        shown = question.text.removesuffix(plain.prompt) if question.text.endswith(plain.prompt) else ""
        if plain.prompt in shown or any(message.text == plain.prompt for message in before):
            yield f"template {wording.id!r}: an exemplar is the question itself; give Instruct a source_field"


def mask_problems(conversation: Conversation, rendered: Rendered, tokenizer: ByteTokenizer) -> Iterator[str]:
    """Whether the trained tokens are the last answer and its end: too few of them, some before it, or some after it.

    Args:
      conversation: the turns; all but the last are asked.
      rendered: the tokens and weights that they became.
      tokenizer: reads them back.
    """
    places = np.flatnonzero(rendered.weights)
    expected = [*tokenizer.encode(conversation.messages[-1].text), tokenizer.eos_id]
    start, end = rendered.tokens.size - len(expected), rendered.tokens.size
    if rendered.tokens[start:].tolist() != expected:
        yield f"the text does not end with the answer {conversation.messages[-1].text[:60]!r} and the end token"
    elif places.size and places[0] < start:
        yield f"training begins before the answer: {tokenizer.decode(rendered.tokens[places[0] : start])[:60]!r} is trained too"
    elif places.tolist() != list(range(start, end)):
        untrained = sorted(set(range(start, end)) - set(places.tolist()))
        left_out = tokenizer.decode(rendered.tokens[untrained])[:60]
        yield f"training is too narrow: {left_out!r} of the answer, or its end, is not trained"


def _row_problems(segments: Sequence[Segment], title: str) -> Iterator[str]:
    """Whether a row of all is read back as it was written."""
    for row in pack(segments, max((one.tokens.size for one in segments), default=1) * 2):
        back = decode_row(encode_row(row))
        same = all(
            np.array_equal(getattr(back, name), getattr(row, name)) for name in ("tokens", "weights", "lengths", "provenance")
        )
        if not same:
            yield f"{title}: a row of these examples is not read back as it was written"


def _plain_problems(task: seqio.Task, split: str, most: int, scratch: Path) -> Iterator[str]:
    """Of a task without templates: whether each example is the same each time, and some of it trained."""
    tokenizer = ByteTokenizer()
    try:
        first, second = (open_examples(task, split, tokenizer, 0, ZERO_SHOT, scratch / str(n)) for n in range(2))
        size = first.records.size
        for index in range(most if size is None else min(most, size)):
            example = first.example(index, 0)
            again = second.example(index, 0)
            rendered, repeated = (_rendered(one.content, tokenizer) for one in (example, again))
            if not np.array_equal(rendered.tokens, repeated.tokens):
                yield f"{first.records.where(index)}: read twice it is not the same; let a record depend on its index alone"
            if not rendered.weights[1:].any():
                yield f"{first.records.where(index)}: no token of it is trained"
    except InputError as error:
        yield str(error)


def _rendered(content: Conversation | Rendered, tokenizer: ByteTokenizer) -> Rendered:
    if isinstance(content, Rendered):
        return content
    ((rendered,),) = render_rows([content], INSTRUCT, tokenizer)
    return rendered


def _shared_questions(instruct: Instruct, splits: Mapping[str, Records]) -> Iterator[str]:
    """Questions that one split asks and another too, in the words of the first template that asks them."""
    wording = next((one for one in instruct.templates if one.original_task), instruct.templates[0])
    asked: dict[str, str] = {}
    for split, records in splits.items():
        for record in _readable(records, _SPLIT_RECORDS)[0].values():
            try:
                prompt = wording.apply(record).prompt
            except InputError:  # told already
                continue
            if asked.setdefault(prompt, split) != split:
                yield f"splits {asked[prompt]!r} and {split!r} both ask {prompt[:60]!r}; let no two splits share content"
                return
