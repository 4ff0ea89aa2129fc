"""Instruction-following difficulty: how much of an answer's surprise is left once its prompt is known.

Li et al. 2023, arXiv:2308.12032, equations 1 to 3. For an answer y of N tokens to a prompt x,

    s(y | x) = -1/N sum_i log p(y_i | x, y_<i)      s(y) = -1/N sum_i log p(y_i | y_<i)      IFD = s(y | x) / s(y)

A value near 1 says that the prompt told the model little; above 1, that it misled it. The authors train on the tenth with the
highest values below 1.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.inference.score import Logprob, sequence_logprobs
from instruct_jax.inference.session import Session
from instruct_jax.text.chat import Rendered, render_spans
from instruct_jax.text.conversation import ChatTemplate, Conversation, Span
from instruct_jax.text.pieces import Tokenizer


@dataclasses.dataclass(frozen=True)
class Difficulty:
    """The two losses of one answer, in nats a token, over the same tokens.

    Attributes:
      conditioned: s(y | x).
      unconditioned: s(y).
      tokens: N, the turn's end among them; 0 where nothing of the answer has anything before it, and all else is NaN.
    """

    conditioned: float
    unconditioned: float
    tokens: int

    @property
    def ratio(self) -> float:
        """IFD; NaN where the answer is certain by itself."""
        return self.conditioned / self.unconditioned if self.unconditioned else math.nan


def difficulties(session: Session, pairs: Sequence[tuple[Rendered, Rendered]], batch_tokens: int = 8192) -> list[Difficulty]:
    """The difficulty of each pair of `answer_pairs` under a model; see `sequence_logprobs` for how they are batched."""
    scores = sequence_logprobs(session.model, [one for pair in pairs for one in pair], batch_tokens)
    return [Difficulty(_loss(given), _loss(alone), given.tokens) for given, alone in zip(scores[::2], scores[1::2], strict=True)]


def answer_pairs(
    conversations: Sequence[Conversation], template: ChatTemplate, tokenizer: Tokenizer
) -> list[tuple[Rendered, Rendered]]:
    """Each conversation's last answer behind all that comes before it, and by itself.

    By itself it stands behind the bos, where the template writes one, and what opens an assistant's turn; turns of the system,
    the user and tools are gone. Its ids are those of the conversation, the turn's end among them, so that both losses are
    means over the same tokens. Where neither bos nor opening has a token, the answer's first token has nothing to be
    predicted from; it then counts in neither.

    Args:
      conversations: each ends with an assistant's turn.
      template, tokenizer: the model's own.

    Raises:
      InputError: a conversation has no answer at its end, or the template writes its question otherwise once it is answered.

    >>> from instruct_jax.text.chat import INSTRUCT
    >>> from instruct_jax.text.conversation import Message
    >>> from instruct_jax.text.pieces import ByteTokenizer
    >>> asked = Conversation((Message("user", "a"), Message("assistant", "b")))
    >>> ((given, alone),) = answer_pairs([asked], INSTRUCT, ByteTokenizer())
    >>> given.tokens.tolist(), alone.tokens.tolist()  # bos, "a", line break, "b", eos
    ([1, 100, 13, 101, 2], [1, 13, 101, 2])
    >>> given.weights.tolist(), alone.weights.tolist()
    ([0.0, 0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0])
    """
    answered = [_last_answer(one) for one in conversations]
    spans = [template.spans(one) for one in answered]
    openings = [_opening(one, found, template, tokenizer) for one, found in zip(answered, spans, strict=True)]
    rendered = render_spans([*spans, *openings], template, tokenizer)
    return [_pair(given, opening) for given, opening in zip(rendered[: len(spans)], rendered[len(spans) :], strict=True)]


def _last_answer(conversation: Conversation) -> Conversation:
    """The conversation with nothing trained but its last turn."""
    if not conversation.messages or conversation.messages[-1].role != "assistant":
        raise InputError("there is no answer at its end; give it an assistant's turn, or leave it out")
    *asked, answer = conversation.messages
    asked = [dataclasses.replace(one, trained=False) for one in asked]
    return dataclasses.replace(conversation, messages=(*asked, dataclasses.replace(answer, trained=True)))


def _opening(conversation: Conversation, spans: Sequence[Span], template: ChatTemplate, tokenizer: Tokenizer) -> list[Span]:
    """The bos, and what stands between the last question and its answer."""
    first = next(place for place, span in enumerate(spans) if span.trained)
    before = _joined(spans[:first])
    asked = conversation.messages[:-1]
    question = _joined(template.spans(dataclasses.replace(conversation, messages=asked))) if asked else []
    header = _after(before, question)
    if header is None:
        raise InputError(
            f"chat template {template.name!r} writes a question otherwise once it is answered, so that there is no telling "
            "what opens the answer alone; choose another template"
        )
    bos = before[:1] if before and before[0].special in ("bos", tokenizer.bos_token) and before[0].special else []
    return [*(bos if question else []), *header]


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans as bare text and control tokens, neighbouring texts as one."""
    out: list[Span] = []
    for span in spans:
        if span.special is None and out and out[-1].special is None:
            out[-1] = Span(out[-1].text + span.text)
        else:
            out.append(Span(span.text, span.special))
    return out


def _after(longer: Sequence[Span], shorter: Sequence[Span]) -> list[Span] | None:
    """What a text says after one that it begins with; None where it does not begin so.

    The shorter may close with control tokens and space that the longer has not: some templates end a text that nobody is to
    answer.

    >>> [span.special or span.text for span in _after([Span("ab"), Span(special="<|x|>")], [Span("a"), Span(special="</s>")])]
    ['b', '<|x|>']
    """
    same = _agreeing(longer, shorter)
    rest, left = list(longer[same:]), list(shorter[same:])
    if rest and left and rest[0].special is None and left[0].special is None:
        common = _agreeing(rest[0].text, left[0].text)
        rest[0], left[0] = Span(rest[0].text[common:]), Span(left[0].text[common:])
    if any(span.text.strip() for span in left):
        return None
    return [span for span in rest if span.special or span.text]


def _agreeing(one: Sequence, other: Sequence) -> int:
    """How long two sequences are the same from their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _pair(given: Rendered, opening: Rendered) -> tuple[Rendered, Rendered]:
    trained = np.flatnonzero(given.weights)
    first, end = int(trained[0]), int(trained[-1]) + 1
    weights = given.weights[:end].copy()
    if not opening.tokens.size:
        weights[first] = 0
    alone = Rendered(
        np.concatenate([opening.tokens, given.tokens[first:end]]),
        np.concatenate([np.zeros(opening.tokens.size, np.float32), weights[first:]]),
    )
    return Rendered(given.tokens[:end], weights), alone


def _loss(logprob: Logprob) -> float:
    return -logprob.total / logprob.tokens if logprob.tokens else math.nan
