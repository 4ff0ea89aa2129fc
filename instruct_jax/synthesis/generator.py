"""The socket of what writes texts: prompts in, completions out, from a checkpoint or from a server."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

from instruct_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How texts are drawn.

    Attributes:
      max_tokens: a completion is cut there.
      temperature: divides the logits; None means greedy.
      top_p: with a temperature, the smallest set of tokens whose probabilities add up to this; None for all tokens.
      presence_penalty: taken from the logit of every token that the completion already has; None for no penalty. It is a
        field of the OpenAI API that not every generator knows; one that does not refuses it.
    """

    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None

    def __post_init__(self):
        if self.max_tokens < 1:
            raise InputError(f"max_tokens is {self.max_tokens}; expected at least 1")
        if self.temperature is not None and self.temperature <= 0:
            raise InputError(f"temperature is {self.temperature}; expected more than 0, or None for greedy decoding")
        if self.temperature is None and self.top_p is not None:
            raise InputError("top_p without a temperature: greedy decoding draws nothing; set a temperature as well")


@dataclasses.dataclass(frozen=True)
class Completion:
    """What a generator wrote after a prompt.

    Attributes:
      text: up to the stop that ended it, which is left out.
      finish_reason: "stop" where it ended by itself or at a stop; anything else, such as "length", means it was cut.
      prompt_tokens, tokens: how many were read and written; None where a server does not say.
    """

    text: str
    finish_reason: str
    prompt_tokens: int | None = None
    tokens: int | None = None

    @property
    def cut(self) -> bool:
        """Whether the text may lack its end."""
        return self.finish_reason != "stop"


class Generator(abc.ABC):
    """What writes texts."""

    @abc.abstractmethod
    def complete(self, prompts: Sequence[str], decoding: Decoding, stop: Sequence[str] = (), seed: int = 0) -> list[Completion]:
        """One completion for each prompt, in their order.

        Args:
          prompts: texts to go on from.
          decoding: how.
          stop: a completion ends before the first of these.
          seed: of the draws; prompt i of a call draws with `seed + i`.

        Raises:
          InputError: there is no such generator, it refuses, or it cannot do what `decoding` says.
        """

    @abc.abstractmethod
    def name(self) -> str:
        """What the provenance of a text calls it."""

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """What decides its answers, as JSON values without secrets: kept in manifests, and compared when work goes on."""


def before_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """A text up to the first of some stops, and whether there was one.

    >>> before_stop("1. a\\n\\n2. b", ["2.", "\\n\\n"])
    ('1. a', True)
    """
    places = [place for one in stop if (place := text.find(one)) >= 0]
    return (text[: min(places)], True) if places else (text, False)
