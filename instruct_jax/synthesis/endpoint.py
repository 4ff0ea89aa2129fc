"""A generator behind an OpenAI-compatible server: a few requests at a time, each tried again when the server is busy."""

import concurrent.futures
import dataclasses
import json
import os
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from rich.console import Console

from instruct_jax.errors import InputError
from instruct_jax.progress import say
from instruct_jax.synthesis.generator import Completion, Decoding, Generator
from instruct_jax.synthesis.replies import Reply, read_reply

# Statuses that mean "later": timeouts, too many requests, and faults of the server's own.
_LATER = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_SHOWN = 200  # characters of a server's own words in an error
_SILENT_S = 10.0  # seconds after which a request that is tried again says so


@dataclasses.dataclass(frozen=True)
class Endpoint(Generator):
    """A server that speaks the OpenAI API: POST /chat/completions, or /completions for a base model.

    Attributes:
      url: up to and with the version, as in "http://localhost:8000/v1".
      model: the name that the server knows it by.
      chat: whether a prompt is asked as a user's turn; False: the model goes on from it as it stands.
      api_key_variable: name of the environment variable that holds the key, which is read at each request and kept nowhere;
        None for a server that wants no key.
      threads: requests at a time.
      timeout_s: seconds that a server may be silent, and seconds from the beginning of its answer to the end.
      tries: times a request is made before the work stops.
      first_wait_s: seconds before the second try, doubled before each further one; where the server's Retry-After says
        when to come back, that is obeyed instead.
      longest_wait_s: at most so many seconds before a try; a server that wants more stops the work, which can go on later.
      more: further fields of a request, such as {"top_k": 20}; one with the value None takes a field away.
    """

    url: str
    model: str
    chat: bool = True
    api_key_variable: str | None = None
    threads: int = 4
    timeout_s: float = 120.0
    tries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        try:
            parts = urllib.parse.urlsplit(self.url)
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # brackets without an address, a port that is none
            known = False
        if not known:
            raise InputError(f"the endpoint {self.url!r} is no URL; expected one like http://localhost:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InputError(
                f"the endpoint's URL for {parts.hostname} carries more than an address; give a key by the name of an "
                "environment variable, API_KEY_VARIABLE"
            )
        if self.threads < 1 or self.tries < 1:
            raise InputError(f"an endpoint needs at least one thread and one try; got {self.threads} and {self.tries}")

    def complete(self, prompts: Sequence[str], decoding: Decoding, stop: Sequence[str] = (), seed: int = 0) -> list[Completion]:
        """See `Generator.complete`.

        Raises:
          InputError: nothing listens there, the key or the model is refused, an answer is no completion, or the server
            stays busy for all tries.
        """
        ended = threading.Event()  # so that no thread goes on asking once the others have failed or were interrupted
        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            asked = [pool.submit(self._one, prompt, decoding, stop, seed + place, ended) for place, prompt in enumerate(prompts)]
            try:
                done, _ = concurrent.futures.wait(asked, return_when=concurrent.futures.FIRST_EXCEPTION)
                if failed := [error for one in done if (error := one.exception())]:
                    raise failed[0]
                return [one.result() for one in asked]
            finally:
                ended.set()
                for one in asked:
                    one.cancel()

    def name(self) -> str:
        """The model's name at the server."""
        return self.model

    def identity(self) -> dict[str, Any]:
        """The model's name and how it is asked; neither the key nor the address, at which a server may stand elsewhere later."""
        return {"kind": "endpoint", "model": self.model, "chat": self.chat, "more": dict(self.more)}

    @property
    def _address(self) -> str:
        return self.url.rstrip("/") + ("/chat/completions" if self.chat else "/completions")

    def _one(self, prompt: str, decoding: Decoding, stop: Sequence[str], seed: int, ended: threading.Event) -> Completion:
        fields, start = self._request(prompt, decoding, stop, seed), time.monotonic()
        for tried in range(1, self.tries + 1):
            wait = min(self.first_wait_s * 2 ** (tried - 1), self.longest_wait_s)
            try:
                reply = self._reply(fields)
            except requests.exceptions.Timeout:
                trouble = f"gave no answer within {self.timeout_s:g} s"
            except requests.exceptions.ConnectionError as error:
                if _refused(error):
                    raise InputError(
                        f"nothing listens at {self._address}; start the server or mend ENDPOINT, and run again: the work goes on "
                        "where it stopped"
                    ) from None
                trouble = "broke the connection"
            except requests.exceptions.RequestException as error:
                raise InputError(f"{self._address} cannot be asked: {self._words(str(error))}; mend ENDPOINT") from None
            else:
                if reply.filtered:
                    return Completion("", "content_filter")
                if reply.status == 200:
                    return self._completion(reply, stop)
                trouble = f"answered {reply.status}: {self._words(reply.trouble)}"
                if reply.status not in _LATER:
                    raise InputError(f"{self._address} {trouble}; {self._advice(reply)}")
                wait = self._wait(reply, wait)
            if tried < self.tries:
                if time.monotonic() - start + wait > _SILENT_S:
                    say(Console(), f"{self._address} {trouble}; trying again in {wait:.0f} s")
                if ended.wait(wait):
                    break
        raise InputError(f"{self._address} {trouble}, {tried} times; run again later: the work goes on where it stopped")

    def _reply(self, fields: Mapping[str, Any]) -> Reply:
        with requests.post(
            self._address, json=fields, auth=_Bearer(self._key()), timeout=self.timeout_s, allow_redirects=False, stream=True
        ) as response:
            return read_reply(response, self.timeout_s)

    def _request(self, prompt: str, decoding: Decoding, stop: Sequence[str], seed: int) -> dict[str, Any]:
        fields = {
            "model": self.model,
            **({"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}),
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature or 0.0,  # the API's own spelling of greedy
            "top_p": decoding.top_p,
            "presence_penalty": decoding.presence_penalty,
            "stop": list(stop) or None,
            "seed": seed,
            **self.more,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _key(self) -> str | None:
        if self.api_key_variable is None:
            return None
        if not (key := os.environ.get(self.api_key_variable, "").strip()):
            raise InputError(f"the environment variable {self.api_key_variable} holds no key; set it to the server's API key")
        if not all("!" <= character <= "~" for character in key):  # what refuses such a header would show it
            raise InputError(
                f"the environment variable {self.api_key_variable} holds what no key can be: white space or characters that are "
                "not of ASCII; set it to the server's API key"
            )
        return key

    def _completion(self, reply: Reply, stop: Sequence[str]) -> Completion:
        if (found := reply.completion(self.chat, stop)) is None:
            raise InputError(
                f"{self._address} answered with what is no completion: {self._words(reply.text)!r}; "
                "give the address of an OpenAI-compatible server, CHAT as it needs"
            )
        return found

    def _wait(self, reply: Reply, planned: float) -> float:
        """Seconds until the next try.

        Raises:
          InputError: the server wants more of them than may be waited.
        """
        if reply.retry_after is None:
            return planned
        if reply.retry_after > self.longest_wait_s:
            raise InputError(
                f"{self._address} answered {reply.status} and wants {reply.retry_after:.0f} s of rest, more than "
                f"{self.longest_wait_s:g}; run again then: the work goes on where it stopped"
            )
        return reply.retry_after

    def _advice(self, reply: Reply) -> str:
        if reply.status in (401, 403):
            wanted = self.api_key_variable or "an environment variable, and name it in API_KEY_VARIABLE"
            return f"put the server's API key into {wanted}"
        if reply.status == 404:
            return f"check ENDPOINT, CHAT and that the server has the model {self.model!r}"
        if 300 <= reply.status < 400:
            return f"it sends on to {self._words(reply.location)}: give the address that answers itself as ENDPOINT"
        return "mend the request's dials"

    def _words(self, text: str) -> str:
        """A server's words on one line, the key crossed out wherever it repeats it."""
        if key := os.environ.get(self.api_key_variable or "", "").strip():
            for spelling in (key, json.dumps(key)[1:-1]):
                text = text.replace(spelling, "***")
        return " ".join(text.split())[:_SHOWN] or "nothing"


class _Bearer(requests.auth.AuthBase):
    """The key as a header; given as `auth`, so that no password file of the user's takes its place."""

    def __init__(self, key: str | None):
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _refused(error: BaseException) -> bool:
    """Whether nothing listens, or no such host is known, rather than a connection lost on the way."""
    text = str(error)
    return "Connection refused" in text or "Name or service not known" in text or "NameResolutionError" in text
