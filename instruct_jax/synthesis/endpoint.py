"""A generator behind an OpenAI-compatible server: a few requests at a time, each tried again when the server is busy."""

import concurrent.futures
import dataclasses
import email.utils
import json
import os
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import requests

from instruct_jax.errors import InputError
from instruct_jax.synthesis.generator import Completion, Decoding, Generator, before_stop

# Statuses that mean "later": timeouts, too many requests, and faults of the server's own.
_LATER = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_SHOWN = 200  # characters of a server's own words in an error


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
      timeout_s: seconds a request may take.
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
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"the endpoint {self.url!r} is no URL; expected one like http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
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
        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            asked = [pool.submit(self._one, prompt, decoding, stop, seed + place) for place, prompt in enumerate(prompts)]
            try:
                return [one.result() for one in asked]
            except BaseException:
                for one in asked:
                    one.cancel()
                raise

    def name(self) -> str:
        """The model's name at the server."""
        return self.model

    def identity(self) -> dict[str, Any]:
        """The model's name and how it is asked; neither the key nor the address, at which a server may stand elsewhere later."""
        return {"kind": "endpoint", "model": self.model, "chat": self.chat, "more": dict(self.more)}

    @property
    def _address(self) -> str:
        return self.url.rstrip("/") + ("/chat/completions" if self.chat else "/completions")

    def _one(self, prompt: str, decoding: Decoding, stop: Sequence[str], seed: int) -> Completion:
        fields = self._request(prompt, decoding, stop, seed)
        for tried in range(1, self.tries + 1):
            wait = min(self.first_wait_s * 2 ** (tried - 1), self.longest_wait_s)
            try:
                response = requests.post(
                    self._address,
                    json=fields,
                    auth=_Bearer(self._key()),
                    timeout=self.timeout_s,
                    allow_redirects=False,
                )
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
                if response.status_code == 200:
                    return self._completion(response, stop)
                trouble = f"answered {response.status_code}: {self._words(_message(response))}"
                if response.status_code not in _LATER:
                    raise InputError(f"{self._address} {trouble}; {self._advice(response.status_code)}")
                wait = self._wait(response, wait)
            if tried < self.tries:
                time.sleep(wait)
        raise InputError(f"{self._address} {trouble}, {self.tries} times; run again later: the work goes on where it stopped")

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
        return key

    def _completion(self, response: requests.Response, stop: Sequence[str]) -> Completion:
        try:
            fields = response.json()
            (choice, *_) = fields["choices"]
            text = choice["message"]["content"] or "" if self.chat else choice["text"]
            reason, usage = choice.get("finish_reason") or "stop", fields.get("usage") or {}
            if not isinstance(text, str) or not isinstance(reason, str):
                raise TypeError("no text")
            counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(
                f"{self._address} answered with what is no completion: {self._words(response.text)!r}; "
                "give the address of an OpenAI-compatible server, CHAT as it needs"
            ) from None
        # JSON can spell half of a surrogate pair, which no file can hold.
        text, stopped = before_stop(text.encode("utf-8", "replace").decode(), stop)
        return Completion(text, "stop" if stopped else reason, *(one if isinstance(one, int) else None for one in counts))

    def _wait(self, response: requests.Response, planned: float) -> float:
        """Seconds until the next try.

        Raises:
          InputError: the server wants more of them than may be waited.
        """
        if (asked := _retry_after(response)) is None:
            return planned
        if asked > self.longest_wait_s:
            raise InputError(
                f"{self._address} answered {response.status_code} and wants {asked:.0f} s of rest, more than "
                f"{self.longest_wait_s:g}; run again then: the work goes on where it stopped"
            )
        return asked

    def _advice(self, status: int) -> str:
        if status in (401, 403):
            wanted = self.api_key_variable or "an environment variable, and name it in API_KEY_VARIABLE"
            return f"put the server's API key into {wanted}"
        if status == 404:
            return f"check ENDPOINT, CHAT and that the server has the model {self.model!r}"
        return "mend the request's dials"

    def _words(self, text: str) -> str:
        """A server's words on one line, the key crossed out wherever it repeats it."""
        key = os.environ.get(self.api_key_variable or "", "").strip()
        shown = " ".join((text.replace(key, "***") if key else text).split())
        return shown[:_SHOWN] or "nothing"


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


def _message(response: requests.Response) -> str:
    """The words of a server's error, out of the JSON in which most send it."""
    try:
        content = json.loads(response.text)
        error = content.get("error", content)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        return response.text


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that a server asks to be left alone: a number of them, or a date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
