"""Templates: a record in words, and a choice that depends on the example, the epoch and the seed alone."""

import collections
import dataclasses

import pytest

from instruct_jax.errors import InputError
from instruct_jax.text.options import (
    DASHES,
    LETTER_ANSWERS,
    LETTERS,
    NUMBER_ANSWERS,
    NUMBERS,
    PLAIN,
    SHUFFLED_DASHES,
    SHUFFLED_LETTER_ANSWERS,
    SHUFFLED_LETTERS,
    OptionStyle,
)
from instruct_jax.text.templates import Template, choose, fingerprint

STYLES = [
    *(DASHES, LETTERS, NUMBERS, PLAIN, LETTER_ANSWERS, NUMBER_ANSWERS),
    *(SHUFFLED_DASHES, SHUFFLED_LETTERS, SHUFFLED_LETTER_ANSWERS, OptionStyle("{number}) {option}", "{number}", shuffled=True)),
]


def test_choices_are_in_the_templates_own_words():
    template = Template("t", "{text}\n{options}", choices=("bad", "good"))
    instance = template.apply({"text": "fine", "label": 1})
    assert (instance.prompt, instance.response, instance.options) == ("fine\n- bad\n- good", "good", ("bad", "good"))
    assert template.shows_options
    assert not Template("u", "{text}").shows_options


def test_a_record_may_bring_its_own_options():
    assert Template("t", "{q}").apply({"q": "?", "answer": "b", "options": ["a", "b"]}).options == ("a", "b")


def test_a_template_turned_round_is_never_option_scored():
    template = Template("t", "Write something {answer}.", "{text}", choices=("bad", "good"), original_task=False)
    assert template.apply({"text": "fine", "label": 1}).options is None


def test_doubled_braces_are_literal_and_braces_in_a_record_stay_as_they_are():
    assert Template("t", "{{x}} {text}").apply({"text": "{y}", "answer": ""}).prompt == "{x} {y}"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [("{", "Single '{'"), ("{}", "is no field name"), ("{0}", "is no field name"), ("{a.b}", "is no field name")],
)
def test_a_wording_with_stray_braces_is_refused_when_it_is_written(prompt, message):
    with pytest.raises(InputError, match=f"template 't': .*{message}"):
        Template("t", prompt)


@pytest.mark.parametrize("label", [2, -1, None, "1"])
def test_a_label_out_of_range_is_named(label):
    with pytest.raises(InputError, match="expected an integer from 0 to 1"):
        Template("t", "{text}", choices=("a", "b")).apply({"text": "x", "label": label})


def test_a_missing_field_is_named_with_those_that_are_there():
    with pytest.raises(InputError, match=r"names the field 'passage', which the record lacks; it has: answer, text"):
        Template("t", "{passage}").apply({"text": "x", "answer": "y"})


def test_a_response_that_no_ranking_could_find_is_refused():
    record = {"q": "?", "answer": "b", "options": ["a", "b"]}
    with pytest.raises(InputError, match=r"'Answer: b' is not among the options \['a', 'b'\]"):
        Template("t", "{q}", "Answer: {answer}").apply(record)
    with pytest.raises(InputError, match="is not among the options"):
        Template("t", "{q}", "Answer: {answer}", choices=("a", "b")).apply({"q": "?", "label": 1})
    assert Template("t", "{q}", "Answer: {answer}", original_task=False).apply(record).response == "Answer: b"


def test_options_that_are_numbers_are_ranked_as_words():
    assert Template("t", "{q}").apply({"q": "?", "answer": 2, "options": [1, 2]}).options == ("1", "2")


@pytest.mark.parametrize("value", [None, ["a"], {"a": "b"}, b"a"])
@pytest.mark.parametrize("field", ["text", "answer"])
def test_a_field_that_holds_no_text_is_named(field, value):
    record = {"text": "x", "answer": "y", field: value}
    with pytest.raises(InputError, match=f"template 't': field '{field}' holds {type(value).__name__}"):
        Template("t", "{text}").apply(record)


def test_a_field_that_the_wording_does_not_name_may_hold_anything():
    assert Template("t", "{text}").apply({"text": 3, "answer": 0.5, "other": None}).prompt == "3"


def test_the_choice_is_stateless_even_and_new_in_every_epoch():
    def chosen(**changes):
        return [choose(4, **{"seed": 0, "epoch": 0, **changes}, example=str(index)) for index in range(2_000)]

    first = chosen()
    assert chosen() == first
    assert chosen(epoch=1) != first
    assert chosen(seed=1) != first
    assert [choose(4, seed=0, epoch=0, example=str(index)) for index in reversed(range(2_000))] == first[::-1]
    counts = collections.Counter(first)
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 16.27  # chi-square, 3 degrees of freedom, p = .001


def test_the_fingerprint_covers_every_field():
    template = Template("t", "{a}")
    changes = {"id": "u", "prompt": "{b}", "response": "{c}", "choices": ("x",), "original_task": False, "reserved": True}
    changes |= {"rationale": "{why} {answer}", "language": "de", "reference": "a paper"}
    assert set(changes) == {field.name for field in dataclasses.fields(Template)}
    others = [dataclasses.replace(template, **{name: value}) for name, value in changes.items()]
    assert len({fingerprint([one]) for one in (template, *others)}) == 10


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("own", [False, True])
def test_every_option_style_has_the_right_answer_wherever_it_is_listed(style, own):
    """Read back from the prompt: the line of the answer's words is the one that the response names."""
    options = tuple(f"option {number}" for number in range(7))
    orders = set()
    for label in range(7):
        for key in map(str, range(30)):
            record = {"q": "Which?", "answer": options[label], "options": list(options)} if own else {"q": "?", "label": label}
            template = Template("t", "{q}\n{options}", choices=None if own else options)
            instance = template.apply(record, style, key)
            lines = instance.prompt.split("\n")[1:]
            (place,) = [place for place, line in enumerate(lines) if line.endswith(options[label])]
            assert instance.options[place] == instance.response
            assert len(set(instance.options)) == 7
            assert lines[place].startswith(instance.response) if style.marks else instance.response == options[label]
            orders.add(tuple(line[-1] for line in lines))
    assert (len(orders) > 20) is style.shuffled


def test_the_shuffled_order_is_the_examples_own_and_even():
    orders = collections.Counter(tuple(SHUFFLED_DASHES.order(3, str(key))) for key in range(3_000))
    assert len(orders) == 6
    assert sum((count - 500) ** 2 / 500 for count in orders.values()) < 20.52  # chi-square, 5 degrees of freedom, p = .001


def test_a_style_leaves_wordings_alone_that_do_not_list_the_alternatives():
    for template in (
        Template("t", "{q}", choices=("a", "b")),
        Template("t", "Ask for {answer}.", "{q}", choices=("a", "b"), original_task=False),
    ):
        record = {"q": "?", "label": 1}
        assert template.apply(record, SHUFFLED_LETTER_ANSWERS, "key") == template.apply(record)


def test_an_answer_turned_round_is_in_words_even_where_alternatives_are_marked():
    template = Template("t", "{options}\nAsk for {answer}.", "{q}", choices=("a", "b"), original_task=False)
    assert template.apply({"q": "?", "label": 1}, LETTER_ANSWERS).prompt == "(A) a\n(B) b\nAsk for b."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"line": "-"}, "line is '-'; expected a wording with"),
        ({"line": "({letter})"}, "leaves out the alternative"),
        ({"line": "{option} {x}"}, "expected a wording with"),
        ({"answer": "{"}, "Single '{'"),
        ({"answer": "yes"}, "answer is 'yes'; expected a wording with"),
    ],
)
def test_a_style_that_cannot_be_is_refused(fields, message):
    with pytest.raises(InputError, match=f"OptionStyle.*{message}"):
        OptionStyle(**fields)


def test_the_reasoning_stands_in_the_response_and_is_never_ranked():
    template = Template("t", "{q}\n{options}", choices=("no", "yes"), rationale="{rationale} So the answer is {answer}.")
    record = {"q": "?", "label": 1, "rationale": "It rained."}
    shown = template.apply(record, LETTER_ANSWERS, reasoned=True)
    assert (shown.response, shown.options) == ("It rained. So the answer is (B).", None)
    assert template.apply(record).response == "yes"
    assert template.explains(record)
    assert not template.explains({**record, "rationale": ""})
    assert not template.explains({"q": "?", "label": 1})
    assert not Template("u", "{q}").explains(record)
    with pytest.raises(InputError, match="template 'u' has no wording that shows the reasoning"):
        Template("u", "{q}").apply(record, reasoned=True)
