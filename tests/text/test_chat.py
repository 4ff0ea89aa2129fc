"""The one renderer: ids and loss from the same spans, one bos, a trained turn end, a seam that serving shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_jax.errors import InputError
from instruct_jax.text.chat import BARE, BUILT_IN, DIALOGUE, INSTRUCT, TurnTemplate, render, stop_ids
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()
TURNS = st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), min_size=1, max_size=3)


def _conversation(turns, system=None):
    messages = [] if system is None else [Message("system", system)]
    for question, answer in turns:
        messages += [Message("user", question), Message("assistant", answer)]
    return Conversation(tuple(messages))


@pytest.mark.parametrize("template", BUILT_IN.values(), ids=lambda template: template.name)
@given(turns=TURNS, system=st.one_of(st.none(), st.text(max_size=8)))
def test_the_trained_tokens_are_the_answers_and_their_ends_and_nothing_else(template, turns, system):
    """C2, C7, C8: the three-way check. Too narrow, begun in the header, or run past the turn would all differ."""
    rendered = render(_conversation(turns, system), template, TOKENIZER)
    expected = [i for _, answer in turns for i in (*TOKENIZER.encode(answer), TOKENIZER.eos_id)]
    assert rendered.tokens[rendered.weights > 0].tolist() == expected


@pytest.mark.parametrize("template", BUILT_IN.values(), ids=lambda template: template.name)
@given(turns=TURNS)
def test_the_generation_prompt_is_a_strict_prefix_of_what_is_trained(template, turns):
    """C5, C6: prompt and response meet at the same ids in training and in serving."""
    whole = _conversation(turns)
    prompt = render(Conversation(whole.messages[:-1]), template, TOKENIZER, add_generation_prompt=True).tokens
    trained = render(whole, template, TOKENIZER).tokens
    assert prompt.size < trained.size
    assert trained[: prompt.size].tolist() == prompt.tolist()
    assert trained[prompt.size :].tolist() == [*TOKENIZER.encode(turns[-1][1]), TOKENIZER.eos_id]


@pytest.mark.parametrize("template", BUILT_IN.values(), ids=lambda template: template.name)
@pytest.mark.parametrize("generation", [False, True])
def test_there_is_exactly_one_bos_and_it_comes_first(template, generation):
    conversation = Conversation((Message("system", "s"), Message("user", "<s>u</s>")))
    tokens = render(conversation, template, TOKENIZER, add_generation_prompt=generation).tokens
    assert np.flatnonzero(tokens == TOKENIZER.bos_id).tolist() == [0]


def test_a_template_without_bos_adds_none():
    template = TurnTemplate("bosless", bos=False)
    assert TOKENIZER.bos_id not in render(_conversation([("a", "b")]), template, TOKENIZER).tokens


def test_generation_stops_on_the_token_that_training_ends_turns_with():
    for template in (INSTRUCT, DIALOGUE, BARE):
        assert stop_ids(template, TOKENIZER) == (render(_conversation([("a", "b")]), template, TOKENIZER).tokens[-1],)


@given(text=st.sampled_from(["</s>", "<s>", "<|eos|>", "<|im_end|>", "a</s>b"]))
def test_special_token_text_in_user_data_stays_text(text):
    """C13: no control id comes from what a user wrote, and the text is there as written."""
    tokens = render(_conversation([(text, text)]), INSTRUCT, TOKENIZER).tokens
    assert tokens.tolist().count(TOKENIZER.eos_id) == 1
    assert tokens[-1] == TOKENIZER.eos_id
    assert TOKENIZER.decode(tokens) == f"{text}\n{text}"


def test_a_message_can_be_left_untrained_and_system_and_user_turns_never_are_trained():
    messages = (
        Message("system", "s"),
        Message("user", "u"),
        Message("assistant", "first", trained=False),
        Message("user", "v", trained=True),
        Message("assistant", "second"),
    )
    rendered = render(Conversation(messages), DIALOGUE, TOKENIZER)
    assert TOKENIZER.decode(rendered.tokens[rendered.weights > 0]) == "second"


def test_a_plain_document_is_trained_on_every_token_but_the_bos():
    rendered = render(Conversation((Message("text", "abc"),)), INSTRUCT, TOKENIZER)
    assert rendered.tokens.tolist() == [1, *TOKENIZER.encode("abc"), 2]
    assert rendered.weights.tolist() == [0, 1, 1, 1, 1]


@given(turns=TURNS)
def test_what_may_be_shortened_is_the_users_text_and_nothing_else(turns):
    rendered = render(_conversation(turns), DIALOGUE, TOKENIZER)
    spans = [TOKENIZER.decode(rendered.tokens[start:end]) for start, end in rendered.trimmable]
    assert spans == [question for question, _ in turns if question]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ((), "without messages"),
        ((Message("robot", "x"),), "unknown role 'robot'"),
        ((Message("user", "x"), Message("text", "y")), "stands alone"),
    ],
)
def test_conversations_that_cannot_be_are_refused(messages, message):
    with pytest.raises(InputError, match=message):
        render(Conversation(messages), INSTRUCT, TOKENIZER)


def test_a_control_token_that_the_tokenizer_lacks_is_named():
    template = TurnTemplate("chatml", before=(("user", "<|im_start|>user\n"),))
    with pytest.raises(InputError, match=r"'chatml' needs the control token '<\|im_start\|>'"):
        render(_conversation([("a", "b")]), template, TOKENIZER)


def test_the_fingerprint_covers_every_field():
    changed = [
        TurnTemplate("instruct", INSTRUCT.before, INSTRUCT.after, bos=False),
        TurnTemplate("instruct", (("assistant", " "),), INSTRUCT.after),
        TurnTemplate("instruct", INSTRUCT.before, (("assistant", "<|eos|>\n"),)),
    ]
    assert len({template.fingerprint() for template in (INSTRUCT, *changed)}) == 4
    assert TurnTemplate("other", INSTRUCT.before, INSTRUCT.after).fingerprint() == INSTRUCT.fingerprint()
