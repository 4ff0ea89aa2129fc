"""Phrases that an answer should not hold: refusals and talk of being a model, and what pages and forms leave behind."""

import dataclasses
from collections.abc import Sequence

from instruct_jax.curation.decisions import KEPT, Decision, Filter
from instruct_jax.curation.filters import Part
from instruct_jax.curation.parts import response
from instruct_jax.curation.words import words
from instruct_jax.text.conversation import Conversation

# Said anywhere, these make a model talk of itself.
AS_A_MODEL = (
    *("as an ai language model", "as an ai model", "as an ai assistant", "as a large language model", "as a language model"),
    *("i am an ai", "i'm an ai", "i am a language model", "i'm just an ai", "my knowledge cutoff", "my training data"),
    *("i do not have personal opinions", "i don't have personal opinions", "i do not have feelings", "i don't have feelings"),
    *(
        "against openai",
        "trained by openai",
        "developed by openai",
        "it is not appropriate for me",
        "it's not appropriate for me",
    ),
)
# Said at the beginning, these refuse; later on they may be a character's words.
REFUSING = (
    *("i cannot help you", "i can't help you", "i cannot help with", "i can't help with", "i am not able to", "i'm not able to"),
    *("i cannot assist", "i can't assist", "i can't do that"),
    *("i am unable to", "i'm unable to", "i cannot provide", "i can't provide", "i cannot fulfill", "i can't fulfill"),
    *("i won't be able to", "i will not be able to", "i cannot answer", "i can't answer", "i cannot comply", "i can't comply"),
    *("sorry but i cannot", "sorry but i can't", "i'm sorry i cannot", "i'm sorry i can't", "i must decline"),
)
# What is left of the page or form that a text was taken from.
LEFT_BEHIND = (
    *("all rights reserved", "terms of use apply", "read our privacy policy", "cookie policy", "we use cookies"),
    *("click here to", "sign up for our newsletter", "subscribe to our", "enable javascript", "javascript is disabled"),
    *("lorem ipsum", "share on facebook", "follow us on", "this page intentionally left blank", "advertisement continue reading"),
    *("insert your answer here", "insert text here", "your text here", "no input provided", "placeholder text"),
)


@dataclasses.dataclass(frozen=True)
class Phrases(Filter):
    """A part holds none of some phrases, whatever its case and punctuation.

    Attributes:
      name: what they are called in decisions.
      anywhere: phrases that may stand nowhere.
      opening: phrases that may not stand at the beginning.
      opening_words: how many words the beginning has.
      part: whole, prompt or response.
    """

    name: str
    anywhere: tuple[str, ...] = ()
    opening: tuple[str, ...] = ()
    opening_words: int = 20
    part: Part = response

    def __post_init__(self):
        for name in ("anywhere", "opening"):
            folded = tuple(f" {' '.join(words(phrase))} " for phrase in getattr(self, name))
            object.__setattr__(self, f"_{name}", folded)

    @property
    def rule(self) -> str:
        return self.name

    def __call__(self, conversation: Conversation) -> Decision:
        found = words(self.part(conversation))
        for phrases, place in ((self._anywhere, found), (self._opening, found[: self.opening_words])):
            spoken = f" {' '.join(place)} "
            for phrase in phrases:
                if phrase in spoken:
                    return Decision(False, f"says: {phrase.strip()}")
        return KEPT


def refusals(anywhere: Sequence[str] = AS_A_MODEL, opening: Sequence[str] = REFUSING, opening_words: int = 20) -> Phrases:
    """No refusal and no talk of being a model. Leave it out where refusing is what a model should learn."""
    return Phrases("refusal", tuple(anywhere), tuple(opening), opening_words)


def boilerplate(anywhere: Sequence[str] = LEFT_BEHIND) -> Phrases:
    """Nothing that a page or form left behind."""
    return Phrases("boilerplate", tuple(anywhere))
