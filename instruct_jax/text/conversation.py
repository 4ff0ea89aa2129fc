"""What is said and how it may be written: messages, conversations, and the contract of a chat template."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError

# Raise it when the same template and tokenizer would give other ids or weights than before.
RENDERER_VERSION = 3


@dataclasses.dataclass(frozen=True)
class Message:
    """One turn.

    Attributes:
      role: "system", "user", "assistant", "tool", or what else a template knows; "text" for a plain document.
      text: what is said.
      trained: None means that assistant turns and plain text are trained. Nothing else ever is.
      fields: what else a message of the OpenAI format holds, such as tool_calls; JSON values.
    """

    role: str
    text: str
    trained: bool | None = None
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False, repr=False)

    def is_trained(self) -> bool:
        return self.role in ("assistant", "text") and self.trained is not False


@dataclasses.dataclass(frozen=True)
class Conversation:
    """Messages in order, and the tools that may be called in them (JSON schemas; most conversations have none).

    A single message of role "text" is a plain document: loss on every token.
    """

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = dataclasses.field(default=(), hash=False)

    def is_document(self) -> bool:
        return any(message.role == "text" for message in self.messages)


Messages = Conversation | Sequence[Message | tuple[str, str] | Mapping[str, Any]]


def conversation_of(messages: Messages) -> Conversation:
    """A conversation from any of the forms in which messages come.

    Args:
      messages: a Conversation; or a list of Message, of (role, text) pairs, or of dicts {"role", "content", ...} in the
        OpenAI format, which may say "trained": false.

    Raises:
      InputError: an entry is none of these, or its role or content is no text.

    >>> conversation_of([{"role": "user", "content": "hi", "trained": False}]).messages
    (Message(role='user', text='hi', trained=False),)
    """
    if isinstance(messages, Conversation):
        return messages
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        raise InputError(f"messages are a {type(messages).__name__}; expected a Conversation or a list of messages")
    return Conversation(tuple(_message(index, entry) for index, entry in enumerate(messages)))


def _message(index: int, entry: Message | tuple[str, str] | Mapping[str, Any]) -> Message:
    if isinstance(entry, Message):
        return entry
    if isinstance(entry, Mapping):
        fields = {name: value for name, value in entry.items() if name not in ("role", "content", "trained")}
        role, content, trained = entry.get("role"), entry.get("content"), entry.get("trained")
        if trained not in (None, True, False):
            raise InputError(f"message {index}: trained is {trained!r}; expected true or false")
        if content is None and ("content" not in entry or not fields):
            raise InputError(f"message {index} has no content; expected {{'role': ..., 'content': ...}}")
        if content is None or isinstance(content, list):  # a call of tools alone, or content in parts
            fields["content"] = content
            content = "".join(part.get("text", "") for part in content or () if isinstance(part, Mapping))
    elif isinstance(entry, list | tuple) and len(entry) == 2:
        (role, content), trained, fields = entry, None, {}
    else:
        raise InputError(f"message {index} is {entry!r:.80}; expected a role with a text, or a dict with role and content")
    for name, value in (("role", role), ("content", content)):
        if not isinstance(value, str):
            raise InputError(f"message {index}: {name} is {type(value).__name__}; expected text")
    return Message(role, content, trained, fields)


@dataclasses.dataclass(frozen=True)
class Span:
    """A run of rendered text, or one control token (`special`: "bos", "eos" or a literal such as "<|im_end|>").

    Attributes:
      trained: whether its tokens are.
      trimmable: whether it may be shortened.
      begins: whether it is tokenised as a text of its own, with the space that some tokenizers begin with, whatever stands
        before it. An answer that begins has the ids of the same words in its prompt, which makes it easier to learn.
      seam: whether a token begins with it, though the text before it goes on: an answer's first words have the same ids
        whether they are trained, generated, or read again in a later prompt.
    """

    text: str = ""
    special: str | None = None
    trained: bool = False
    trimmable: bool = False
    begins: bool = False
    seam: bool = False


class ChatTemplate(abc.ABC):
    """How turns are written: a conversation becomes spans of text and control tokens, each trained or not.

    Attributes:
      name: recorded in manifests and named in errors.
    """

    name: str

    @abc.abstractmethod
    def spans(self, conversation: Conversation, add_generation_prompt: bool = False) -> list[Span]:
        """The spans of a conversation, in order.

        With `add_generation_prompt` they end with what opens an assistant turn.

        Raises:
          HistoryRewritten: a trained turn reads otherwise here than when it was the last; see `rows`.
          InputError: the template cannot write this conversation.
        """

    @abc.abstractmethod
    def rows(self, conversation: Conversation) -> list[list[Span]]:
        """Spans of as many texts as it takes to train each trained turn once, in the context in which it is served.

        Raises:
          InputError: the template cannot write this conversation, or its mask cannot be derived.
        """

    @abc.abstractmethod
    def stops(self) -> tuple[str, ...]:
        """The control tokens that close an assistant turn, as far as they are known: generation stops on them."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Hash of all that decides the rendered text."""

    @abc.abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The template as JSON values, its kind and fingerprint among them; read by `chat.template_from_json`."""


class HistoryRewritten(InputError):
    """A template writes an earlier turn otherwise than it was served, so that one row cannot train all turns."""
