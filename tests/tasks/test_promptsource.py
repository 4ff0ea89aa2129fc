"""promptsource's YAML: templates with their metadata, rendered as Jinja itself renders them, in bounds."""

import collections
import json
import random

import jinja2
import pytest
import yaml

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.promptsource import load_promptsource
from instruct_jax.tasks.instruct import Instruct
from instruct_jax.text.jinja_template import JinjaTemplate
from instruct_jax.text.templates import Instance, Template

FILE = """
dataset: weather
subset: towns
templates:
  1f: !Template
    answer_choices: No ||| Yes
    id: 1f
    jinja: "Report: {{ report }}\\n\\nDid it rain in {{town}}? {maybe} |||\\n{{ answer_choices[label] }}"
    metadata: !TemplateMetadata
      choices_in_prompt: false
      languages: [en]
      metrics: [Accuracy]
      original_task: true
    name: rain
    reference: "A made-up paper"
  2f: !Template
    answer_choices: null
    id: 2f
    jinja: "Write a report on {{town}}. ||| {{report}}"
    metadata: !TemplateMetadata
      languages: [fr, en]
      metrics: [ROUGE, BLEU]
      original_task: false
    name: turned round
    reference: ''
  3f: !Template
    answer_choices: "dry ||| {{'wet' if label else 'damp'}}"
    id: 3f
    jinja: |-
      {% if tags | length > 1 %}
      Of {{ tags | join(", ") }}, is {{ town | upper }} {{ answer_choices | join(" or ") }}?
      |||
      {{ answer_choices[label] }}
      {% endif %}
    metadata: !TemplateMetadata
      choices_in_prompt: true
      metrics: [Accuracy]
      original_task: true
    name: conditions
    reference: ''
"""
RECORDS = [
    {"report": " It poured. ||| Twice. ", "town": "Rome", "label": 1, "tags": ["a", "b"]},
    {"report": "Sun {all} day.", "town": "Bergen", "label": 0, "tags": ["c"]},
]


@pytest.fixture
def file(tmp_path):
    (tmp_path / "templates.yaml").write_text(FILE)
    return tmp_path / "templates.yaml"


def reference(entry, record):
    """What promptsource does with a template: render the choices, render the Jinja, part it at the bars, strip the parts."""
    environment = jinja2.Environment(keep_trailing_newline=False)
    protected = {name: value.replace("|||", "\0") if isinstance(value, str) else value for name, value in record.items()}
    choices = entry.get("answer_choices")
    if choices:
        rendered = environment.from_string(choices).render(**protected)
        protected["answer_choices"] = [choice.strip() for choice in rendered.split("|||")]
    written = environment.from_string(entry["jinja"]).render(**protected)
    return [part.replace("\0", "|||").strip() for part in written.split("|||")]


def entries():
    content = yaml.safe_load(FILE.replace("!TemplateMetadata", "").replace("!Template", ""))
    return {entry["name"]: entry for entry in content["templates"].values()}


def test_templates_come_with_their_metadata(file):
    found = load_promptsource(file)
    rain, turned, conditions = found.templates
    assert (found.dataset, found.subset) == ("weather", "towns")
    assert found.metrics == {"rain": ("Accuracy",), "turned round": ("ROUGE", "BLEU"), "conditions": ("Accuracy",)}
    assert found.scorers() == ("exact_match", "rouge_l", "bleu")
    assert isinstance(rain, Template)
    assert (rain.choices, rain.original_task, rain.language, rain.reference) == (("No", "Yes"), True, "en", "A made-up paper")
    assert isinstance(turned, Template)
    assert (turned.choices, turned.original_task, turned.language) == (None, False, "fr")
    assert isinstance(conditions, JinjaTemplate)
    assert (conditions.shows_options, conditions.original_task) == (True, True)


@pytest.mark.parametrize("record", RECORDS)
def test_a_template_reads_as_promptsource_writes_it(file, record):
    for template in load_promptsource(file).templates:
        expected = reference(entries()[template.id], record)
        if len(expected) < 2:
            with pytest.raises(InputError, match="'conditions' does not apply to this record"):
                template.apply(record)
            continue
        instance = template.apply(record)
        assert [instance.prompt.strip(), instance.response.strip()] == expected


def test_the_same_template_as_jinja_and_as_plain_fields_gives_the_same_instances(file):
    plain = load_promptsource(file).templates[0]
    entry = entries()["rain"]
    jinja = JinjaTemplate("rain", entry["jinja"], entry["answer_choices"])
    for record in RECORDS:
        assert jinja.apply(record) == plain.apply(record)
    assert jinja.apply(RECORDS[0]) == Instance(
        "Report:  It poured. ||| Twice. \n\nDid it rain in Rome? {maybe}", "Yes", ("No", "Yes")
    )


def test_imported_templates_stand_in_an_instruction_task(file):
    found = load_promptsource(file)
    instruct = Instruct(found.templates, "weather", found.dataset, found.scorers())
    worn = collections.Counter()
    for number in range(60):
        record = {**RECORDS[0], "report": str(number)}
        template = instruct.wording(record, seed=0, epoch=0, among=instruct.trainable())
        worn[template] += 1
        assert instruct.instance(record, template).response
    assert set(worn) == {0, 1, 2}
    other = Instruct(found.templates[:2], "weather", found.dataset, found.scorers())
    assert instruct.fingerprint() != other.fingerprint()


def test_what_promptsource_draws_the_record_decides():
    template = JinjaTemplate("t", '{{ ["a", "b", "c"] | choice }} {{ n }} ||| {{ [1, 2, 2] | most_frequent | first }}')
    prompts = [template.apply({"n": n}).prompt for n in range(60)]
    assert prompts == [template.apply({"n": n}).prompt for n in range(60)]
    assert {prompt[0] for prompt in prompts} == {"a", "b", "c"}
    assert template.apply({"n": 0}).response == "2"


@pytest.mark.parametrize(
    ("jinja", "choices", "message"),
    [
        ("{{ wrod }} ||| b", None, "names the field 'wrod', which the record lacks; it has: n, word"),
        ("a", None, "'t' does not apply to this record"),
        ("a ||| {{ n.__class__ }}", None, "template 't'"),
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}{{ word }}{% endfor %}{% endfor %} ||| b",
            None,
            "template 't'.*computes for more than",
        ),
        ("a ||| {{ word }}", "x ||| y", r"the response 'w' is not among the options \['x', 'y'\]"),
    ],
)
def test_a_template_that_fails_on_a_record_is_named(jinja, choices, message):
    with pytest.raises(InputError, match=message):
        print(JinjaTemplate("t", jinja, choices).apply({"word": "w", "n": 1}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("templates: [", "is not valid YAML"),
        ("a: 1", "is no templates.yaml of promptsource"),
        ("templates: {a: !Template {name: x}}", "template a: field 'jinja': expected text, got nothing"),
        ("templates: {a: !Template {name: x, jinja: '{% if'}}", "template a: template 'x', line 1"),
        ("templates: {a: !Template {name: x, jinja: a, metadata: {languages: en}}}", r"'metadata\.languages': expected a list"),
        ("templates: {a: !Template {name: x, jinja: a}, b: !Template {name: x, jinja: b}}", "the name 'x' is there twice"),
        ("templates: {a: !Template 3}", "is not valid YAML"),
        ("templates: !!python/object/apply:os.system [ls]", "is not valid YAML"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(tmp_path, content, message):
    (tmp_path / "templates.yaml").write_text(content)
    with pytest.raises(InputError, match=message) as raised:
        load_promptsource(tmp_path / "templates.yaml")
    assert "\n" not in str(raised.value)


def test_damaged_files_are_refused_or_read_and_never_fail_otherwise(tmp_path):
    drawn = random.Random(0)
    for _ in range(150):
        content = bytearray(FILE.encode())
        for _ in range(drawn.randrange(1, 4)):
            content[drawn.randrange(len(content))] = drawn.choice(b'{}|%:"!\n\xff a')
        (tmp_path / "templates.yaml").write_bytes(content)
        try:
            found = load_promptsource(tmp_path / "templates.yaml")
        except InputError:
            continue
        assert found.templates
        assert json.dumps(found.scorers())
