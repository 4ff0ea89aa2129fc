"""Template lint: what is wrong with a dataset's wordings, seen in the wordings and in what they make of some records."""

import dataclasses
import difflib
import itertools
import re
import string
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.templates import Template, fields_of
from instruct_jax.text.wording_lint import strays

Record = Mapping[str, Any]

_OWN = ("label", "options", "answer")  # fields with a meaning of their own
_ALIKE = 0.9  # similarity of two wordings, in words, from which they are near-duplicates
_LARGE_PART = 0.5  # of a field: an answer that makes up so much of it is given away; a span of a passage makes up less
_PER_LABEL = 3  # records for each label before a field is said to tell the label
_VERBS = (
    "abridge|abstract|add|analyse|analyze|announce|answer|apply|arrange|ask|assign|assume|beware|brainstorm|break|brief"
    "|bring|build|calculate|call|caption|carry|check|choose|circle|cite|classify|combine|come|compare|compile|complete"
    "|compose|compress|compute|condense|connect|consider|continue|convert|copy|correct|count|create|cut|decide|deduce|define"
    "|describe|determine|differentiate|distil|do|draft|draw|evaluate|expand|explain|express|extract|fill|find|finish|follow"
    "|formulate|generate|give|guess|help|highlight|identify|imagine|infer|invent|judge|keep|label|let|list|localise|look"
    "|make|mark|match|merge|name|order|paraphrase|pass|phrase|pick|pinpoint|place|point|predict|prepare|produce|propose"
    "|provide|put|quote|rank|rate|read|reason|recall|recap|recast|reconstruct|recount|reduce|render|rephrase|replace|reply"
    "|report|resolve|respond|restate|restore|retell|reverse|reword|rewrite|rule|say|score|select|set|shorten|show|simplify"
    "|solve|sort|spell|split|state|strip|suggest|sum|summarise|summarize|supply|take|tell|think|tick|title|transform"
    "|translate|try|turn|use|verify|work|write"
)
_ASKING = re.compile(  # an imperative where a clause begins, or what people say instead of one
    rf"(?:^|[\0.:;,!?)\n\"-]\s*|\b(?:and|or|then|please|now|just|to|also|but|first|should|would)\s+)(?:{_VERBS})\b"
    r"|\b(?:asks?|needs?|wants?|wanted|missing|please|short of|true or false)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(  # without its mark, which the field at its end brings along: "Is it true that {hypothesis}"
    r"(?:^|[\0.:,!?\n]\s*)(?:is|are|was|were|does|do|did|has|have|can|could|may|might|must|should|will|would|who|whom|whose|what|which|"
    r"where|when|why|how)\b[^.!\n]*$",
    re.IGNORECASE,
)
_HEADED = re.compile(r"(?:\S+ ){2,}\S+:\s*\0\W*$")  # "From Spanish to English: {source}"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
      template: id of the template; "" where it is the dataset's.
      problem: in words.
      rule: name of the rule, for exemptions.
    """

    template: str
    problem: str
    rule: str

    def __str__(self) -> str:
        return f"{f'template {self.template!r}' if self.template else 'the dataset'}: {self.problem} ({self.rule})"


def lint(templates: Sequence[Template], records: Sequence[Record], ignored: Collection[str] = ()) -> list[Finding]:
    """Everything that is wrong with the wordings of one dataset.

    The rules are `id`, `empty`, `reserved`, `characters`, `choices`, `fields`, `options`, `leak`, `duplicate` and `asking`.
    Leaks and doubled stops are seen in the records' words, so give some dozen with every label; rules that need more records
    than there are find nothing.

    Args:
      templates: the wordings of one dataset.
      records: some of its records.
      ignored: fields of the records that no wording uses on purpose.

    Returns:
      The findings, template by template, the dataset's own last.

    >>> wordings = [Template("t1", "Is it good?  {text}", choices=("Yes", "yes"))]
    >>> for finding in lint(wordings, [{"text": "I like it.", "label": 0, "title": "Soap"}]):
    ...     print(finding)
    template 't1': prompt: a doubled space: "good?  " (characters)
    template 't1': the choices 'Yes' and 'yes' differ in case or punctuation only (choices)
    the dataset: no wording uses the field 'title'; use it or ignore it by name (fields)
    """
    found = []
    for template in templates:
        found += _alone(template)
        found += _with_records(template, records)
    return found + list(_repeated(templates)) + list(_whole(templates, records, ignored))


def _alone(template: Template) -> Iterator[Finding]:
    """What a template shows without any record."""
    parts = {"prompt": template.prompt, "response": template.response, "rationale": template.rationale}
    for part, wording in parts.items():
        if wording is not None and not wording.strip():
            yield Finding(template.id, f"the {part} is empty", "empty")
        elif wording is not None:
            for problem in strays(wording):
                yield Finding(template.id, f"{part}: {problem}", "characters")
    if not fields_of(template.prompt) - {"options"}:
        yield Finding(template.id, "the prompt is the same for every record: it names no field", "empty")
    if not fields_of(template.response):
        yield Finding(template.id, "the response is the same for every record: it names no field", "empty")
    if template.reserved and not template.original_task:
        yield Finding(template.id, "it is reserved for evaluation and turned round, so that nothing scores it", "reserved")
    for choice in template.choices or ():
        for problem in ["it is empty"] if not choice.strip() else strays(choice) if _words(choice) else []:
            yield Finding(template.id, f"choice {choice!r}: {problem}", "choices")
    for one, other in itertools.combinations(template.choices or (), 2):
        if _bare(one) == _bare(other):
            how = "are the same" if one == other else "differ in case or punctuation only"
            yield Finding(template.id, f"the choices {one!r} and {other!r} {how}", "choices")
    if template.language == "en" and not _asks(template.prompt):
        yield Finding(template.id, f"the prompt ends without asking for anything: {template.prompt[-60:]!r}", "asking")


def _with_records(template: Template, records: Sequence[Record]) -> Iterator[Finding]:
    """What a template makes of the records."""
    for record in records:
        given = {*record, *(("options", "answer") if template.choices is not None else ())}
        named = fields_of(template.prompt) | fields_of(template.response) | fields_of(template.rationale or "")
        if unknown := sorted(named - given):
            have = ", ".join(sorted(record))
            yield Finding(template.id, f"it names the field {unknown[0]!r}, which a record lacks; that has: {have}", "fields")
            return
        try:
            template.apply(record)
        except InputError as error:
            missing = "options" in record and record.get("answer") not in record["options"]
            yield Finding(template.id, f"a record does not fit it: {error}", "options" if missing else "fields")
            return
    if records:
        yield from _leaks(template, records)
        yield from _doubled_stops(template, records)


def _leaks(template: Template, records: Sequence[Record]) -> Iterator[Finding]:
    """The response, or what tells it, in the prompt.

    What decides is whether the prompt gives away more than its task needs: a span of a passage, a choice among others that
    are named too, and words that every record's prompt has are no leaks.
    """
    asked, answered = fields_of(template.prompt) - {"options"}, fields_of(template.response)
    for name in sorted(asked & answered):
        yield Finding(template.id, f"the prompt names {{{name}}}, which the response consists of", "leak")
    for name in sorted(asked - answered - set(_OWN)):
        if all(_gives_away(str(record[name]), template, record) for record in records):
            yield Finding(template.id, f"the field {name!r} in the prompt holds the response", "leak")
        elif template.original_task and template.choices is not None and _tells_label(name, records):
            yield Finding(template.id, f"the field {name!r} in the prompt tells the label: a value for each", "leak")


def _gives_away(value: str, template: Template, record: Record) -> bool:
    """Whether the response makes up a large part of a field's value, in which not all the alternatives stand."""
    instance = template.apply(record)
    response, value = _bare(instance.response), _bare(value)
    if not response or not re.search(rf"\b{re.escape(response)}\b", value) or len(response) < _LARGE_PART * len(value):
        return False
    return not instance.options or not all(_bare(option) in value for option in instance.options)


def _tells_label(name: str, records: Sequence[Record]) -> bool:
    """Whether a field has one value for each label, over enough records to say so."""
    labels = Counter(record["label"] for record in records)
    values = {(record["label"], str(record[name])) for record in records}
    return len(labels) > 1 and min(labels.values()) >= _PER_LABEL and len(values) == len(labels) == len({v for _, v in values})


def _doubled_stops(template: Template, records: Sequence[Record]) -> Iterator[Finding]:
    """A stop of the wording's own after a field that ends with one."""
    pieces = list(string.Formatter().parse(template.prompt))
    for (_, name, _, _), (after, _, _, _) in itertools.pairwise(pieces):
        if name and name not in _OWN and after[:1] in (".", "?", "!") and after[:3] != "...":
            ends = sum(str(record[name]).rstrip().endswith((".", "?", "!")) for record in records)
            if ends * 2 > len(records):
                yield Finding(
                    template.id, f"prompt: {{{name}}}{after[0]} doubles the stop that the field ends with", "characters"
                )


def _repeated(templates: Sequence[Template]) -> Iterator[Finding]:
    """Ids that come twice and wordings that say the same."""
    for name, count in Counter(template.id for template in templates).items():
        if count > 1:
            yield Finding(name, f"{count} templates have this id", "id")
    words = {place: _words(one.prompt) + _words(one.response) for place, one in enumerate(templates)}
    for one, other in itertools.combinations(range(len(templates)), 2):
        if words[one] == words[other]:
            yield Finding(templates[other].id, f"it says the same as {templates[one].id!r}, but for punctuation", "duplicate")
        elif (ratio := difflib.SequenceMatcher(None, words[one], words[other], autojunk=False).ratio()) >= _ALIKE:
            yield Finding(
                templates[other].id, f"it says nearly the same as {templates[one].id!r} ({ratio:.2f} alike)", "duplicate"
            )


def _whole(templates: Sequence[Template], records: Sequence[Record], ignored: Collection[str]) -> Iterator[Finding]:
    """What shows in a dataset as a whole."""
    wordings = [part for one in templates for part in (one.prompt, one.response, one.rationale or "")]
    used = set().union(*map(fields_of, wordings)) | {"options"}
    if any(one.choices is not None for one in templates):
        used.add("label")
    for name in sorted(set().union(*records) - used - set(ignored)):
        yield Finding("", f"no wording uses the field {name!r}; use it or ignore it by name", "fields")
    for name in sorted(set(ignored) & used - {"options"}):
        yield Finding("", f"the field {name!r} is ignored by name, yet a wording uses it", "fields")
    for record in records:
        if record.get("options") and "answer" in record and str(record["answer"]) not in map(str, record["options"]):
            yield Finding("", f"the answer {record['answer']!r} is none of the options {list(record['options'])}", "options")
            return


def _asks(prompt: str) -> bool:
    """Whether a prompt asks, tells to do something, or breaks off for the reader to go on.

    >>> [_asks(one) for one in ("{text} Is it?", "Translate: {text}", "{text} The topic is", "{question}", "Here it is. {text}")]
    [True, True, True, True, False]
    """
    text = "".join(before + ("" if name is None else "\0") for before, name, _, _ in string.Formatter().parse(prompt))
    breaks_off = text.rstrip()[-1:] not in ("\0", ".", "!", ")")
    questions = any("question" in name or name in ("query", "problem", "goal", "instruction") for name in fields_of(prompt))
    return (
        "?" in text
        or breaks_off
        or questions
        or "options" in fields_of(prompt)
        or any(form.search(text) for form in (_ASKING, _QUESTION, _HEADED))
    )


def _words(wording: str) -> list[str]:
    return re.findall(r"\w+", wording.casefold())


def _bare(text: str) -> str:
    """Words alone: no case, no punctuation. Text without any word is compared as it is ("+" is not "-")."""
    return " ".join(re.findall(r"\w+", text.casefold())) or text.strip()
