"""What a server of the OpenAI API sends back: read within a time and a size, and told apart."""

import dataclasses
import email.utils
import json
import time
from collections.abc import Sequence
from typing import Any

import requests
import urllib3

from instruct_jax.errors import InputError
from instruct_jax.synthesis.generator import Completion, before_stop

_BLOCK, _MOST_BYTES = 65_536, 64 * 1024 * 1024
# What servers call it when their filter keeps a prompt from the model.
_FILTERED = ("content_filter", "content_policy_violation")


@dataclasses.dataclass(frozen=True)
class Reply:
    """One answer, whole.

    Attributes:
      status: of HTTP; of an error that comes with a status of 200 its own number, or 400 where it has none.
      retry_after: seconds that the server wants to be left alone; None where it does not say.
      location: where it sends the request instead; "" if nowhere.
      text: as it came.
    """

    status: int
    retry_after: float | None
    location: str
    text: str

    @property
    def trouble(self) -> str:
        """The words of its error, out of the JSON in which most servers send it."""
        content = _object(self.text)
        error = content.get("error", content) if content else self.text
        return str(error.get("message", error) if isinstance(error, dict) else error)

    @property
    def filtered(self) -> bool:
        """Whether the server's content filter turned this one prompt down: no fault of the request's form."""
        error = _object(self.text).get("error")
        return isinstance(error, dict) and error.get("code") in _FILTERED

    def completion(self, chat: bool, stop: Sequence[str]) -> Completion | None:
        """The completion that it carries; None where it carries none.

        >>> Reply(200, None, "", '{"choices": [{"text": "a STOP b"}]}').completion(False, ["STOP"])
        Completion(text='a ', finish_reason='stop', prompt_tokens=None, tokens=None)
        """
        try:
            fields = json.loads(self.text)
            (choice, *_) = fields["choices"]
            text = choice["message"]["content"] or "" if chat else choice["text"]
            reason, usage = choice.get("finish_reason") or "stop", fields.get("usage") or {}
            if not isinstance(text, str) or not isinstance(reason, str):
                return None
            counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        # JSON can spell half of a surrogate pair, which no file can hold.
        text, stopped = before_stop(text.encode("utf-8", "replace").decode(), stop)
        return Completion(text, "stop" if stopped else reason, *(one if isinstance(one, int) else None for one in counts))


def read_reply(response: requests.Response, seconds: float) -> Reply:
    """A response that was asked for as a stream, read to its end.

    Args:
      response: its headers have come, its body may not have.
      seconds: that the body may take in all: a server that sends a little now and then is no quicker for it.

    Raises:
      requests.exceptions.RequestException: it takes longer, or breaks off.
      InputError: it is larger than any completion.
    """
    content, end = bytearray(), time.monotonic() + seconds
    try:
        while block := response.raw.read1(_BLOCK, decode_content=True):
            content += block
            if time.monotonic() > end:
                raise requests.exceptions.ReadTimeout()
            if len(content) > _MOST_BYTES:
                raise InputError(f"{response.url} sends more than {_MOST_BYTES:,} bytes for one completion; mend ENDPOINT")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout() from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, requests.exceptions.RequestException):
            raise
        raise requests.exceptions.ConnectionError() from error
    text = content.decode("utf-8", "replace")
    status, content = response.status_code, _object(text)
    if status == 200 and "choices" not in content and (error := content.get("error")):
        status = error["code"] if isinstance(error, dict) and type(error.get("code")) is int else 400
    return Reply(status, _retry_after(response), response.headers.get("Location", ""), text)


def _object(text: str) -> dict[str, Any]:
    """A text as the JSON object that it is; empty where it is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


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
