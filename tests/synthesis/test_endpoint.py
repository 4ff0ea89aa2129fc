"""An endpoint speaks both forms of the API, comes back when told to, and says in a line what waiting cannot mend."""

import json
import time

import pytest

from instruct_jax.errors import InputError
from instruct_jax.synthesis import endpoint
from instruct_jax.synthesis.generator import Decoding
from tests.synthesis.stub_server import answer

DECODING = Decoding(7, 0.7, 0.5, 2.0)
PROMPTS = ["Task: Decide a\nClassification:", "Task: Name b\nClassification:", "1. x\n2."]
KEY = "sk-made-up-0123"


def good(text="fine", **more):
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}], **more})


@pytest.mark.parametrize(("chat", "path"), [(True, "/v1/chat/completions"), (False, "/v1/completions")])
def test_both_forms_carry_the_decoding_and_give_the_completions_in_order(server, make_endpoint, chat, path):
    found = make_endpoint(chat=chat, more={"top_k": 20, "presence_penalty": None}).complete(PROMPTS, DECODING, ("\n\n",), seed=5)
    assert [(one.text, one.finish_reason) for one in found] == [answer(prompt, 5 + n) for n, prompt in enumerate(PROMPTS)]
    assert [one.prompt_tokens for one in found] == [len(prompt.split()) for prompt in PROMPTS]
    assert {asked[0] for asked in server.asked} == {path}
    fields = next(fields for _, _, fields in server.asked if fields["seed"] == 5)
    prompt = fields.pop("messages")[0]["content"] if chat else fields.pop("prompt")
    assert prompt == PROMPTS[0]
    expected = {"model": "stub", "max_tokens": 7, "temperature": 0.7, "top_p": 0.5, "stop": ["\n\n"], "seed": 5, "top_k": 20}
    assert fields == expected


def test_threads_change_no_completion(make_endpoint):
    prompts = [f"Task: {n}\nExample 1" for n in range(9)]
    assert make_endpoint(threads=4).complete(prompts, DECODING) == make_endpoint(threads=1).complete(prompts, DECODING)


def test_greedy_is_the_temperature_of_zero_and_unset_fields_stay_out(server, make_endpoint):
    make_endpoint().complete(PROMPTS[:1], Decoding(3))
    assert set(server.asked[0][2]) == {"model", "messages", "max_tokens", "temperature", "seed"}
    assert server.asked[0][2]["temperature"] == 0


def test_a_stop_that_the_server_does_not_know_ends_the_text_all_the_same(server, make_endpoint):
    server.faults = [(200, {}, good("one STOP two"))]
    assert make_endpoint().complete(PROMPTS[:1], DECODING, ("STOP",))[0].text == "one "


def test_half_of_a_surrogate_pair_is_no_text(server, make_endpoint):
    server.faults = [(200, {}, '{"choices": [{"message": {"content": "a\\ud83d"}}]}')]
    (found,) = make_endpoint().complete(PROMPTS[:1], DECODING)
    assert found.text == "a?"
    assert found.tokens is None


DRIBBLE = (200, {}, [" "] * 40 + [good()])
BROKEN = (200, {"Content-Length": 999}, good())
OVERLOADED = (200, {}, '{"error": {"message": "overloaded", "code": 429}}')


@pytest.mark.parametrize(
    "fault",
    [(429, {}, "slow down"), (500, {}, ""), (503, {"Retry-After": "0"}, ""), 0.5, DRIBBLE, BROKEN, OVERLOADED],
    ids=["429", "500", "503", "silent", "a byte now and then", "cut", "an error with a status of 200"],
)
def test_what_passes_by_waiting_is_tried_again(server, make_endpoint, fault):
    server.faults = [fault, fault]
    (found,) = make_endpoint(timeout_s=0.2).complete(PROMPTS[:1], DECODING)
    assert found.text == answer(PROMPTS[0], 0)[0]
    assert len(server.asked) == 3


def test_the_server_says_when_to_come_back(server, make_endpoint):
    server.faults = [(429, {"Retry-After": "0.4"}, "")]
    start = time.monotonic()
    make_endpoint(first_wait_s=0.0).complete(PROMPTS[:1], DECODING)
    assert time.monotonic() - start >= 0.4
    server.faults = [(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, "")]
    start = time.monotonic()
    make_endpoint(first_wait_s=30.0).complete(PROMPTS[:1], DECODING)
    assert time.monotonic() - start < 10


def test_a_server_that_wants_a_long_rest_stops_the_work(server, make_endpoint):
    server.faults = [(429, {"Retry-After": "3600"}, "")]
    with pytest.raises(InputError, match="wants 3600 s of rest, more than 120"):
        make_endpoint().complete(PROMPTS[:1], DECODING)


def test_a_server_that_stays_busy_stops_the_work(server, make_endpoint):
    server.faults = [(500, {}, '{"error": {"message": "out of memory"}}')] * 3
    with pytest.raises(InputError, match="answered 500: out of memory, 3 times; run again later"):
        make_endpoint(tries=3).complete(PROMPTS[:1], DECODING)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ((401, {}, json.dumps({"error": {"message": f"wrong key {KEY}"}})), r"401: wrong key \*\*\*; put .* into STUB_KEY"),
        ((404, {}, "no such\nmodel"), "404: no such model; check ENDPOINT, CHAT and that the server has the model 'stub'"),
        ((400, {}, '{"error": "too long"}'), "400: too long; mend"),
        (
            (302, {"Location": "http://127.0.0.1:1/v2"}, ""),
            r"answered 302: nothing; it sends on to http://127\.0\.0\.1:1/v2: give",
        ),
        ((200, {}, '{"error": "no such model"}'), "answered 400: no such model; mend"),
        ((200, {}, "[" * 100_000), "no completion"),
        ((200, {}, '{"hello": 1}'), "no completion"),
        ((200, {}, "<html>"), "answered with what is no completion: '<html>'"),
        ((200, {}, '{"choices": []}'), "no completion"),
        ((200, {}, '{"choices": [{"text": "of the other form"}]}'), "no completion"),
        ((200, {}, "[1]"), "no completion"),
    ],
)
def test_what_waiting_does_not_mend_is_told_in_one_line_without_the_key(server, make_endpoint, monkeypatch, fault, message):
    monkeypatch.setenv("STUB_KEY", KEY)
    server.faults = [fault]
    with pytest.raises(InputError, match=message) as caught:
        make_endpoint(api_key_variable="STUB_KEY").complete(PROMPTS[:1], DECODING)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    assert server.asked[0][1]["Authorization"] == f"Bearer {KEY}"
    assert len(server.asked) == 1


def test_the_key_is_read_at_each_request_and_is_no_part_of_the_endpoint(make_endpoint, monkeypatch):
    monkeypatch.setenv("STUB_KEY", KEY)
    keyed = make_endpoint(api_key_variable="STUB_KEY")
    keyed.complete(PROMPTS[:1], DECODING)
    assert KEY not in repr(keyed) + json.dumps(keyed.identity())
    monkeypatch.delenv("STUB_KEY")
    with pytest.raises(InputError, match="STUB_KEY holds no key"):
        keyed.complete(PROMPTS[:1], DECODING)


@pytest.mark.parametrize("key", ["sk-made\nup", "sk-ключ", "two words"])
def test_what_no_header_can_carry_is_not_shown(server, make_endpoint, monkeypatch, key):
    """The libraries below would show it in their error."""
    monkeypatch.setenv("STUB_KEY", key)
    with pytest.raises(InputError, match="STUB_KEY holds what no key can be") as caught:
        make_endpoint(api_key_variable="STUB_KEY").complete(PROMPTS[:1], DECODING)
    assert key not in str(caught.value)
    assert not server.asked


def test_a_prompt_that_the_servers_filter_turns_down_is_cut_and_does_not_end_the_work(server, make_endpoint):
    server.faults = [(400, {}, '{"error": {"message": "The prompt was filtered", "code": "content_filter"}}')]
    first, second = make_endpoint(threads=1).complete(PROMPTS[:2], DECODING)
    assert (first.text, first.finish_reason, first.cut) == ("", "content_filter", True)
    assert second.text == answer(PROMPTS[1], 1)[0]


def test_a_request_that_waits_long_says_so(server, make_endpoint, monkeypatch, capsys):
    monkeypatch.setattr(endpoint, "_SILENT_S", 0.2)
    server.faults = [(503, {}, "")] * 2
    make_endpoint(first_wait_s=0.15, timeout_s=9.0).complete(PROMPTS[:1], DECODING)
    assert capsys.readouterr().out == f"{server.url}/chat/completions answered 503: nothing; trying again in 0 s\n"


def test_where_nothing_listens_is_told_at_once(make_endpoint):
    with pytest.raises(InputError, match=r"nothing listens at http://127\.0\.0\.1:1/chat/completions; start the server"):
        make_endpoint(url="http://127.0.0.1:1", first_wait_s=60.0).complete(PROMPTS[:1], DECODING)


URLS = ("localhost:8000", "ftp://x/v1", "", "http://host:99999/v1", "http://[1/v1")
SECRETS = ("http://name:secret@host/v1", "http://host/v1?key=secret", "http://host/v1#secret")


@pytest.mark.parametrize("url", [*URLS, *SECRETS])
def test_a_url_is_an_address_and_nothing_else(make_endpoint, url):
    with pytest.raises(InputError) as caught:
        make_endpoint(url=url)
    assert "secret" not in str(caught.value)


def test_one_refusal_ends_the_requests_that_wait_behind_it(server, make_endpoint):
    server.faults = [(404, {}, "")] * 50
    with pytest.raises(InputError, match="404"):
        make_endpoint(threads=1).complete([f"{n}\n1." for n in range(50)], DECODING)
    assert len(server.asked) < 10


def test_one_refusal_ends_the_waiting_of_the_others(server, make_endpoint):
    server.faults = [(503, {"Retry-After": "60"}, ""), (404, {}, "")]
    start = time.monotonic()
    with pytest.raises(InputError, match="404"):
        make_endpoint(threads=2).complete(PROMPTS[:2], DECODING)
    assert time.monotonic() - start < 10
