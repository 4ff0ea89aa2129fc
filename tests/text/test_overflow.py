"""Texts longer than a row: an instruction at either end survives, a response is never cut, nothing is made up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_jax.text.chat import DIALOGUE, INSTRUCT, Rendered, render
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.overflow import POLICIES, fit, split, trim
from instruct_jax.text.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()


def _rendered(*turns, template=INSTRUCT):
    return render(Conversation(tuple(Message(role, text) for role, text in turns)), template, TOKENIZER)


def test_trimming_cuts_the_middle_of_the_prompt_and_keeps_both_its_ends():
    rendered = _rendered(("user", "START" + "x" * 100 + "END"), ("assistant", "answer"))
    text = TOKENIZER.decode(trim(rendered, 40).tokens)
    assert text.startswith("START")
    assert text.endswith("END\nanswer")


def test_trimming_fills_the_row_to_the_last_token():
    rendered = _rendered(("user", "p" * 100), ("assistant", "answer"))
    assert trim(rendered, 41).tokens.size == 41


@given(prompt=st.text(max_size=60), answer=st.text(max_size=30), length=st.integers(1, 60))
def test_what_is_trained_is_the_same_before_and_after_trimming(prompt, answer, length):
    rendered = _rendered(("user", prompt), ("assistant", answer))
    shortened = trim(rendered, length) if rendered.tokens.size > length else rendered
    if shortened is not None:
        assert shortened.tokens.size <= length
        assert shortened.tokens[shortened.weights > 0].tolist() == rendered.tokens[rendered.weights > 0].tolist()
        assert shortened.tokens[0] == TOKENIZER.bos_id
        assert shortened.tokens[-1] == TOKENIZER.eos_id


def test_every_header_and_turn_end_survives_trimming():
    turns = [("system", "s" * 5), ("user", "u" * 50), ("assistant", "one"), ("user", "v" * 40), ("assistant", "two")]
    rendered = _rendered(*turns, template=DIALOGUE)
    shortened = TOKENIZER.decode(trim(rendered, 80).tokens)
    assert shortened.count("User: ") == 2
    assert shortened.count("Assistant:\n") == 2
    assert "sssss" in shortened, "the short prompt stays whole while longer ones are cut"
    users = [part.split("\n")[0] for part in shortened.split("User: ")[1:]]
    assert abs(len(users[0]) - len(users[1])) <= 1, "long prompts are cut to one level"


def test_the_ranges_of_a_trimmed_text_still_name_its_prompt():
    rendered = _rendered(("user", "abcdefghij"), ("assistant", "k"))
    shortened = trim(rendered, 9)
    ((start, end),) = shortened.trimmable
    assert TOKENIZER.decode(shortened.tokens[start:end]) == "abcij"


def test_a_response_that_leaves_its_prompt_no_room_is_dropped():
    rendered = _rendered(("user", "prompt"), ("assistant", "a" * 20))
    fixed = rendered.tokens.size - len("prompt")
    assert fit(rendered, fixed, "trim_prompt", document=False).outcome == "dropped"
    assert fit(rendered, fixed + 1, "trim_prompt", document=False).outcome == "trimmed"


def test_splitting_neither_adds_nor_loses_a_token_and_makes_up_no_end():
    rendered = render(Conversation((Message("text", "abcdefgh"),)), INSTRUCT, TOKENIZER)
    pieces = split(rendered, 4)
    assert np.concatenate([piece.tokens for piece in pieces]).tolist() == rendered.tokens.tolist()
    assert [TOKENIZER.eos_id in piece.tokens for piece in pieces] == [False, False, True]


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_splitting_leaves_no_piece_of_one_token(pieces):
    rendered = Rendered(np.arange(pieces * 8 + 1), np.ones(pieces * 8 + 1))
    sizes = [piece.tokens.size for piece in split(rendered, 8)]
    assert len(sizes) == pieces + 1
    assert min(sizes) > 1
    assert max(sizes) <= 8


@pytest.mark.parametrize(
    ("policy", "turns", "document"),
    [("drop", "dropped", "dropped"), ("trim_prompt", "trimmed", "split"), ("split", "dropped", "split")],
)
def test_each_policy_does_what_its_table_says(policy, turns, document):
    assert fit(_rendered(("user", "p" * 30), ("assistant", "a")), 10, policy, document=False).outcome == turns
    assert fit(render(Conversation((Message("text", "t" * 30),)), INSTRUCT, TOKENIZER), 10, policy, True).outcome == document


def test_the_error_policy_stops_at_what_is_too_long_only():
    rendered = Rendered(np.arange(5, dtype=np.int32), np.ones(5, np.float32))
    assert fit(rendered, 5, "error", document=True).outcome == "fits"
    with pytest.raises(OverflowError, match="5 tokens do not fit rows of 4"):
        fit(rendered, 4, "error", document=True)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_fits_is_left_alone_by_every_policy(policy):
    rendered = _rendered(("user", "p"), ("assistant", "a"))
    assert fit(rendered, rendered.tokens.size, policy, document=False).pieces == (rendered,)
