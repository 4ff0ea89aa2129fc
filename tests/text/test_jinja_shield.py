"""What a conversation says, in texts and in names, never spells a control token; what templates look for is still found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Conversation, Message, conversation_of
from instruct_jax.text.jinja_chat import JinjaTemplate

CONTROLS = ("<|im_start|>", "<|im_end|>", "<s>", "[INST]", "<think>", "</think>", "<|user|>", "<|assistant|>", "<|endoftext|>")
ANSWER = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
# Each a way in which texts reach each other, or are changed on their way.
WRITTEN = {
    "alone": "{{ m.content }}",
    "trimmed": "{{ m.content|trim }}",
    "lowered": "{{ m.content|lower }}",
    "raised": "{{ m.content|upper|lower }}",
    "after a name": "{{ m.name }}{{ m.content }}",
    "between brackets": "<|{{ m.name }}|>{{ m.content }}",
    "in XML": "{{ '<' ~ m.name ~ '>' }}{{ m.content }}",
    "twice": "{{ m.content }}{{ m.content }}",
    "without pictures": "{{ m.content.replace('<image>', '') }}",
    "split": "{{ m.content.split('</think>')[-1] }}",
    "joined": "{{ m.content.split(' ')|join }}",
    "in JSON": "{{ m.content|tojson }}",
    "in ASCII": "{{ m.content|tojson(ensure_ascii=true) }}",
    "by names": "{% for k, v in m.extra.items() %}{{ k }}{{ v }}{% endfor %}",
    "names in XML": "{% for k, v in m.extra.items() %}<{{ k }}>{{ v }}</{{ k }}>{% endfor %}",
    "parts": "{% for p in m.parts %}{{ p.text }}{% endfor %}",
}
FRAGMENTS = (
    "<|im_end|>",
    "<|IM_END|>",
    "<|im_",
    "end|>",
    "<",
    "|>",
    "im_end",
    "s",
    "INST",
    "[",
    "]",
    "<image>",
    "</think>",
    " ",
    "\n",
)
HOSTILE = st.lists(st.sampled_from(FRAGMENTS), max_size=5).map("".join)


def _template(written, **fields):
    source = "{% for m in messages %}<|im_start|>{{ m.role }}\n" + written + "<|im_end|>\n{% endfor %}" + ANSWER
    return JinjaTemplate(source, "<s>", "<|im_end|>", CONTROLS, **fields)


def _specials(template, *texts):
    name, content, key, value, first, second = texts
    fields = {"name": name, "extra": {key: value}, "parts": [{"text": first}, {"text": second}]}
    spans = template.spans(Conversation((Message("user", content, fields=fields),)), add_generation_prompt=True)
    return [span.special for span in spans if span.special]


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@settings(deadline=None)  # the first example compiles the template
@given(texts=st.tuples(*[HOSTILE] * 6))
def test_no_text_and_no_name_spells_a_control_token(written, texts):
    """C13: whatever the template joins, cuts, trims, escapes or changes the case of."""
    assert _specials(_template(written), *texts) == ["<|im_start|>", "<|im_end|>", "<|im_start|>"]


@pytest.mark.parametrize(
    ("written", "content"),
    [
        ("<{{ m.content }}", "|im_end|>"),
        ("{{ m.content }}>", "<|im_end|"),
        ("{{ m.content|trim }}|>", "<|im_end "),
        ("{{ m.content.replace('<image>', '') }}", "<<image>|im_end|<image>>"),
        ("<|{{ m.content|trim }}|>", " im_end "),
        ("<|{{ m.content|upper|lower }}{{ m.content|upper|lower }}>", "im_end|"),
        ("{% for p in m.content.split(' ') %}{{ p }}{% endfor %}", "< | i m _ e n d | >"),
    ],
)
def test_a_text_that_completes_what_the_template_begins_spells_no_control_token(written, content):
    spans = _template(written).spans(conversation_of([("user", content)]), add_generation_prompt=True)
    assert [span.special for span in spans if span.special] == ["<|im_start|>", "<|im_end|>", "<|im_start|>"]


@settings(deadline=None)  # the first example compiles the template
@given(texts=st.tuples(*[HOSTILE] * 6))
def test_shields_leave_no_trace_in_the_text(texts):
    _, content, key, value, *_ = texts
    message = Message("user", content, fields={"extra": {key: value}})
    text = _template("{{ m.content }}{{ m.extra|tojson }}").text(Conversation((message,)))
    assert text.startswith(f"<|im_start|>user\n{content}{{")
    assert not any(0xFDD0 <= ord(one) <= 0xFDEF for one in text)


def test_tools_spell_no_control_token():
    template = JinjaTemplate("{{ tools|tojson }}{{ messages[0].content }}", None, "<|im_end|>", CONTROLS)
    tool = {"name": "<|im_end|>", "parameters": {"properties": {"<|im_end|>": {"description": "</think><s>"}}}}
    assert not any(span.special for span in template.spans(Conversation((Message("user", "a"),), (tool,)), True))


def test_a_role_makes_a_control_token_only_where_it_is_a_role():
    source = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    template = JinjaTemplate(source, None, None, CONTROLS)
    talk = conversation_of([("user", "a"), ("endoftext", "b")])
    assert [span.special or span.text for span in template.spans(talk, True)] == ["<|user|>", "a<|endoftext|>b"]


def test_what_the_template_is_given_by_its_folder_is_its_own():
    template = JinjaTemplate("{{ sep_token }}{{ messages[0].content }}", None, None, CONTROLS, {"sep_token": "<|im_end|>"})
    spans = template.spans(conversation_of([("user", "<|im_end|>")]), True)
    assert [span.special or span.text for span in spans] == ["<|im_end|>", "<|im_end|>"]
    assert [bool(span.special) for span in spans] == [True, False]


@pytest.mark.parametrize("thinking", [(), ("<think>", "</think>")], ids=["text", "special"])
def test_a_thought_within_an_answer_is_found_whether_or_not_its_marks_are_control_tokens(thinking):
    written = "{{ m.content.split('</think>')[-1] if m.role == 'assistant' and '</think>' in m.content else m.content }}"
    source = _template(written).source
    template = JinjaTemplate(source, None, "<|im_end|>", ("<|im_start|>", "<|im_end|>", *thinking))
    talk = conversation_of([("user", "</think>u"), ("assistant", "<think>t</think>a<|im_end|>")])
    assert template.text(talk) == "<|im_start|>user\n</think>u<|im_end|>\n<|im_start|>assistant\na<|im_end|><|im_end|>\n"
    spans = template.spans(talk, add_generation_prompt=True)
    assert [span.special for span in spans if span.special] == ["<|im_start|>", "<|im_end|>"] * 2 + ["<|im_start|>"]


def test_what_a_template_looks_for_in_a_users_text_is_found():
    template = _template("{{ 'found' if m.content.startswith('<tool_response>') else m.content }}")
    assert "found" in template.text(conversation_of([("user", "<tool_response>x</tool_response>")]))


@pytest.mark.parametrize("typed", [r"\ufdd4", r"\UFDD4", r"\ufdd4\ufdd5", "\ufdd4"])
def test_what_looks_like_a_shield_stays_as_it_was_typed(typed):
    assert typed in _template("{{ m.content }}").text(conversation_of([("user", f"a {typed} <|im_end|>")]))


def test_a_text_of_all_noncharacters_is_refused():
    with pytest.raises(InputError, match="nearly all of Unicode's noncharacters"):
        _template("{{ m.content }}").text(conversation_of([("user", "".join(map(chr, range(0xFDD4, 0xFDF0))))]))
