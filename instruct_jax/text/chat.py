"""Conversation to (tokens, weights): the one renderer that training, evaluation, serving and notebooks share.

A conversation becomes a list of spans; each span is text or a control token, and knows whether it is trained and whether
it may be shortened. Ids and loss weights come from the same spans. Neighbouring texts of one kind are tokenised as one, as
any other library would; where untrained text meets trained text a token ends, so that the seam between prompt and
response has the same ids in training as in generation, and a mask can neither lag nor overrun its text. In a table of
turns an answer is a text of its own, whether it is trained or read.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import (
    RENDERER_VERSION,
    ChatTemplate,
    Conversation,
    Messages,
    Span,
    conversation_of,
)
from instruct_jax.text.jinja_chat import JinjaTemplate
from instruct_jax.text.pieces import Piece, Tokenizer

ROLES = ("system", "user", "assistant", "tool", "text")


@dataclasses.dataclass(frozen=True)
class TurnTemplate(ChatTemplate):
    """Turns written by a table. In every field, "<|name|>" stands for a control token; all else is text.

    Attributes:
      name: recorded in manifests; no part of the identity.
      before: what opens a turn, by role.
      after: what closes a turn, by role. After an assistant turn this is the turn end: it is trained, and generation
        stops on it.
      bos: whether the text begins with the tokenizer's bos, if it has one.
    """

    name: str
    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = (("assistant", "<|eos|>"),)
    bos: bool = True

    def spans(self, conversation: Conversation, add_generation_prompt: bool = False) -> list[Span]:
        """See `ChatTemplate.spans`; with the generation prompt they are a strict prefix of those with the answer added.

        Raises:
          InputError: an unknown role, a call of a tool, an empty conversation, or a plain document mixed with turns.
        """
        messages = conversation.messages
        if not messages:
            raise InputError(
                "a conversation without messages cannot be rendered; drop the row or give it a prompt and a response"
            )
        before, after = dict(self.before), dict(self.after)
        out = [Span(special="bos")] if self.bos else []
        for message in messages:
            if message.role not in ROLES:
                raise InputError(f"unknown role {message.role!r}; expected one of {', '.join(ROLES)}")
            if message.fields or conversation.tools:
                what = ", ".join(sorted(message.fields)) or "tools"
                raise InputError(f"chat template {self.name!r} cannot write {what}; choose a template that can, or leave it out")
            trained = message.is_trained()
            if message.role == "text":
                if len(messages) > 1 or add_generation_prompt:
                    raise InputError("a plain document (role 'text') stands alone; it cannot be one turn among others")
                return [*out, Span(message.text, trained=trained), Span(special="eos", trained=trained)]
            out += marked_spans(before.get(message.role, ""), trained=False)
            answer = message.role == "assistant"
            out.append(Span(message.text, trained=trained, trimmable=not answer, begins=answer))
            out += marked_spans(after.get(message.role, ""), trained=trained)
        if add_generation_prompt:
            out += marked_spans(before.get("assistant", ""), trained=False)
        return [span for span in out if span.text or span.special]

    def rows(self, conversation: Conversation) -> list[list[Span]]:
        """The conversation itself: a table never writes an earlier turn otherwise."""
        return [self.spans(conversation)]

    def stops(self) -> tuple[str, ...]:
        closing = marked_spans(dict(self.after).get("assistant", ""), trained=True)
        return tuple(span.special for span in closing if span.special)

    def fingerprint(self) -> str:
        fields = {name: value for name, value in dataclasses.asdict(self).items() if name != "name"}
        content = json.dumps([RENDERER_VERSION, fields], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {"kind": "turns", **dataclasses.asdict(self), "fingerprint": self.fingerprint()}


# The prompt, a line break, the answer: FLAN's inputs and targets. The break is the tuned separator.
INSTRUCT = TurnTemplate("instruct", before=(("assistant", "\n"), ("user", ""), ("system", "")))
# The prompt and the answer with nothing between: how a base model, which has met no separator, is asked.
BARE = TurnTemplate("bare")
# Several turns with spelled-out roles, for tokenizers without control tokens of their own.
DIALOGUE = TurnTemplate(
    "dialogue",
    before=(("system", ""), ("user", "User: "), ("assistant", "Assistant:\n"), ("tool", "Tool: ")),
    after=(("system", "\n"), ("user", "\n"), ("tool", "\n"), ("assistant", "<|eos|>")),
)
BUILT_IN = {template.name: template for template in (INSTRUCT, BARE, DIALOGUE)}


def template_from_json(fields: Mapping[str, Any]) -> ChatTemplate:
    """The template that `to_json` described.

    Raises:
      InputError: unknown fields, or the template renders otherwise today than when it was described.
    """
    content = dict(fields)
    kind, fingerprint = content.pop("kind", "turns"), content.pop("fingerprint", None)
    name = content.get("name")
    if kind not in _KINDS:
        raise InputError(f"chat template {name!r} is of kind {kind!r}; expected one of {', '.join(_KINDS)}")
    known = {field.name for field in dataclasses.fields(_KINDS[kind])}
    if unknown := set(content) - known:
        raise InputError(f"chat template {name!r} has unknown fields {sorted(unknown)}; expected {sorted(known)}")
    try:
        template = _KINDS[kind](**{key: _tuples(value) for key, value in content.items()})
        current = template.fingerprint()
    except (TypeError, ValueError) as error:
        raise InputError(f"chat template {name!r} is described wrongly ({error}); expected what to_json gave") from None
    if fingerprint not in (None, current):
        raise InputError(
            f"chat template {name!r} renders otherwise today than when it was recorded; "
            "use the version of instruct_jax that recorded it"
        )
    return template


_KINDS = {"turns": TurnTemplate, "jinja": JinjaTemplate}


def _tuples(value: Any) -> Any:
    """Lists within a template's fields as the tuples that they were before they were JSON."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


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


def render(messages: Messages, template: ChatTemplate, tokenizer: Tokenizer, add_generation_prompt: bool = False) -> Rendered:
    """One conversation as tokens and weights; see `render_batch`."""
    return render_batch([messages], template, tokenizer, add_generation_prompt)[0]


def render_batch(
    conversations: Sequence[Messages], template: ChatTemplate, tokenizer: Tokenizer, add_generation_prompt: bool = False
) -> list[Rendered]:
    """Conversations as tokens and weights, all texts tokenised in one call.

    Args:
      conversations: each what `conversation_of` takes.
      template: how turns are written.
      tokenizer: makes the ids.
      add_generation_prompt: end with what opens an assistant turn.

    Raises:
      InputError: the template cannot write a conversation, or needs a control token that the tokenizer lacks.
      HistoryRewritten: no one row can train all trained turns; see `render_rows`.

    >>> from instruct_jax.text.tokenizer import ByteTokenizer
    >>> rendered = render([("user", "a"), ("assistant", "b")], INSTRUCT, ByteTokenizer())
    >>> rendered.tokens.tolist()  # bos, "a", line break, "b", eos
    [1, 100, 13, 101, 2]
    >>> rendered.weights.tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0]
    """
    wanted = map(conversation_of, conversations)
    return render_spans([template.spans(one, add_generation_prompt) for one in wanted], template, tokenizer)


def render_rows(conversations: Sequence[Messages], template: ChatTemplate, tokenizer: Tokenizer) -> list[list[Rendered]]:
    """Each conversation in as many renders as it takes to train every trained turn once, as it is served.

    That is one, but where the template writes earlier turns otherwise than it served them; see `ChatTemplate.rows`.
    """
    rows = [template.rows(conversation) for conversation in map(conversation_of, conversations)]
    rendered = iter(render_spans([spans for row in rows for spans in row], template, tokenizer))
    return [[next(rendered) for _ in row] for row in rows]


def stop_ids(template: ChatTemplate, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids on which generation stops: the control tokens that close an assistant turn."""
    ids = [_special(name, tokenizer, template) for name in template.stops()]
    return tuple(dict.fromkeys(i for one in ids for i in one))


def render_spans(all_spans: Sequence[list[Span]], template: ChatTemplate, tokenizer: Tokenizer) -> list[Rendered]:
    """Texts that a template has written as spans, each as tokens and weights, all tokenised in one call."""
    all_parts = [_joined(spans, tokenizer) for spans in all_spans]
    encoded = iter(tokenizer.encode_pieces([part.piece for parts in all_parts for part in parts if part.piece]))
    rendered = []
    for parts in all_parts:
        tokens: list[int] = []
        weights: list[float] = []
        trimmable = []
        for part in parts:
            if part.piece:
                ids, ranges = next(encoded)
                trimmable += [(len(tokens) + start, len(tokens) + end) for start, end in ranges if start < end]
            else:
                ids = _special(part.special, tokenizer, template)
            tokens += ids
            weights += [float(part.trained)] * len(ids)
        rendered.append(Rendered(np.array(tokens, np.int32), np.array(weights, np.float32), tuple(trimmable)))
    return rendered


@dataclasses.dataclass(frozen=True)
class _Part:
    """A control token, or neighbouring texts joined to what is tokenised as one."""

    special: str | None
    piece: Piece | None
    trained: bool


def _joined(spans: Sequence[Span], tokenizer: Tokenizer) -> list[_Part]:
    parts: list[_Part] = []
    index = 0
    while index < len(spans):
        span = spans[index]
        index += 1
        if span.special is not None:
            parts.append(_Part(span.special, None, span.trained))
            continue
        texts, ranges, size = [], [], 0
        together = span
        while True:
            texts.append(together.text)
            if together.trimmable:
                ranges.append((size, size + len(together.text)))
            size += len(together.text)
            if index == len(spans) or spans[index].special is not None:
                break
            if spans[index].trained != span.trained or spans[index].begins or spans[index].seam:
                break
            together = spans[index]
            index += 1
        before = parts[-1] if parts else None
        after = spans[index].special if index < len(spans) else None
        text = "".join(texts)
        if not text.strip() and before and before.special and tokenizer.eats(_literal(before.special, tokenizer) or "")[1]:
            continue  # swallowed: what follows stands right after the control token
        piece = Piece(
            text=text,
            after=_literal(before.special, tokenizer) if before else None,
            before=_literal(after, tokenizer),
            continued=before is not None and before.piece is not None and not span.begins,
            ranges=tuple(ranges),
        )
        parts.append(_Part(None, piece, span.trained))
    return parts


def _literal(special: str | None, tokenizer: Tokenizer) -> str | None:
    """The control token as the tokenizer spells it."""
    return {"bos": tokenizer.bos_token, "eos": tokenizer.eos_token}.get(special, special)


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


def marked_spans(text: str, trained: bool = False) -> list[Span]:
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
