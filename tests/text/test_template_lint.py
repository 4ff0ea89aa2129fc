"""Template lint finds each kind of planted fault, and nothing in clean wordings."""

import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks.suite.collection import DATASETS
from instruct_jax.text.template_lint import Finding, lint
from instruct_jax.text.templates import Template
from instruct_jax.text.wording_lint import strays

_NO_YES = ("no", "yes")
_CLEAN = (
    Template("a", "{premise}\nDoes it follow that \"{hypothesis}\"?", choices=_NO_YES),
    Template("b", "Text: {premise}\nClaim: {hypothesis}\nTrue or false?", choices=("false", "true")),
    Template("c", "Choose what holds of '{hypothesis}', given this: {premise}\n{options}", choices=("it fails", "it holds")),
    Template("d", "Write a claim that is {verdict} if one reads: {premise}", response="{hypothesis}", original_task=False),
    Template("e", "Is the pupils' claim (quoted) right? \"{hypothesis}\" The source: {premise}", choices=_NO_YES, reserved=True),
)  # fmt: skip
_RECORDS = [
    {
        "premise": f"There were {number} boats at sea, and nobody saw the rest of them.",
        "hypothesis": f"At least {number} boats were at sea.",
        "verdict": ("false", "true")[number % 2],
        "label": number % 2,
    }
    for number in range(10)
]


def _rules(templates, records=_RECORDS, ignored=("verdict",)):
    return {(finding.template, finding.rule) for finding in lint(templates, records, ignored)}


def test_clean_wordings_have_no_findings():
    assert lint(_CLEAN, _RECORDS) == []


@pytest.mark.parametrize(
    ("wording", "problem"),
    [
        ("{a}nDoes it follow?", 'a letter n stands where a newline was meant: "{}nDoes"'),
        ("Read this. nQuestion: {a}", 'a letter n stands where a newline was meant: "nQuestion"'),
        ("{a}\\n{b}?", 'an escape was escaped: "{}\\n"'),
        ("{a}n{b}?", 'a letter n stands where a newline was meant: "{}n"'),
        ("Is  it {a}?", 'a doubled space: "Is  "'),
        ("{a} , is it?", 'a space before ",": "{} ,"'),
        ("Is it {a} ?", 'a space before "?": "{} ?"'),
        ("Is it {a}??", 'doubled punctuation: "{}??"'),
        ("Say it..{a}", 'doubled punctuation: "it.."'),
        ("Is is it {a}?", 'a doubled word: "Is is"'),
        ("What is {{a}} in {b}?", 'a field that was never filled: "{a}"'),
        ("Is {a}\tit?", "the character U+0009 (a control character)"),
        ("Is {a}\u00a0it?", "the character U+00A0 (no-break space)"),
        ("Is {a} it\u200b?", "the character U+200B (zero width space)"),
        ("Is ({a} it?", "( without ), or the other way round"),
        ('Is "{a} it?', 'a " without its partner'),
        ("Is '{a} it?", "a ' without its partner"),
        ("Is „{a} it?", "„ without ”, or the other way round"),
        ("Is it {a}? \nSay.", "a space at the end of a line"),
        ("Is it {a}? ", "ends with a space"),
        ("Is it {a}?\n", "ends with a newline"),
        (" Is it {a}?", "begins with a space"),
    ],
)
def test_each_stray_character_is_found_and_alone(wording, problem):
    assert problem in list(strays(wording))
    assert len(list(strays(wording))) == 1


@pytest.mark.parametrize(
    "wording",
    [
        "{a} ... {b}. Is it so?",
        "1) {a}\n2) {b}\na) neither",
        "The boys' claim, 'rock 'n' roll is dead', is: {a}",
        "Say that that is so (or not): {a}, {b} -- and why?",
        "n is the number of {a}; what is n?",
        "Print {{1, 2}} and {a}: f(x) = 2x, done.",
        "Don't you know {a}'s name?",
    ],
)  # fmt: skip
def test_characters_that_are_meant_are_let_be(wording):
    assert list(strays(wording)) == []


def test_the_literal_n_of_a_lost_newline_is_found_in_a_response():
    assert _rules([Template("t", "{premise} Is it?", response="nAnswer: {hypothesis}")], ignored=("verdict", "label")) == {
        ("t", "characters")
    }


@pytest.mark.parametrize(
    ("template", "rule"),
    [
        (Template("t", "{premise} {hypothesis} {other}?", choices=_NO_YES), "fields"),
        (Template("t", "{premise} {hypothesis}?", choices=("no",)), "fields"),
        (Template("t", "{premise} {hypothesis} Is it?", choices=("Yes", "yes.")), "choices"),
        (Template("t", "{premise} {hypothesis} Is it?", choices=("yes", "yes")), "choices"),
        (Template("t", "{premise} {hypothesis} Is it?", choices=("no ", "yes")), "choices"),
        (Template("t", "{premise} {hypothesis} Is it?", choices=("", "yes")), "choices"),
        (Template("t", "{premise} This is the claim. {hypothesis}", choices=_NO_YES), "asking"),
        (Template("t", "{premise} {hypothesis} Is it?", choices=_NO_YES, reserved=True, original_task=False), "reserved"),
        (Template("t", "{premise} Is it {verdict} that {hypothesis}", choices=_NO_YES), "leak"),
        (Template("t", "Write on {hypothesis} {premise}", response="{hypothesis}", original_task=False), "leak"),
        (Template("t", "Is it {hypothesis}? {premise}", choices=_NO_YES), "characters"),
    ],
)
def test_each_planted_fault_is_found_and_alone(template, rule):
    assert {found for found in _rules([template]) if found[0]} == {("t", rule)}


def test_an_empty_prompt_is_found():
    assert ("t", "empty") in _rules([Template("t", " ", choices=_NO_YES)])
    assert ("t", "empty") in _rules([Template("t", "Is it so?", choices=_NO_YES)])
    assert ("t", "empty") in _rules([Template("t", "{premise} Is it?", response="It is.", original_task=False)])


def test_a_field_that_no_wording_uses_is_found_unless_ignored_by_name():
    templates = [Template("t", "{premise} Is it true that {hypothesis}", choices=_NO_YES)]
    assert [finding.problem for finding in lint(templates, _RECORDS)] == [
        "no wording uses the field 'verdict'; use it or ignore it by name"
    ]
    assert lint(templates, _RECORDS, ignored=("verdict",)) == []
    assert _rules(templates, ignored=("verdict", "premise")) == {("", "fields")}


def test_a_field_that_holds_the_whole_answer_is_a_leak_and_a_passage_that_contains_it_is_none():
    records = [
        {"passage": f"The boat of {name} came in late.", "about": f"{name}!", "answer": name} for name in ("Ann", "Bo", "Eve")
    ]
    assert _rules([Template("t", "{passage} Whose boat? ({about})")], records, ()) == {("t", "leak")}
    assert _rules([Template("t", "{passage} Whose boat?")], records, ("about",)) == set()


def test_naming_all_options_is_no_leak():
    records = [
        {"pair": "Ann or Bo", "text": "The boat came in.", "answer": name, "options": ["Ann", "Bo"]} for name in ("Ann", "Bo")
    ]
    assert _rules([Template("t", "{text} Who was it, {pair}?")], records, ()) == set()
    told = [record | {"pair": record["answer"]} for record in records]
    assert _rules([Template("t", "{text} Who was it, {pair}?")], told, ()) == {("t", "leak")}


def test_an_answer_outside_its_options_is_found():
    records = [{"text": "Who came?", "answer": "Cy", "options": ["Ann", "Bo"]}]
    assert _rules([Template("t", "{text}\n{options}")], records, ()) == {("t", "options"), ("", "options")}


def test_repetition_is_found():
    same = [
        Template("t", "Is it true? {premise} {hypothesis}", choices=_NO_YES),
        Template("t", "Say whether {hypothesis} {premise}", choices=_NO_YES),
    ]
    assert ("t", "id") in _rules(same)
    copied = [
        Template("t", "Is it true: {premise} {hypothesis}", choices=_NO_YES),
        Template("u", "is it TRUE?\n{premise}\n{hypothesis}", choices=_NO_YES),
    ]
    assert _rules(copied) == {("u", "duplicate")}
    words = "Please read what stands here with great care and then tell me if it is {word}: {premise} {hypothesis}"
    near = [Template(name, words.replace("{word}", word), choices=_NO_YES) for name, word in (("t", "true"), ("u", "right"))]
    assert _rules(near) == {("u", "duplicate")}


def test_a_finding_reads_as_a_line():
    assert str(Finding("t", "the prompt is empty", "empty")) == "template 't': the prompt is empty (empty)"
    assert str(Finding("", "no wording", "fields")) == "the dataset: no wording (fields)"


# The suite's wordings are what the demo's models were measured with, so they stay; some are close to each other on purpose.
_SUITE_EXEMPT = {("duplicate", "last"), ("duplicate", "say")}


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_the_procedural_suite_is_clean(dataset):
    records = [dataset.record(index, "train") for index in range(24)]
    found = lint(dataset.templates, records, ignored=("content",))
    assert [str(one) for one in found if (one.rule, one.template) not in _SUITE_EXEMPT] == []


def test_a_wording_that_is_no_template_is_refused_before_lint():
    with pytest.raises(InputError, match="double a brace"):
        Template("t", "{premise")
