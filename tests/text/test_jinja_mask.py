"""Masks that would be wrong are refused; a history has the ids in which it was trained; long conversations take no ages."""

import dataclasses
import time

import pytest

from instruct_jax.errors import InputError
from instruct_jax.text.chat import DIALOGUE, render
from instruct_jax.text.conversation import Conversation, Message, conversation_of
from instruct_jax.text.jinja_chat import JinjaTemplate
from instruct_jax.text.tokenizer import load_tokenizer
from tests.text import tokenizer_shapes

CONTROLS = ("<|s|>", "<|e|>", "<|eom|>", "<s>", "</s>")
ANSWER = "{% if add_generation_prompt %}<|s|>assistant\n{% endif %}"
TURNS = "{% for m in messages %}<|s|>{{ m.role }}\n{{ m.content }}<|e|>\n{% endfor %}"
TALK = [("system", "sys"), ("user", "u1"), ("assistant", "a1"), ("user", "u2"), ("assistant", "a2")]
QUESTION = {"role": "user", "content": "u"}


def _template(source, **fields):
    return JinjaTemplate(source, "<s>", "</s>", CONTROLS, **fields)


def _trained(spans):
    return "".join(span.special or span.text for span in spans if span.trained)


def _marked(before, within):
    """Turns whose answers are written as `before`, then `within` marks of generation."""
    answer = before + "{% generation %}" + within + "{% endgeneration %}"
    body = "{% if m.role == 'assistant' %}" + answer + "{% else %}{{ m.content }}<|e|>{% endif %}"
    return TURNS.replace("{{ m.content }}<|e|>", body) + ANSWER


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}</s>\n{% endfor %}", "has no generation prompt"),
        (TURNS.replace("<|s|>{{ m.role }}\n", "{{ '### Answer:' if m.role == 'assistant' }}\n"), "has no generation prompt"),
        (TURNS + "{% if add_generation_prompt %}<|s|>{% endif %}", "the generation prompt ends before the role 'assistant'"),
        (TURNS.replace("<|e|>", "<|e|>{{ m.content }}<|e|>") + ANSWER, "writes what the turn says more than once"),
        (TURNS.replace("m.content", "m.content[:2] + m.content") + ANSWER, "before the turn's content depends"),
        (TURNS.replace("m.content", "m.content[:7]") + ANSWER, "to its end"),
        (
            TURNS.replace("{{ m.content", "{{ messages[loop.index0 - 1].content if m.role == 'assistant' }} {{ m.content")
            + ANSWER,
            "other turns say",
        ),
        (_marked("{{ m.content }}", "<|e|>"), "marks as generated"),
        (_marked("{{ m.content[:1] }}", "{{ m.content[1:] }}<|e|>"), "marks as generated"),
        (_marked("", "{{ m.content }}") + "<|e|>", "marks as generated|no beginning of the text"),
    ],
)
def test_a_mask_that_would_be_wrong_is_refused(source, reason):
    """C7, C9: begun in a header, run past the turn, too narrow, or filled with what others said."""
    with pytest.raises(InputError, match=f"the loss mask of turn 2 cannot be derived: .*({reason})"):
        _template(source).rows(conversation_of([(role, text * 4) for role, text in TALK]))


def test_marks_on_the_last_answer_alone_train_no_other():
    source = TURNS.replace("{{ m.content }}<|e|>", "{% if loop.last %}{% generation %}{{ m.content }}<|e|>{% endgeneration %}"
                           "{% else %}{{ m.content }}<|e|>{% endif %}") + ANSWER  # fmt: skip
    talk = conversation_of(TALK)
    with pytest.raises(InputError, match="turn 2 cannot be derived: the part that the template marks as generated"):
        _template(source).rows(talk)
    last = dataclasses.replace(talk, messages=(*talk.messages[:2], Message("assistant", "a1", False), *talk.messages[3:]))
    assert _trained(_template(source).spans(last)) == "a2<|e|>"


@pytest.mark.parametrize(
    "source",
    [
        _marked("", "{{ m.content }}<|e|>"),
        _marked("", "{{ m.content }}{% endgeneration %}{% generation %}<|e|>"),
        TURNS.replace("<|s|>{{ m.role }}", "{% generation %}<|s|>{{ m.role }}").replace("<|e|>", "<|e|>{% endgeneration %}")
        + ANSWER,
    ],
    ids=["the answer", "in two parts", "with its header"],
)
def test_marks_that_hold_the_answers_change_nothing(source):
    assert [_trained(row) for row in _template(source).rows(conversation_of(TALK))] == ["a1<|e|>a2<|e|>"]


def test_constant_text_that_the_template_puts_behind_an_answer_is_trained_as_it_will_be_served():
    source = TURNS.replace("{{ m.content }}", "{{ m.content }}{{ ' -- bot' if m.role == 'assistant' }}") + ANSWER
    assert _trained(_template(source).spans(conversation_of(TALK))) == "a1 -- bot<|e|>a2 -- bot<|e|>"


@pytest.mark.parametrize("call", [{"name": "f", "arguments": {}}, {"name": "f"}, {"name": "f", "arguments": {"n": 1}}])
def test_a_call_is_trained_whatever_its_arguments(call):
    calls = "{{ m.content or '' }}{% for c in m.tool_calls or [] %}<call>{{ c.function|tojson }}</call>{% endfor %}"
    template = _template(TURNS.replace("{{ m.content }}", calls) + ANSWER)
    spans = template.spans(
        conversation_of([QUESTION, {"role": "assistant", "content": None, "tool_calls": [{"function": call}]}])
    )
    assert _trained(spans).startswith('<call>{"name": "f"')
    assert _trained(spans).endswith("}</call><|e|>")


def test_an_answer_in_parts_is_trained():
    source = TURNS.replace("{{ m.content }}", "{% for p in m.content %}{{ p.text }}{% endfor %}") + ANSWER
    parts = [{"type": "text", "text": "p1"}, {"type": "text", "text": "p2"}]
    talk = [{"role": "user", "content": parts}, {"role": "assistant", "content": parts}]
    assert _trained(_template(source).spans(conversation_of(talk))) == "p1p2<|e|>"


def test_generation_stops_on_what_closes_calls_and_on_what_closes_turns_that_cannot_be_trained():
    ended = "{{ '<|eom|>' if m.tool_calls else '<|e|>' }}"
    calling = TURNS.replace("<|e|>", "{{ m.tool_calls|tojson if m.tool_calls }}" + ended) + ANSWER
    assert _template(calling).stops() == ("<|e|>", "<|eom|>", "</s>")
    assert _template(TURNS).stops() == ("<|e|>", "</s>")
    assert JinjaTemplate("{{ raise_exception('no') }}").stops() == ()


def test_a_template_gets_a_thought_under_the_names_that_it_asks_for_and_no_others():
    thinking = conversation_of([{"role": "assistant", "content": "a", "thinking": "b"}])
    assert JinjaTemplate("{{ messages|tojson }}").text(thinking) == '[{"role": "assistant", "content": "a", "thinking": "b"}]'
    assert JinjaTemplate("{{ messages[0].reasoning_content }}").text(thinking) == "b"


def test_a_template_that_needs_a_date_says_so():
    template = JinjaTemplate("{{ strftime_now('%d %b %Y') }}")
    with pytest.raises(InputError, match=r"writes today's date; set .*DATE.*YYYY-MM-DD"):
        template.text(conversation_of(TALK))
    assert dataclasses.replace(template, date="2024-07-26").text(conversation_of(TALK)) == "26 Jul 2024"


_SHAPED = {
    "brackets": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
        "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
    ),
    "lines": (
        "{% for m in messages %}{{ bos_token }}{{ m.role }}\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
        "{% if add_generation_prompt %}{{ bos_token }}assistant\n{% endif %}"
    ),
    "colons": (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token if m.role == 'assistant' else '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    ),
}


@pytest.mark.parametrize("shape", tokenizer_shapes.SHAPES)
def test_a_prompt_with_its_history_is_a_beginning_of_the_tokens_that_were_trained(shape, tmp_path):
    """C5, C6 over several turns: an answer has the same ids when it is trained and when a later prompt holds it."""
    tokenizer_shapes.write(shape, tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    bos = tokenizer.bos_token or ""
    jinja = [JinjaTemplate(source, bos, tokenizer.eos_token, tokenizer.special_tokens) for source in _SHAPED.values()]
    for template in (DIALOGUE, *jinja):
        for lead in ("", " ", "\n", "\n\n", "\t"):
            talk = [
                ("user", "What is it?"),
                ("assistant", f"{lead}The red kite"),
                ("user", "then?"),
                ("assistant", f"{lead}over"),
            ]
            read = [Message(role, text, trained=False) for role, text in talk]
            whole = render(talk, template, tokenizer)
            assert render(read, template, tokenizer).tokens.tolist() == whole.tokens.tolist()
            for count in (1, 3):
                prompt = render(read[:count], template, tokenizer, add_generation_prompt=True).tokens.tolist()
                assert whole.tokens[: len(prompt)].tolist() == prompt
                assert not whole.weights[len(prompt) - 1]
                assert whole.weights[len(prompt)]


def test_a_conversation_of_eighty_messages_is_derived_in_half_a_second():
    thinking = "{{ '<think>\n\n</think>\n\n' if m.role == 'assistant' and loop.last }}{{ m.content }}"
    talk = conversation_of([("user", "hello " * 20), ("assistant", "yes " * 20)] * 40)
    for source, count in ((TURNS + ANSWER, 1), (TURNS.replace("{{ m.content }}", thinking) + ANSWER, 40)):
        start = time.process_time()
        assert len(_template(source).rows(talk)) == count
        assert time.process_time() - start < 1.5  # a third of it on a machine at rest


def test_an_empty_answer_is_its_end_alone():
    assert _trained(_template(TURNS + ANSWER).spans(Conversation((Message("user", "u"), Message("assistant", ""))))) == "<|e|>"
