"""Prompt settings: in which shape a task's examples are asked, as values that a recipe mixes by weight."""

import abc
import dataclasses
import hashlib
import itertools
import math
from collections.abc import Sequence

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Message
from instruct_jax.text.options import DASHES, OptionStyle
from instruct_jax.text.templates import Instance


class Layout(abc.ABC):
    """Where exemplars stand."""

    @abc.abstractmethod
    def messages(self, exemplars: Sequence[Instance], query: Instance) -> tuple[Message, ...]:
        """The exemplars and the query as turns; the last of them alone is trained."""

    @abc.abstractmethod
    def texts(self, exemplars: Sequence[Instance]) -> list[str]:
        """What the exemplars add in words, each entry tokenised by itself: what a budget counts."""


@dataclasses.dataclass(frozen=True)
class Inline(Layout):
    """All in one user turn, as FLAN has it: the exemplars, then the query in the same wording.

    Attributes:
      answer: what stands between an exemplar's prompt and its answer.
      separator: what stands after each exemplar.

    >>> Inline().messages([Instance("2 + 3?", "5")], Instance("1 + 1?", "2"))[0].text
    '2 + 3?\\n5\\n\\n1 + 1?'
    """

    answer: str = "\n"
    separator: str = "\n\n"
    kind: str = dataclasses.field(default="inline", init=False)

    def messages(self, exemplars: Sequence[Instance], query: Instance) -> tuple[Message, ...]:
        return Message("user", "".join(self.texts(exemplars)) + query.prompt), Message("assistant", query.response)

    def texts(self, exemplars: Sequence[Instance]) -> list[str]:
        whole = "".join(f"{one.prompt}{self.answer}{one.response}{self.separator}" for one in exemplars)
        return [whole] if whole else []


@dataclasses.dataclass(frozen=True)
class EarlierTurns(Layout):
    """Each exemplar as a question and an answer of the same conversation, before the query; they are not trained."""

    kind: str = dataclasses.field(default="earlier_turns", init=False)

    def messages(self, exemplars: Sequence[Instance], query: Instance) -> tuple[Message, ...]:
        turns = [(Message("user", one.prompt), Message("assistant", one.response, trained=False)) for one in exemplars]
        return *itertools.chain(*turns), Message("user", query.prompt), Message("assistant", query.response)

    def texts(self, exemplars: Sequence[Instance]) -> list[str]:
        return [text for one in exemplars for text in (one.prompt, one.response)]


INLINE = Inline()
EARLIER_TURNS = EarlierTurns()


@dataclasses.dataclass(frozen=True)
class PromptSettings:
    """One way to ask a task's examples; a mixture of several is FLAN 2022's (Longpre et al. 2023, arXiv:2301.13688, 3.2).

    Attributes:
      shots: worked examples (exemplars) before the question, as many as are to be had.
      chain_of_thought: whether answers show the reasoning, in the templates' `rationale` wording: of exemplars and of the
        question. Supported where a trainable template has that wording; a record without reasoning never wears it.
      inversion: True for templates turned round alone (the answer asks for the question), False for the others alone,
        None for all alike. Records that come in a wording already support None alone.
      option_style: how alternatives are listed, in wordings that list them.
      system: system prompts, of which an example gets one; "" is none at all. Empty for none ever.
      weight: how often examples that support the setting wear it, relative to their other settings.
      templates: how many of a dataset's trainable templates to use, the first ones; None for all.
      budget: tokens that the exemplars may have, without what the chat template adds: the last are left out until they
        fit, all of them if need be. None for no bound.
      layout: where exemplars stand.
      cue: a line added to prompts whose answers are to show the reasoning; a direct answer and a reasoned one would
        otherwise be asked in the same words. "" for none.
    """

    shots: int = 0
    chain_of_thought: bool = False
    inversion: bool | None = None
    option_style: OptionStyle = DASHES
    system: tuple[str, ...] = ()
    weight: float = 1.0
    templates: int | None = None
    budget: int | None = None
    layout: Layout = INLINE
    cue: str = "Reason step by step before you answer."

    def __post_init__(self):
        object.__setattr__(self, "system", (self.system,) if isinstance(self.system, str) else tuple(self.system))
        if self.shots < 0:
            raise InputError(f"PromptSettings.shots is {self.shots}; expected 0 or more")
        if not 0 < self.weight < math.inf:
            raise InputError(f"PromptSettings.weight is {self.weight}; expected a number above 0: leave the setting out instead")
        if self.templates is not None and self.templates < 1:
            raise InputError(f"PromptSettings.templates is {self.templates}; expected at least 1, or None for all")
        if self.budget is not None and self.budget < 1:
            raise InputError(f"PromptSettings.budget is {self.budget} tokens; expected at least 1, or None for no bound")
        for name, kind in (("layout", Layout), ("option_style", OptionStyle)):
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"PromptSettings.{name} is {getattr(self, name)!r}; expected an {kind.__name__}")

    def title(self) -> str:
        """The setting in a few words, for tables and notes.

        >>> PromptSettings(shots=4, chain_of_thought=True, budget=512).title()
        '4-shot, chain of thought, at most 512 tokens of exemplars'
        """
        parts = [f"{self.shots}-shot" if self.shots else "zero-shot"]
        parts += ["chain of thought"] if self.chain_of_thought else []
        parts += [] if self.inversion is None else ["turned round" if self.inversion else "not turned round"]
        if self.option_style != DASHES:
            parts.append(f"options {self.option_style.line!r}" + (", shuffled" if self.option_style.shuffled else ""))
            parts += [f"answered {self.option_style.answer!r}"] if self.option_style.marks else []
        if self.system:
            parts.append("a system prompt" if len(self.system) == 1 else f"one of {len(self.system)} system prompts")
        if self.shots:
            parts += [] if self.layout == INLINE else [self.layout.kind.replace("_", " ")]
            parts += [] if self.budget is None else [f"at most {self.budget} tokens of exemplars"]
        return ", ".join(parts)


ZERO_SHOT = PromptSettings()


def as_settings(prompts: PromptSettings | Sequence[PromptSettings]) -> tuple[PromptSettings, ...]:
    """Several settings from one or several.

    Raises:
      InputError: there is none, one is no setting, or two are the same but for their weights.
    """
    settings = (prompts,) if isinstance(prompts, PromptSettings) else tuple(prompts)
    if not settings:
        raise InputError("prompts is empty; give at least one PromptSettings, such as ZERO_SHOT")
    for place, one in enumerate(settings):
        if not isinstance(one, PromptSettings):
            raise InputError(f"prompts[{place}] is a {type(one).__name__}; expected a PromptSettings")
        same = [before for before in range(place) if dataclasses.replace(settings[before], weight=one.weight) == one]
        if same:
            raise InputError(f"prompts[{place}] is prompts[{same[0]}] again ({one.title()}); leave one out and add the weights")
    return settings


def weighted_choice(weights: Sequence[float], *, seed: int, epoch: int, example: str) -> int:
    """Which of several an example gets, in proportion to these weights: a stateless hash, new in every epoch.

    Args:
      weights: not all 0.
      seed, epoch, example: as for `instruct_jax.text.templates.choose`.
    """
    digest = hashlib.blake2b(f"weights\0{seed}\0{epoch}\0{example}".encode(), digest_size=8).digest()
    point = int.from_bytes(digest, "big") / 2**64 * math.fsum(weights)
    for place, reached in enumerate(itertools.accumulate(weights)):
        if point < reached:
            return place
    return max(place for place, weight in enumerate(weights) if weight)  # sums round; the last one ends at the whole
