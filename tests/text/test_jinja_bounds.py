"""Hostile templates, each in a process that is watched: little time, little memory; and honest ones near the bounds."""

import json
import re
import subprocess
import sys

import pytest

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import conversation_of
from instruct_jax.text.jinja_chat import JinjaTemplate
from instruct_jax.text.jinja_meter import SECONDS, Meter
from instruct_jax.text.jinja_sandbox import Program

MARKS = ("\ufdd0", "\ufdd1")
NEARLY = "{% set a = 'a' * 262000 %}{% set b = 'ab' ~ 'a' * 131000 %}"
LISTS = "{% set x = [1] * 130000 %}{% set y = [1.0] * 130000 %}"
WIDE = "'🙂' * 262000"
DEEP = "{% set n = namespace(x=[1] * 100000) %}{% for i in range(800) %}{% set n.x = [n.x] %}{% endfor %}"
HOSTILE = {
    "a search from the right": NEARLY + "{{ a.rfind(b) }}",
    "many smaller searches": (
        "{% set a = 'a' * 20000 %}{% set b = 'ab' ~ 'a' * 4500 %}{% for i in range(9999) %}{{ a.rfind(b) }}{% endfor %}"
    ),
    "splitting from the right": NEARLY + "{{ a.rsplit(b) }}{{ a.rpartition(b) }}",
    "stripping many characters": "{% set a = 'Ā' * 60000 %}{{ a.strip('Ȁ' * 60000 ~ 'Ā') }}",
    "trimming many characters": "{% set a = 'Ā' * 60000 %}{{ a|trim('Ȁ' * 60000 ~ 'Ā') }}",
    "searches from the left": NEARLY + "{{ a.find(b) }}{{ a.count(b) }}{{ a.split(b) }}{{ b in a }}" * 400,
    "comparing lists": LISTS + "{% if x == y %}{% endif %}" * 900,
    "comparing lists in tests": LISTS + "{% if x is eq y %}{% endif %}" * 900,
    "looking into lists": LISTS + "{{ 2 in x }}" * 900,
    "counting in lists": LISTS + "{{ x.count(y) + x.index(1) }}" * 500,
    "selecting by a long list": LISTS + "{{ x|select('in', y)|list }}",
    "comparing arguments": LISTS
    + f"{{% macro f() %}}{{{{ varargs.count(varargs) }}}}{{% endmacro %}}{{{{ f({'x, ' * 900}[x]) }}}}",
    "changes of a loop": LISTS + f"{{% for i in [1, 2] %}}{{{{ loop.changed({'x + [i], ' * 900}x) }}}}{{% endfor %}}",
    "many variables": "".join(f"{{% set a{i} = {WIDE} %}}" for i in range(1500)),
    "many attributes": "{% set n = namespace() %}" + "".join(f"{{% set n.a{i} = {WIDE} %}}" for i in range(1500)),
    "many slices": f"{{% set x = {WIDE} %}}" + "".join(f"{{% set a{i} = x[1:] %}}" for i in range(1200)),
    "many letters": "{% set x = '🙂' * 130000 %}" + "".join(f"{{% set a{i} = x|list %}}" for i in range(900)),
    "many long entries": f"{{{{ (['aaaaaaaaaa'] * 20000)|map('replace', 'a', {WIDE[:6]}26000)|list|length }}}}",
    "many numbers as text": "{% set x = [0.1234567890123456] * 10000 %}{{ " + "x ~ " * 3000 + "x }}",
    "variables in every call": f"{{% macro f(n) %}}{{% set a = {WIDE} %}}{{{{ f(n) }}}}{{% endmacro %}}{{{{ f(1) }}}}",
    "arguments in every call": LISTS + "{% macro f() %}{{ varargs[0] }}{{ f(*x) }}{% endmacro %}{{ f() }}",
    "deep and wide JSON": DEEP + "{{ n.x|tojson(indent=16) }}",
    "numbers that fall together": "{{ range(0, 9999 * 2305843009213693951, 2305843009213693951)|unique|list|length }}" * 99,
    "a long number": "{% set x = ('1' * 200000)|int(base=16) %}{% for i in range(9999) %}{{ x // 3 % 7 }}{% endfor %}",
    "a long path of attributes": "{{ ([{}] * 40000)|map(attribute='a' ~ '.a' * 90000, default={})|list }}",
    "changes of case": f"{{% for i in range(9999) %}}{{% set n = {WIDE} %}}{{{{ '' if n.upper().title() }}}}{{% endfor %}}",
}
# Prints a line for each hostile template: its place, seconds of computing, megabytes at most so far, what became of it.
WATCH = """
import json, resource, sys, time
from instruct_jax.errors import InputError
from instruct_jax.text.jinja_sandbox import Program
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for source in json.load(sys.stdin):
    begin = time.thread_time()
    try:
        end = repr(Program(source, "hostile", {}).run({"messages": []}, ("\\ufdd0", "\\ufdd1")).text[:40])
    except InputError as error:
        end = str(error)
    # Not ru_maxrss: a process begins with the peak of the one that started it.
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024
    print(json.dumps([time.thread_time() - begin, peak, end]), flush=True)
"""


@pytest.fixture(scope="module")
def ends():
    """How each hostile template ended: (seconds, megabytes, error)."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH], input=json.dumps(list(HOSTILE.values())), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = map(json.loads, done.stdout.splitlines())
    return dict(zip(HOSTILE, lines, strict=True))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_stopped_within_two_seconds_and_200_megabytes(ends, name):
    seconds, megabytes, error = ends[name]
    assert re.search("computes for more|bytes of values|makes something of|it searches|int takes at most", error), error
    assert seconds < 2
    assert megabytes < 200


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("{% for m in messages %}{{ m.content.replace('h', 'j') }}{% endfor %}", "ji"),
        ("{% for m in messages %}{{ ', '.join(['a', m.role]) }}{% endfor %}", "a, user"),
        ("{% block b %}{{ 'h'.replace('h', 'j') }}{{ '-'.join('ab') }}{% endblock %}", "ja-b"),
        ("{% for m in messages %}{% block b scoped %}{{ m.content.replace('h', 'j', 1) }}{% endblock %}{% endfor %}", "ji"),
        ("{% macro f(x) %}{{ x.replace('h', 'j') }}{% endmacro %}{% for m in messages %}{{ f(m.content) }}{% endfor %}", "ji"),
        ("{% for m in messages %}{% filter replace('h', 'j') %}{{ m.content.strip('i') }}{% endfilter %}{% endfor %}", "j"),
    ],
)
def test_methods_of_text_work_in_loops_blocks_and_macros(source, written):
    assert JinjaTemplate(source).text(conversation_of([("user", "hi")])) == written


def test_what_honest_templates_do_to_long_conversations_stays_within_bounds():
    source = """{% set ns = namespace(roles=[], last=messages|length - 1) %}{% for m in messages[::-1] %}
        {%- if m.role == 'user' and 'zz' not in m.content and loop.index0 != ns.last %}{% set ns.last = loop.index0 %}{% endif %}
        {%- set ns.roles = ns.roles + [m.role] %}{% endfor %}
        {%- for m in messages %}{% set words = m.content.split('</think>')[-1].lstrip('\n') %}
        {%- if m.role not in ['user', 'assistant'] or messages[loop.index0] != m %}{{ raise_exception('no') }}{% endif %}
        {{- '<|start|>' ~ m.role ~ words|trim ~ messages[0:1]|tojson(indent=2) ~ '<|end|>' }}{% endfor %}
        {{- messages|selectattr('role', 'in', ['user'])|map(attribute='content')|join|length }}
        {{- ns.roles|unique|list|length }}"""
    turns = [("user" if i % 2 == 0 else "assistant", "hello there " * 20) for i in range(400)]
    text = JinjaTemplate(source, None, None, ("<|start|>",)).text(conversation_of(turns))
    assert text.count("<|start|>") == 400
    assert text.endswith("<|end|>480002"), "200 questions of 240 characters, and two roles"


def test_time_is_counted_over_all_renders_that_share_a_meter_and_grows_with_what_they_are_given():
    """A render that takes a third of what one may takes too much when it is repeated, and not when each has its own meter."""
    program = Program("{% for i in range(9999) %}{% for j in range(n) %}{% endfor %}{% endfor %}{{ n }}", "slow", {})
    meter = Meter()
    program.run({"n": 1}, MARKS, meter)
    with pytest.raises(InputError, match=f"computes for more than {SECONDS:g} s"):
        [program.run({"n": 1}, MARKS, meter) for _ in range(1000)]
    assert program.run({"n": 1}, MARKS).text == "1"
    swift = Program("{% for m in messages %}{{ m.content }}{% endfor %}", "swift", {})
    messages = [{"role": "user", "content": "hi"}] * 100
    meter = Meter()
    assert {swift.run({"messages": messages}, MARKS, meter).text for _ in range(300)} == {"hi" * 100}
