"""The text and ids of conversations equal those of transformers' apply_chat_template, on published templates."""

import dataclasses
import datetime
import json
import re
from importlib import resources

import jinja2
import pytest

from instruct_jax.errors import InputError
from instruct_jax.text.chat import render, stop_ids
from instruct_jax.text.conversation import Conversation, conversation_of
from instruct_jax.text.jinja_chat import JinjaTemplate
from instruct_jax.text.tokenizer import load_tokenizer
from tests.text import tokenizer_shapes

transformers = pytest.importorskip("transformers")
trl = pytest.importorskip("trl")

PUBLISHED = {
    file.name.removesuffix(".jinja"): file.read_text(encoding="utf-8")
    for file in resources.files("trl").joinpath("chat_templates").iterdir()
    if file.name.endswith(".jinja")
}
# Templates of the families whose models the decoder runs, and whose mask must come out.
FAMILIES = [
    "llama3", "llama3_1", "llama3_2", "qwen2_5", "qwen3", "qwen3_instruct_2507", "gemma", "gemma3", "phi3", "phi3_5",
    "cohere", "cohere2",
]  # fmt: skip
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Wo? «ß»"}},
            "required": ["city"],
        },
    },
}
CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "weather", "arguments": {"city": "Köln"}}}
CONVERSATIONS = {
    "one question": [("user", "hi")],
    "one answer": [("user", " hi "), ("assistant", "yes\n")],
    "several turns": [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", " d")],
    "a system turn": [("system", "Be brief."), ("user", "a\n\nb"), ("assistant", "c")],
    "unicode": [("user", "🙂 zero\u200bwidth \x01 naïve 東京"), ("assistant", "e\u0301 ▁ \u2028")],
    "thinking": [
        ("user", "2+2?"),
        ("assistant", "<think>\nsum\n</think>\n\n4"),
        ("user", "and 3?"),
        ("assistant", "<think>x</think>7"),
    ],
    "markup": [("user", "<b>&amp; {{ 1 }} {% x %}</b>"), ("assistant", "'quotes' \"and\" \\ backslash")],
    "empty": [("user", ""), ("assistant", "")],
    "tools": [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "name": "weather", "tool_call_id": "abcdefghi", "content": '{"sky": "blue"}'},
        {"role": "assistant", "content": "blue"},
    ],
    "reasoning": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "because"}],
}


def _dicts(messages):
    return [one if isinstance(one, dict) else {"role": one[0], "content": one[1]} for one in messages]


def _specials(source):
    """What looks like a control token in a template."""
    found = re.findall(
        r"<\|[\w\-]+\|>|<(?:start|end)_of_(?:turn|utterance)>|<｜[^｜<>]*｜>|<\|turn>|<turn\|>|\[/?[A-Z_]+\]", source
    )
    return tuple(sorted({"<s>", "</s>", *found}))


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_text_equals_that_of_transformers(name, tmp_path):
    tokenizer_shapes.write("llama2", tmp_path)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path, local_files_only=True)
    source = PUBLISHED[name]
    today = datetime.date.today().isoformat()
    template = JinjaTemplate(source, "<s>", "</s>", _specials(source), {"unk_token": "<unk>"}, today, name=name)
    equal = 0
    for what, messages in CONVERSATIONS.items():
        for generation in (False, True):
            for tools in ([], [TOOL]):
                conversation = Conversation(conversation_of(messages).messages, tuple(tools))
                arguments = {"tools": tools or None, "add_generation_prompt": generation, "tokenize": False, "unk_token": "<unk>"}
                try:
                    expected = theirs.apply_chat_template(_dicts(messages), chat_template=source, **arguments)
                except (jinja2.TemplateError, TypeError, KeyError, AttributeError):  # what theirs refuses, ours refuses
                    with pytest.raises(InputError):
                        template.text(conversation, generation)
                    continue
                assert template.text(conversation, generation) == expected, what
                equal += 1
    assert equal >= 4


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("what", ["one answer", "several turns", "a system turn", "unicode", "markup", "tools"])
def test_what_is_trained_is_what_is_served(name, what):
    """C5, C7: prompt and trained text together are the render; nothing of the prompt is trained."""
    source = PUBLISHED[name]
    template = JinjaTemplate(source, "<s>", "</s>", _specials(source), name=name)
    conversation = conversation_of(CONVERSATIONS[what])
    if what == "a system turn" and name == "gemma":
        with pytest.raises(InputError, match="line 1: System role not supported"):
            template.spans(conversation)
        return
    if what == "tools" and "tool_calls" not in source:
        with pytest.raises(InputError, match=r"the template does not write what the turn says|roles must alternate"):
            template.spans(conversation)
        return
    answers = [index for index, message in enumerate(conversation.messages) if message.is_trained()]
    rows = ["".join(span.special or span.text for span in row if span.trained) for row in template.rows(conversation)]
    once = []
    for index in answers:
        turns = conversation.messages[: index + 1]
        alone = Conversation(tuple(dataclasses.replace(one, trained=i == index) for i, one in enumerate(turns)))
        spans = template.spans(alone)
        prompt = template.text(Conversation(turns[:-1]), True)
        trained = "".join(span.special or span.text for span in spans if span.trained)
        once.append(trained)
        assert template.text(alone).startswith(prompt + trained)
        assert turns[-1].text.strip() in trained
        assert spans[max(i for i, span in enumerate(spans) if span.trained)].special in template.stops()
    assert "".join(rows) == "".join(once)


# Their generation prompt begins a thought, which they drop from every answer: what they train is not what they serve.
UNTRAINABLE = ("deepseek_r1_distill_training", "deepseekv3_training")
MARKED = sorted(name for name in PUBLISHED if name.endswith("_training"))


@pytest.mark.parametrize("name", MARKED)
def test_marks_of_what_is_generated_are_accepted_where_they_hold_the_answers(name):
    """The mask derived from the render lies within the marks of the same render."""
    source = PUBLISHED[name]
    template = JinjaTemplate(source, "<s>", "</s>", _specials(source), date="2024-07-26", name=name)
    thought = {"reasoning_content": "because"} if name.startswith("nemotron") else {}  # their prompt begins a thought
    in_parts = name.removesuffix("_training") in ("idefics3", "llava_next", "smolvlm")
    for what in ("one answer", "several turns"):
        talk = _dicts(CONVERSATIONS[what])
        talk = [one | thought if one["role"] == "assistant" else one for one in talk]
        if in_parts:
            talk = [{**one, "content": [{"type": "text", "text": one["content"]}]} for one in talk]
        if name in UNTRAINABLE:
            with pytest.raises(InputError, match="generation prompt is no beginning of the text with the turn"):
                template.rows(conversation_of(talk))
            continue
        rows = template.rows(conversation_of(talk))
        trained = ["".join(span.special or span.text for span in row if span.trained) for row in rows]
        for role, content in CONVERSATIONS[what]:
            assert role != "assistant" or any(content.strip() in one for one in trained)


@pytest.mark.parametrize("name", ["qwen3", "qwen2_5"])
def test_ids_and_stops_equal_those_of_transformers(name, tmp_path):
    tokenizer_shapes.write("qwen", tmp_path)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path, local_files_only=True)
    ours = load_tokenizer(tmp_path)
    template = JinjaTemplate(PUBLISHED[name], ours.bos_token, ours.eos_token, ours.special_tokens, name=name)
    assert stop_ids(template, ours) == (theirs.convert_tokens_to_ids("<|im_end|>"),)
    for messages in CONVERSATIONS.values():
        expected = theirs.apply_chat_template(
            _dicts(messages), chat_template=PUBLISHED[name], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        assert render(messages, template, ours, add_generation_prompt=True).tokens.tolist() == expected
    assert json.loads(json.dumps(template.to_json()))["fingerprint"] == template.fingerprint()
