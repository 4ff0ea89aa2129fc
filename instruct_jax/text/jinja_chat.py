"""A chat template in Jinja, as models are published with: its text, and the loss mask derived from what it writes.

No marker is searched for. The text with the generation prompt before a turn must be a beginning of the text with that
turn: what lies between is what the model is asked for. Where the turn's content ends is seen by writing the same
conversation with another content; the first control token after it closes the turn, and is the last that is trained.
"""

import dataclasses
import datetime
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import RENDERER_VERSION, ChatTemplate, Conversation, HistoryRewritten, Message, Span
from instruct_jax.text.jinja_sandbox import Program, Text

# Code points that Unicode gives to no character; three that occur nowhere in a conversation do service while it is written.
_NONCHARACTERS = [chr(code) for code in range(0xFDD4, 0xFDF0)]
_REASONING = ("reasoning_content", "thinking", "reasoning")

Turn = dict[str, Any]
Range = tuple[int, int]


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
      name: recorded in manifests and named in errors.
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
        sheet = _Sheet(self, conversation)
        return sheet.plain(sheet.written(sheet.turns, add_generation_prompt).text)

    def spans(self, conversation: Conversation, add_generation_prompt: bool = False) -> list[Span]:
        """See `ChatTemplate.spans`. With the generation prompt all of it is prompt: nothing is trained."""
        if conversation.is_document():
            return self._document(conversation, add_generation_prompt)
        sheet = _Sheet(self, conversation)
        whole = sheet.written(sheet.turns, add_generation_prompt).text
        if add_generation_prompt:
            return sheet.spans(whole, [])
        trained = []
        for index in sheet.trained():
            response = sheet.response(index)
            if not whole.startswith(response.upto):
                raise HistoryRewritten(
                    f"chat template {self.name!r} writes turn {index} otherwise once later turns follow it, so that one text "
                    "cannot train it as it is served; unroll the conversation into one text for each, or train its last turn only"
                )
            trained.append(response.range)
        return sheet.spans(whole, trained)

    def unrolled(self, conversation: Conversation) -> list[Conversation]:
        """Beginnings of the conversation, each training the turns that read there as they do when they are served."""
        if conversation.is_document():
            return [conversation]
        sheet = _Sheet(self, conversation)
        left = {index: sheet.response(index).upto for index in sheet.trained()}
        whole = sheet.written(sheet.turns, False).text
        if all(whole.startswith(text) for text in left.values()):
            return [conversation]
        parts: list[Conversation] = []
        while left:
            last = max(left)
            text = sheet.written(sheet.turns[: last + 1], False).text
            group = {index for index, upto in left.items() if text.startswith(upto)}
            messages = conversation.messages[: last + 1]
            marked = [dataclasses.replace(one, trained=index in group) for index, one in enumerate(messages)]
            parts.append(dataclasses.replace(conversation, messages=tuple(marked)))
            left = {index: upto for index, upto in left.items() if index not in group}
        return parts[::-1]

    def stops(self) -> tuple[str, ...]:
        """The control token that closes an answer, and the tokenizer's own end of text."""
        sheet = _Sheet(self, Conversation((Message("user", "a"), Message("assistant", "b"))))
        closing = sheet.response(1).closing
        own = [self.eos_token] if self.eos_token in self._controls() else []
        return tuple(dict.fromkeys([closing, *own]))

    def fingerprint(self) -> str:
        fields = {**dataclasses.asdict(self), "variables": dict(self.variables)}
        return hashlib.sha256(json.dumps([RENDERER_VERSION, fields], sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        fields = {**dataclasses.asdict(self), "variables": dict(self.variables)}
        return {"kind": "jinja", **fields, "fingerprint": self.fingerprint()}

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


@dataclasses.dataclass(frozen=True)
class _Response:
    """One trained turn.

    Attributes:
      upto: the text up to and with the token that closes the turn.
      range: the trained characters of it.
      closing: the control token that closes the turn.
    """

    upto: str
    range: Range
    closing: str


class _Sheet:
    """One conversation while it is written: its control tokens shielded, its noncharacters chosen."""

    def __init__(self, template: JinjaTemplate, conversation: Conversation):
        if not conversation.messages:
            raise InputError("a conversation without messages cannot be rendered; drop it, or give it a prompt and a response")
        self._template, self._conversation = template, conversation
        self._program = _program(template.source, template.name, template.date)
        given = [[_turn(message) for message in conversation.messages], list(conversation.tools), dict(template.variables)]
        used = set().union(*map(set, _texts([given, template.source])))
        free = [one for one in _NONCHARACTERS if one not in used][:3]
        if len(free) < 3:
            raise InputError("a conversation uses nearly all of Unicode's noncharacters, which are no text; drop the row")
        self._shield, *marks = free
        self._marks = (marks[0], marks[1])
        controls = sorted(template._controls(), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, controls)) or "(?!)")
        self.turns, self._tools, self._variables = self._shielded(given)
        # A word that no template looks for, and that no change of case or of space alters the place of.
        self._word = "zqxj"
        while any(self._word in text.lower() for text in _texts([given, template.source])):
            self._word += "zqxj"

    def _shielded(self, value: Any) -> Any:
        """The value with a noncharacter within each control token that its texts spell."""
        if isinstance(value, str):
            return self._control.sub(lambda match: match[0][0] + self._shield + match[0][1:], value)
        if isinstance(value, Mapping):
            return {name: self._shielded(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._shielded(one) for one in value]
        return value

    def plain(self, text: str) -> str:
        """The text without shields, also where the template has escaped them."""
        return text.replace(self._shield, "").replace(json.dumps(self._shield)[1:-1], "")

    def written(self, turns: Sequence[Turn], add_generation_prompt: bool) -> Text:
        """What the template writes of these turns, shields and all."""
        template = self._template
        named = {"bos_token": template.bos_token, "eos_token": template.eos_token}
        variables = {name: token for name, token in named.items() if token is not None}
        variables |= {"messages": turns, "tools": None, "documents": None, **self._variables}
        variables["add_generation_prompt"] = add_generation_prompt
        if self._tools:
            variables["tools"] = self._tools
        return self._program.run(variables, self._marks)

    def trained(self) -> list[int]:
        """The turns that are trained."""
        return [index for index, message in enumerate(self._conversation.messages) if message.is_trained()]

    def response(self, index: int) -> _Response:
        """The turn as it is served: what the model is asked to write after the generation prompt.

        Raises:
          InputError: that cannot be told from the template's text; with the reason.
        """
        turns = self.turns[: index + 1]
        prompt = self.written(turns[:-1], True).text if index else self._begun()
        asked = self.written(turns, False)
        other = self.written([*turns[:-1], self._replaced(turns[-1])], False).text
        place = other.rfind(self._word)
        if place < 0:
            raise self._refusal(index, "the template does not write what the turn says")
        tail = other[place + len(self._word) :]
        closing = self._control.search(tail)
        content_end = len(asked.text) - len(tail)
        if closing is None:
            raise self._refusal(index, "no control token closes the turn, so that generation would never stop")
        if not asked.text.startswith(prompt) or len(asked.text) <= len(prompt):
            raise self._refusal(index, "the text with the generation prompt is no beginning of the text with the turn")
        if not asked.text.endswith(tail) or content_end < len(prompt) or not other.startswith(prompt):
            raise self._refusal(index, "where the turn's content lies depends on what it says")
        header = other[len(prompt) : other.find(self._word)]
        if self._control.search(header) and prompt == (self.written(turns[:-1], False).text if index else ""):
            raise self._refusal(index, "the template has no generation prompt, so that the mask would begin in the turn's header")
        if self._program.marks_generated:
            covering = [one for one in asked.generated if len(prompt) <= one[0] and one[1] >= content_end]
            if not covering:
                raise self._refusal(index, "the part that the template marks as generated is not the turn's content")
        end = content_end + closing.end()
        return _Response(asked.text[:end], (len(prompt), end), closing[0])

    def _begun(self) -> str:
        """The generation prompt of an empty conversation, for an assistant that speaks first."""
        return self.written([], True).text

    def _refusal(self, index: int, reason: str) -> InputError:
        return InputError(
            f"chat template {self._template.name!r}: the loss mask of turn {index} cannot be derived: {reason}; "
            "mark the turn as not trained, or choose another template"
        )

    def _replaced(self, turn: Turn) -> Turn:
        """The turn with other content, and with calls of another tool where it calls any."""
        changed = {**turn, "content": self._word}
        calls = turn.get("tool_calls")
        if isinstance(calls, list) and calls:
            changed["content"] = turn["content"]
            changed["tool_calls"] = [*calls[:-1], self._replaced_call(calls[-1])]
        return changed

    def _replaced_call(self, call: Any) -> Any:
        if not isinstance(call, Mapping):
            return call
        if isinstance(call.get("function"), Mapping):
            return {**call, "function": self._replaced_call(call["function"])}
        arguments = self._word if isinstance(call.get("arguments"), str) else {self._word: self._word}
        return {**call, "arguments": arguments}

    def spans(self, text: str, trained: Sequence[Range]) -> list[Span]:
        """The text as spans: cut at control tokens, and where what is trained or what may be shortened begins and ends."""
        trimmable = self._trimmable(text) if trained else []
        edges = sorted({0, len(text), *(edge for one in (*trained, *trimmable) for edge in one)})
        out = []
        position = 0
        for match in [*self._control.finditer(text), None]:
            end = len(text) if match is None else match.start()
            cuts = [position, *(edge for edge in edges if position < edge < end), end]
            for begin, until in itertools.pairwise(cuts):
                words = self.plain(text[begin:until])
                if words:
                    out.append(Span(words, None, _within(begin, until, trained), _within(begin, until, trimmable)))
            if match is not None:
                out.append(Span("", match[0], _within(match.start(), match.end(), trained)))
                position = match.end()
        return out

    def _trimmable(self, whole: str) -> list[Range]:
        """Where the contents of turns lie that are not the assistant's; nothing where the template does not keep them whole.

        All contents are replaced by words of their own; what stands between these words must then stand, in the same
        order, between the contents.
        """
        turns, words = [], []
        for index, turn in enumerate(self.turns):
            simple = isinstance(turn["content"], str) and turn["content"].strip()
            words.append(f"{self._word}{index}q" if simple else None)
            turns.append({**turn, "content": words[-1]} if simple else turn)
        try:
            other = self.written(turns, False).text
        except InputError:
            return []
        position, found, rest = 0, [], other
        for turn, word in zip(self.turns, words, strict=True):
            if word is None:
                continue
            between, seen, rest = rest.partition(word)
            following = _before(rest, [one for one in words if one])
            position += len(between)
            if not seen or not whole.startswith(between, position - len(between)):
                return []
            for content in (turn["content"], turn["content"].strip(), turn["content"].rstrip(), turn["content"].lstrip()):
                if whole.startswith(content + following, position):
                    break
            else:
                return []
            if turn["role"] != "assistant":
                found.append((position, position + len(content)))
            position += len(content)
        return found if whole[position:] == rest else []


def _before(text: str, words: Sequence[str]) -> str:
    """The text before the first of the words."""
    return text[: min((place for place in map(text.find, words) if place >= 0), default=len(text))]


def _within(begin: int, end: int, ranges: Sequence[Range]) -> bool:
    return any(start <= begin and end <= stop for start, stop in ranges)


def _turn(message: Message) -> Turn:
    """A message as templates expect it; its reasoning under every name that they ask for."""
    turn = {"role": message.role, "content": message.text, **message.fields}
    reasoning = next((turn[name] for name in _REASONING if turn.get(name) is not None), None)
    return turn if reasoning is None else {"thinking": reasoning, **turn, "reasoning_content": reasoning}


def _texts(value: Any) -> list[str]:
    """Every text within a value."""
    found, stack = [], [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, Mapping):
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            stack += one
    return found


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
