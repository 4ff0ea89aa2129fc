"""Rules about one conversation: its length, its language, whether it answers, and whether the prompt gives the answer away."""

import dataclasses
import functools
from collections.abc import Callable

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from instruct_jax.curation.decisions import KEPT, Decision, Filter
from instruct_jax.curation.parts import prompt, response, whole
from instruct_jax.curation.words import words
from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Conversation
from instruct_jax.text.tokenizer import load_tokenizer

Part = Callable[[Conversation], str]


def count_words(text: str) -> int:
    """Words as they are written, with spaces between them."""
    return len(text.split())


def count_characters(text: str) -> int:
    return len(text)


@dataclasses.dataclass(frozen=True)
class CountTokens:
    """Tokens of a tokenizer, a control token not among them.

    Attributes:
      tokenizer: what `instruct_jax.text.tokenizer.load_tokenizer` reads.
    """

    tokenizer: str

    def __call__(self, text: str) -> int:
        return len(_tokenizer(self.tokenizer).encode(text))


@dataclasses.dataclass(frozen=True)
class Length(Filter):
    """A part's length is in a range.

    Attributes:
      least, most: the range, its ends included; None for no bound.
      count: what a length is: count_words, count_characters, CountTokens(...).
      part: whole, prompt or response.
    """

    least: int = 1
    most: int | None = None
    count: Callable[[str], int] = count_words
    part: Part = response

    def __post_init__(self):
        if self.most is not None and self.most < self.least:
            raise InputError(f"Length from {self.least} to {self.most} lets nothing through; give most >= least")

    @property
    def rule(self) -> str:
        return "length"

    def __call__(self, conversation: Conversation) -> Decision:
        length = self.count(self.part(conversation))
        if length < self.least:
            return Decision(False, f"{length} long, less than {self.least}", length)
        if self.most is not None and length > self.most:
            return Decision(False, f"{length} long, more than {self.most}", length)
        return Decision(True, measure=length)


@dataclasses.dataclass(frozen=True)
class Language(Filter):
    """A part is in an expected language, as langid.py tells it by character n-grams (Lui and Baldwin 2012).

    A short text passes: no classifier can tell a name, a number or a formula. So does one that the classifier is not sure of.

    Attributes:
      expected: ISO 639-1 codes.
      confidence: the least probability of another language for a row to be dropped.
      shortest: characters of the shortest text that is judged.
      looked_at: characters from the beginning that it is judged by.
      part: whole, prompt or response.
    """

    expected: tuple[str, ...] = ("en",)
    confidence: float = 0.9
    shortest: int = 60
    looked_at: int = 500
    part: Part = whole

    def __post_init__(self):
        object.__setattr__(self, "expected", tuple(self.expected))
        known = _identifier().labels
        unknown = sorted(set(self.expected) - set(known))
        if unknown or not self.expected:
            raise InputError(f"expected languages {self.expected}: {unknown or 'none'}; expected of: {', '.join(sorted(known))}")

    @property
    def rule(self) -> str:
        return "language"

    def __call__(self, conversation: Conversation) -> Decision:
        text = self.part(conversation)
        if len(text) < self.shortest:
            return KEPT
        language, probability = _identifier().classify(text[: self.looked_at])
        probability = float(probability)
        if language in self.expected or probability < self.confidence:
            return Decision(True, measure=probability, about={"language": language})
        expected = ", ".join(self.expected)
        return Decision(False, f"{language}, expected {expected}", probability, {"language": language})


@dataclasses.dataclass(frozen=True)
class Answered(Filter):
    """There is a prompt and an answer to train on, and the answer does not only say the prompt again."""

    @property
    def rule(self) -> str:
        return "answered"

    def __call__(self, conversation: Conversation) -> Decision:
        if conversation.is_document():
            return KEPT if whole(conversation).strip() else Decision(False, "empty document")
        trained = [message.text for message in conversation.messages if message.is_trained()]
        asked = " ".join(message.text for message in conversation.messages if message.role == "user")
        if not trained:
            return Decision(False, "no answer is trained")
        if not asked.strip():
            return Decision(False, "empty prompt")
        if not all(text.strip() or _calls(conversation, text) for text in trained):
            return Decision(False, "empty answer")
        if " ".join(trained).split() == asked.split():
            return Decision(False, "the answer is the prompt")
        return KEPT


@dataclasses.dataclass(frozen=True)
class AnswerInPrompt(Filter):
    """The prompt does not give its answer away.

    Two signs: a long answer stands in the prompt word for word; or the prompt ends with a cue and the answer, as a template
    does whose target leaked into its input ("... Answer: Paris"). That a short answer stands somewhere in its prompt is no
    sign: options and passages hold it by right.

    Attributes:
      long: an answer of at least this many words is looked for in all of the prompt; None: in its end alone. Options that are
        whole sentences are found from 12 words on (46 of 2,940 rows of T0); tasks that copy a text need None.
      cues: words before a leaked answer at the end.
    """

    long: int | None = 25
    cues: tuple[str, ...] = ("answer", "output", "label", "response", "solution", "target", "completion")

    @property
    def rule(self) -> str:
        return "answer in prompt"

    def __call__(self, conversation: Conversation) -> Decision:
        answer, asked = words(response(conversation)), words(prompt(conversation))
        if not answer or not asked:
            return KEPT
        if asked[-len(answer) :] == answer and asked[: -len(answer)][-1:] and asked[-len(answer) - 1] in self.cues:
            return Decision(False, f"the prompt ends with its answer: {' '.join(answer):.80}", len(answer))
        if self.long is not None and len(answer) >= self.long and f" {' '.join(answer)} " in f" {' '.join(asked)} ":
            return Decision(False, f"the answer stands in the prompt: {' '.join(answer):.80}", len(answer))
        return KEPT


def _calls(conversation: Conversation, text: str) -> bool:
    """Whether a turn of this text says something else than text, such as a call of a tool."""
    return any(message.text == text and message.is_trained() and message.fields for message in conversation.messages)


@functools.cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _tokenizer(path: str):
    return load_tokenizer(path)
