"""Templates of strangers: they get what honest ones need, and stop soon when they want more time, text or insight."""

import random
import time

import pytest

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import conversation_of
from instruct_jax.text.jinja_chat import JinjaTemplate

TALK = conversation_of([("system", "s"), ("user", "hi <|end|>"), ("assistant", "yo"), ("user", "more"), ("assistant", "done")])
HONEST = """{{- bos_token }}
{%- set ns = namespace(first=true, names=[]) %}
{%- macro turn(role, words) %}{{ '<|start|>' ~ role + '\\n' }}{{ words | trim }}{{ '<|end|>' }}{% endmacro %}
{%- for m in messages if m.role in ['system', 'user', 'assistant'] %}
    {%- if loop.first and m['role'] == 'user' %}{% set ns.first = false %}{% endif %}
    {%- if m.role not in ns.names %}{% set ns.names = ns.names + [m.role] %}{% endif %}
    {{- turn(m.role, m.content) }}{{ '\\n' if not loop.last else '' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '\\n<|start|>assistant\\n' }}{% endif %}"""
SPECIALS = ("<|start|>", "<|end|>")

TOO_MUCH = {
    "a long loop": "{% for a in range(1000000000) %}{% endfor %}",
    "loops in loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "a loop over letters": "{% set x = 'a' * 9999 %}{% for a in x %}{% for b in x %}{% endfor %}{% endfor %}",
    "text times a number": "{{ 'a' * 1000000000 }}",
    "a list times a number": "{{ [1] * 1000000000 }}",
    "a tower of powers": "{{ 10 ** 10 ** 10 }}",
    "ever larger products": "{% set n = namespace(x=3) %}{% for i in range(9999) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "doubling with ~": "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "doubling with +": "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "doubling in a block": "{% set n=namespace(x='a') %}{% for i in range(99) %}{% set n.x %}{{n.x*2}}{% endset %}{% endfor %}",
    "nested lists": "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "nested dicts": "{% set n = namespace(x={}) %}{% for i in range(99) %}{% set n.x = {'a': n.x, 'b': n.x} %}{% endfor %}",
    "replacing in replaced": "{{ 'a'|replace('a', 'a' * 999)|replace('a', 'a' * 999) }}",
    "replacing by method": "{{ 'a'.replace('a', 'a' * 999).replace('a', 'a' * 999) }}",
    "joining": "{{ range(9999)|join('a' * 999) }}",
    "a macro of itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a macro of two": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "a loop of itself": "{% for i in [1] recursive %}{{ loop([1]) }}{{ loop([1]) }}{% endfor %}",
    "deep brackets": "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "wide indents": "{{ 'a\\nb'|indent(1000000000) }}{{ [1]|tojson(indent=1000000000) }}",
    "a precise number": "{{ 1|round(1000000000) }}",
    "a long source": "a" * 200_000,
    "many parts": "{{ x }}" * 14_000,
    "a wide date": "{{ strftime_now('%1000000000Y') }}",
}
FORBIDDEN = [
    "{{ ''.__class__.__mro__ }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'role': 'x'}) }}",
    "{{ messages[0].pop('role') }}",
    "{{ '{:9}'.format(1) }}",
    "{{ '%9d' % 1 }}",
    "{{ 'a'.center(9) }}",
    "{{ 'a'|center(9) }}",
    "{{ messages|attr('__class__') }}",
    "{{ lipsum.__globals__.os }}",
    "{{ range.__globals__.x }}",
    "{{ raise_exception.__globals__['x'] }}",
    "{{ namespace(__class__=1) }}",
    "{% include 'x' %}",
    "{% import 'os' as os %}",
    "{% extends 'x' %}",
    "{{ strftime_now('%Y') }}",
]


def _text(source, date=None, conversation=TALK, **variables):
    return JinjaTemplate(source, "<s>", "</s>", SPECIALS, variables, date).text(conversation)


def test_an_honest_template_has_all_that_it_asks_for():
    expected = "<s><|start|>system\ns<|end|>\n<|start|>user\nhi <|end|><|end|>\n<|start|>assistant\nyo<|end|>\n"
    assert _text(HONEST) == expected + "<|start|>user\nmore<|end|>\n<|start|>assistant\ndone<|end|>"


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_template_that_wants_too_much_is_stopped_soon(name):
    start = time.thread_time()
    with pytest.raises(InputError, match="chat template 'jinja'"):
        _text(TOO_MUCH[name], date="2024-07-26")
    assert time.thread_time() - start < 4, "of its own computing, twice what is meant to be enough"


@pytest.mark.parametrize("source", FORBIDDEN)
def test_what_no_template_needs_is_out_of_reach(source):
    with pytest.raises(InputError, match="chat template 'jinja'"):
        _text(source)


def test_hidden_attributes_are_as_if_they_were_not_there():
    for source in (
        "{{ ''.__class__ }}",
        "{{ range.__globals__ }}",
        "{{ self.__init__ }}",
        "{{ messages.__len__ }}",
        "{{ cycler }}",
    ):
        assert _text(source) == "", source


def test_refusals_name_the_line_and_give_the_templates_own_words():
    with pytest.raises(InputError, match=r"chat template 'jinja', line 3: only two turns; mend the conversation"):
        _text("a\n{% if messages|length > 2 %}\n{{ raise_exception('only two turns') }}\n{% endif %}")
    with pytest.raises(InputError, match=r"chat template 'jinja', line 2: .*unknown tag 'nonsense'"):
        _text("a\n{% nonsense %}")
    with pytest.raises(InputError, match=r"line 2: ZeroDivisionError: division by zero"):
        _text("a\n{{ 1 / 0 }}")


def test_the_date_is_the_one_given_and_never_todays():
    source = "{{ strftime_now('%d %b %Y') if strftime_now is defined else 'no date' }}"
    assert _text(source) == "no date"
    assert _text(source, date="2024-07-26") == "26 Jul 2024"
    with pytest.raises(InputError, match="expected YYYY-MM-DD"):
        JinjaTemplate(source, date="26.7.2024")


def test_json_is_written_as_models_were_trained_on_it():
    value = {"b": "<é>&'", "a": [1, None, True]}
    assert _text("{{ value|tojson }}", value=value) == '{"b": "<é>&\'", "a": [1, null, true]}'
    assert _text("{{ value|tojson(indent=2, sort_keys=true) }}", value={"b": 1, "a": 2}) == '{\n  "a": 2,\n  "b": 1\n}'


def test_long_conversations_are_no_reason_to_stop():
    long = conversation_of([("user", "x" * 500_000), ("assistant", "y")])
    assert len(_text(HONEST, conversation=long)) > 500_000


@pytest.mark.parametrize("seed", range(4))
def test_damaged_templates_are_refused_or_written_and_never_crash(seed):
    """400 in all: cut short, letters lost, doubled and exchanged, lines moved, pieces of hostile ones put in."""
    chance = random.Random(seed)
    refusals = []
    for _ in range(100):
        letters = list(HONEST)
        for _ in range(chance.randint(1, 2)):
            place = chance.randrange(len(letters))
            kind = chance.randrange(6)
            if kind == 0:
                letters = letters[:place] or ["{"]
            elif kind == 1:
                del letters[place : place + chance.randint(1, 30)]
            elif kind == 2:
                letters[place] = chr(chance.choice([*range(32, 127), 0, 0xFDD5, 0x1F642]))
            elif kind == 3:
                letters[place:place] = letters[place : place + 40]
            elif kind == 4:
                letters[place:place] = chance.choice(["{%", "%}", "{{", "}}", "{#", "'", "-", "(", "|", "range(9999)", " ** 9"])
            else:
                letters[place:place] = chance.choice([one for one in TOO_MUCH.values() if len(one) < 200])
            letters = letters or ["{"]
        template = JinjaTemplate("".join(letters), "<s>", "</s>", SPECIALS)
        try:
            written = template.text(TALK)
            spans = [span for row in template.rows(TALK) for span in row]
        except InputError as error:
            refusals.append(str(error))
        else:
            assert all(span.text or span.special for span in spans)
            assert len(spans) > 1 or len(written) < 30
    assert 20 < len(refusals) < 100
    assert not [refusal for refusal in refusals if "\n" in refusal]
