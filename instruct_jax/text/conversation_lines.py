"""Conversations from a JSONL file, by line: {"messages": [...]} in the OpenAI format, or {"prompt": ..., "completion": ...}."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Conversation, Message, conversation_of


class ConversationLines:
    """The conversations of a file by index; memory holds an offset a line, and empty lines are passed over.

    Raises:
      InputError: there is no such file, or it holds nothing.
    """

    def __init__(self, file: str | Path):
        self._file = Path(file)
        if not self._file.is_file():
            raise InputError(f"there is no file {file}; give a .jsonl with a conversation a line")
        starts, numbers, offset = [], [], 0
        with open(self._file, "rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.isspace():
                    starts.append(offset)
                    numbers.append(number)
                offset += len(line)
        if not starts:
            raise InputError(f"{file} is empty; give a .jsonl with a conversation a line")
        self._starts, self._numbers = np.array(starts, np.int64), np.array(numbers, np.int64)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Conversation:
        """One conversation.

        Raises:
          InputError: the line is none; the message begins with the file and the line.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        with open(self._file, "rb") as stream:
            stream.seek(int(self._starts[index]))
            line = stream.readline()
        where = self.where(index)
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where}: not valid JSON ({error}); mend the line") from None
        try:
            return line_conversation(fields)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    def where(self, index: int) -> str:
        """The file and the line of a conversation."""
        return f"{self._file}:{self._numbers[index]}"


def line_conversation(fields: Any) -> Conversation:
    """The conversation of one line's JSON value.

    Args:
      fields: {"messages": [...]}, perhaps with "tools"; or {"prompt", "completion"}. Other fields are not looked at.

    Raises:
      InputError: it is neither.

    >>> [message.text for message in line_conversation({"prompt": "1+1?", "completion": "2"}).messages]
    ['1+1?', '2']
    """
    if not isinstance(fields, dict):
        raise InputError(f"expected an object with 'messages', got {type(fields).__name__}; mend the line")
    if "messages" in fields:
        tools = fields.get("tools") or []
        if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
            raise InputError(f"tools are {tools!r:.80}; expected a list of objects")
        found = conversation_of(fields["messages"])
        if not found.messages:
            raise InputError("'messages' is empty; drop the line, or give it a message")
        return Conversation(found.messages, tuple(tools))
    texts = [fields.get(name) for name in ("prompt", "completion")]
    if not all(isinstance(text, str) for text in texts):
        have = ", ".join(map(str, fields)) or "nothing"
        raise InputError(f"expected 'messages', or the texts 'prompt' and 'completion'; it has: {have}")
    return Conversation((Message("user", texts[0]), Message("assistant", texts[1])))
