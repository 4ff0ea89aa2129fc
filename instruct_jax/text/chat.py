"""Conversation to (tokens, weights): the one renderer that training, evaluation, serving and notebooks share.

A conversation becomes a list of spans; each span is text or a control token, and knows whether it is trained and whether
it may be shortened. Ids and loss weights come from the same spans, each span tokenised by itself, so the seam between
prompt and response has the same ids in training as in generation, and a mask can neither lag nor overrun its text.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.text.tokenizer import Tokenizer

RENDERER_VERSION = 1
ROLES = ("system", "user", "assistant", "tool", "text")


@dataclasses.dataclass(frozen=True)
class Message:
    """One turn. `trained` None means: assistant turns and plain text are trained, everything else is not."""

    role: str
    text: str
    trained: bool | None = None

    def is_trained(self) -> bool:
        return self.role in ("assistant", "text") and self.trained is not False


@dataclasses.dataclass(frozen=True)
class Conversation:
    """Messages in order. A single message of role "text" is a plain document: loss on every token."""

    messages: tuple[Message, ...]


@dataclasses.dataclass(frozen=True)
class Span:
    """A run of rendered text, or one control token (`special`: "bos", "eos" or a literal such as "<|im_end|>")."""

    text: str = ""
    special: str | None = None
    trained: bool = False
    trimmable: bool = False


@dataclasses.dataclass(frozen=True)
class ChatTemplate:
    """How turns are written. In every field, "<|name|>" stands for a control token; all else is text.

    Attributes:
      name: recorded in manifests.
      before: what opens a turn, by role.
      after: what closes a turn, by role. After an assistant turn this is the turn end: it is trained, and generation
        stops on it.
      document: whether plain documents get bos and eos.
    """

    name: str
    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = (("assistant", "<|eos|>"),)
    bos: bool = True

    def fingerprint(self) -> str:
        """Hash of all that decides the rendered text."""
        content = json.dumps([RENDERER_VERSION, dataclasses.asdict(self)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


# The prompt, a line break, the answer: FLAN's inputs and targets. The break is the tuned separator.
INSTRUCT = ChatTemplate("instruct", before=(("assistant", "\n"), ("user", ""), ("system", "")))
# The prompt and the answer with nothing between: how a base model, which has met no separator, is asked.
BARE = ChatTemplate("bare")
# Several turns with spelled-out roles, for tokenizers without control tokens of their own.
DIALOGUE = ChatTemplate(
    "dialogue",
    before=(("system", ""), ("user", "User: "), ("assistant", "Assistant: "), ("tool", "Tool: ")),
    after=(("system", "\n"), ("user", "\n"), ("tool", "\n"), ("assistant", "<|eos|>")),
)
BUILT_IN = {template.name: template for template in (INSTRUCT, BARE, DIALOGUE)}


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A conversation as ids. T tokens.

    Attributes:
      tokens: i32[T].
      weights: f32[T], 1 on trained tokens.
      trimmable: (start, end) ranges of prompt text that may be shortened.
    """

    tokens: np.ndarray
    weights: np.ndarray
    trimmable: tuple[tuple[int, int], ...] = ()


def spans(conversation: Conversation, template: ChatTemplate, add_generation_prompt: bool = False) -> list[Span]:
    """The spans of a conversation, in order.

    With `add_generation_prompt` the spans end with what opens an assistant turn, so that they are a strict prefix of the
    spans of the same conversation with that turn added.

    Raises:
      InputError: an unknown role, an empty conversation, or a plain document mixed with turns.
    """
    messages = conversation.messages
    if not messages:
        raise InputError("a conversation without messages cannot be rendered; drop the row or give it a prompt and a response")
    before, after = dict(template.before), dict(template.after)
    out = [Span(special="bos")] if template.bos else []
    for message in messages:
        if message.role not in ROLES:
            raise InputError(f"unknown role {message.role!r}; expected one of {', '.join(ROLES)}")
        if message.role == "text":
            if len(messages) > 1 or add_generation_prompt:
                raise InputError("a plain document (role 'text') stands alone; it cannot be one turn among others")
            trained = message.is_trained()
            return [*out, Span(message.text, trained=trained), Span(special="eos", trained=trained)]
        trained = message.is_trained()
        out += _split(before.get(message.role, ""), trained=False)
        out.append(Span(message.text, trained=trained, trimmable=message.role != "assistant"))
        out += _split(after.get(message.role, ""), trained=trained)
    if add_generation_prompt:
        out += _split(before.get("assistant", ""), trained=False)
    return [span for span in out if span.text or span.special]


def render(
    conversation: Conversation, tokenizer: Tokenizer, template: ChatTemplate, add_generation_prompt: bool = False
) -> Rendered:
    """One conversation as tokens and weights; see `render_batch`."""
    return render_batch([conversation], tokenizer, template, add_generation_prompt)[0]


def render_batch(
    conversations: Sequence[Conversation], tokenizer: Tokenizer, template: ChatTemplate, add_generation_prompt: bool = False
) -> list[Rendered]:
    """Conversations as tokens and weights, all texts tokenised in one call.

    >>> from instruct_jax.text.tokenizer import ByteTokenizer
    >>> rendered = render(Conversation((Message("user", "a"), Message("assistant", "b"))), ByteTokenizer(), INSTRUCT)
    >>> rendered.tokens.tolist()  # bos, "a", line break, "b", eos
    [1, 100, 13, 101, 2]
    >>> rendered.weights.tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0]
    """
    all_spans = [spans(conversation, template, add_generation_prompt) for conversation in conversations]
    texts = [span.text for one in all_spans for span in one if span.special is None]
    encoded = iter(tokenizer.encode_batch(texts))
    rendered = []
    for one in all_spans:
        tokens: list[int] = []
        weights: list[float] = []
        trimmable = []
        for span in one:
            ids = next(encoded) if span.special is None else _special(span.special, tokenizer, template)
            if span.trimmable:
                trimmable.append((len(tokens), len(tokens) + len(ids)))
            tokens += ids
            weights += [float(span.trained)] * len(ids)
        rendered.append(Rendered(np.array(tokens, np.int32), np.array(weights, np.float32), tuple(trimmable)))
    return rendered


def stop_ids(tokenizer: Tokenizer, template: ChatTemplate) -> tuple[int, ...]:
    """The ids on which generation stops: the control tokens that close an assistant turn."""
    closing = _split(dict(template.after).get("assistant", ""), trained=True)
    ids = [_special(span.special, tokenizer, template) for span in closing if span.special]
    return tuple(dict.fromkeys(i for one in ids for i in one))


def _special(name: str, tokenizer: Tokenizer, template: ChatTemplate) -> list[int]:
    if name == "bos":  # a tokenizer without bos simply has none
        return [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    token_id = tokenizer.eos_id if name == "eos" else tokenizer.special(name)
    if token_id is None:
        raise InputError(
            f"chat template {template.name!r} needs the control token {name!r}, which this tokenizer lacks; "
            "choose a template made for it, or a tokenizer that has the token"
        )
    return [token_id]


def _split(text: str, trained: bool) -> list[Span]:
    """Text with "<|name|>" marks as spans; "<|eos|>" and "<|bos|>" mean the tokenizer's own."""
    out = []
    while text:
        start = text.find("<|")
        end = text.find("|>", start)
        if start < 0 or end < 0:
            return [*out, Span(text, trained=trained)]
        if start:
            out.append(Span(text[:start], trained=trained))
        mark = text[start : end + 2]
        name = mark[2:-2]
        out.append(Span(special=name if name in ("bos", "eos") else mark, trained=trained))
        text = text[end + 2 :]
    return out
