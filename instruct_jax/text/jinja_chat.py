"""A chat template in Jinja, as models are published with: its text, and all that its text depends on."""

import dataclasses
import datetime
import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import RENDERER_VERSION, ChatTemplate, Conversation, HistoryRewritten, Message, Span
from instruct_jax.text.jinja_mask import Mask
from instruct_jax.text.jinja_meter import Meter
from instruct_jax.text.jinja_sandbox import Program, Text
from instruct_jax.text.jinja_sheet import REASONING, Sheet, Turn
from instruct_jax.text.jinja_shield import Shield, free_marks, shield_of, texts_of

_QUESTION = Message("user", "a")
# A tool, and the call of it that templates of all families can write.
_TOOL = {"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object", "properties": {}}}}
_CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "look", "arguments": {"at": "b"}}}


@dataclasses.dataclass(frozen=True)
class JinjaTemplate(ChatTemplate):
    """A Jinja chat template and all that its text depends on.

    Attributes:
      source: the template.
      bos_token, eos_token: as the template is given them.
      special_tokens: the tokenizer's control tokens. Where the template writes one it is one; where a message spells one it
        stays text.
      variables: what else the template is given, such as enable_thinking; JSON values.
      date: "YYYY-MM-DD", for templates that write today's date; None: they cannot ask for it.
      adds_bos: whether a plain document begins with bos.
      name: recorded in manifests and named in errors; no part of the identity.
    """

    source: str
    bos_token: str | None = None
    eos_token: str | None = None
    special_tokens: tuple[str, ...] = ()
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    date: str | None = None
    adds_bos: bool = False
    name: str = "jinja"

    def __post_init__(self):
        if self.date is not None:
            try:
                datetime.date.fromisoformat(self.date)
            except ValueError:
                raise InputError(f"chat template {self.name!r}: date is {self.date!r}; expected YYYY-MM-DD") from None

    def text(self, conversation: Conversation, add_generation_prompt: bool = False) -> str:
        """What the template writes, control tokens and all."""
        sheet = self._sheet(conversation)
        return sheet.plain(sheet.written(len(conversation.messages), add_generation_prompt).text)

    def spans(self, conversation: Conversation, add_generation_prompt: bool = False) -> list[Span]:
        """See `ChatTemplate.spans`. With the generation prompt all of it is prompt: nothing is trained."""
        if add_generation_prompt and not conversation.is_document():
            return self._mask(conversation).spans(len(conversation.messages), True, [])
        rows = [self._document(conversation, True)] if add_generation_prompt else self.rows(conversation)
        if len(rows) > 1:
            raise HistoryRewritten(
                f"chat template {self.name!r} writes an earlier turn otherwise once later turns follow it, so that one text "
                "cannot train it as it is served; unroll the conversation into one text for each, or train its last turn only"
            )
        return rows[0]

    def rows(self, conversation: Conversation) -> list[list[Span]]:
        """See `ChatTemplate.rows`: beginnings of the conversation, each training the turns that read there as when served."""
        if conversation.is_document():
            return [self._document(conversation, False)]
        mask = self._mask(conversation)
        return [mask.spans(count, False, trained) for count, trained in mask.parts()]

    def stops(self) -> tuple[str, ...]:
        """The control tokens that close an answer and a call of a tool, and the tokenizer's own end of text.

        Those that the template does not let be found are left out: it can then be served, though not trained.
        """
        answer = Conversation((_QUESTION, Message("assistant", "b")))
        asked = [answer]
        if "tool_calls" in self.source:
            call = Message("assistant", "", fields={"tool_calls": [_CALL]})
            asked.append(Conversation((_QUESTION, call), (_TOOL,)))
        found = [self._mask(conversation).closing(1) for conversation in asked]
        own = self.eos_token if self.eos_token in self._controls() else None
        return tuple(dict.fromkeys(one for one in (*found, own) if one))

    def fingerprint(self) -> str:
        fields = {name: value for name, value in self._fields().items() if name != "name"}
        return hashlib.sha256(json.dumps([RENDERER_VERSION, fields], sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {"kind": "jinja", **self._fields(), "fingerprint": self.fingerprint()}

    def _fields(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "variables": dict(self.variables)}

    def _sheet(self, conversation: Conversation) -> Sheet:
        if not conversation.messages:
            raise InputError("a conversation without messages cannot be rendered; drop it, or give it a prompt and a response")
        program = _program(self.source, self.name, self.date)
        shield = self._shield()
        turns = [_turn(message, self.source) for message in conversation.messages]
        mark, *marks = free_marks(texts_of([turns, list(conversation.tools), dict(self.variables), self.source]))
        tools = shield.value(list(conversation.tools), mark) or None
        given = {**self._ends(), "messages": None, "tools": None, "documents": None, **self.variables}
        if tools:
            given["tools"] = tools

        meter = Meter()

        def write(turns: Sequence[Turn], add_generation_prompt: bool) -> Text:
            variables = {**given, "messages": turns, "add_generation_prompt": add_generation_prompt}
            try:
                return program.run(variables, (marks[0], marks[1]), meter)
            except InputError as error:
                if self.date is None and "'strftime_now' is undefined" in str(error):
                    raise InputError(f"chat template {self.name!r} writes today's date; set TEMPLATE_DATE, YYYY-MM-DD") from None
                raise

        return Sheet(shield.turns(turns, mark), shield, mark, write, self.source)

    def _mask(self, conversation: Conversation) -> Mask:
        trained = [index for index, message in enumerate(conversation.messages) if message.is_trained()]
        program = _program(self.source, self.name, self.date)
        asks = bool(trained) and _asks(self)
        return Mask(self.name, self._sheet(conversation), trained, self._shield(), program.marks_generated, asks)

    def _shield(self) -> Shield:
        own = tuple(self._ends().values())
        return shield_of(self.source, self._controls(), (*own, *texts_of(dict(self.variables))), own)

    def _ends(self) -> dict[str, str]:
        """The tokenizer's own bos and eos, as far as it has them, by the names that templates know."""
        both = {"bos_token": self.bos_token, "eos_token": self.eos_token}
        return {name: token for name, token in both.items() if token is not None}

    def _controls(self) -> tuple[str, ...]:
        named = [token for token in (self.bos_token, self.eos_token) if token]
        return tuple(dict.fromkeys([*self.special_tokens, *named]))

    def _document(self, conversation: Conversation, add_generation_prompt: bool) -> list[Span]:
        if len(conversation.messages) > 1 or add_generation_prompt:
            raise InputError("a plain document (role 'text') stands alone; it cannot be one turn among others")
        (message,) = conversation.messages
        trained = message.is_trained()
        begin = [Span(special=self.bos_token)] if self.adds_bos and self.bos_token else []
        text = [Span(message.text, trained=trained)] if message.text else []
        end = [Span(special=self.eos_token, trained=trained)] if self.eos_token else []
        return [*begin, *text, *end]


def _turn(message: Message, source: str) -> Turn:
    """A message as templates expect it; its reasoning also under the names that the source asks for."""
    turn = {"role": message.role, "content": message.text, **message.fields}
    reasoning = next((turn[name] for name in REASONING if turn.get(name) is not None), None)
    if reasoning is None:
        return turn
    return {**turn, **{name: reasoning for name in REASONING if turn.get(name) is None and re.search(rf"\b{name}\b", source)}}


@functools.lru_cache(maxsize=16)
def _asks(template: JinjaTemplate) -> bool:
    """Whether the template writes anything for the generation prompt after a user's turn."""
    question = Conversation((_QUESTION,))
    try:
        return template.text(question, True) != template.text(question)
    except InputError:  # it cannot write a question alone; each conversation then tells for itself
        return False


@functools.lru_cache(maxsize=16)
def _program(source: str, name: str, date: str | None) -> Program:
    functions: dict[str, Callable[[str], str]] = {}
    if date is not None:
        functions["strftime_now"] = functools.partial(_formatted_date, datetime.date.fromisoformat(date))
    return Program(source, name, functions)


def _formatted_date(date: datetime.date, form: str) -> str:
    if len(form) > 100 or re.search(r"%[^a-zA-Z%]", form):
        raise ValueError(f"the date format {form!r:.40} is not one of plain letters")
    return date.strftime(form)
