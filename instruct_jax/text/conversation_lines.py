"""Conversations from a JSONL file, read by line: {"messages": [...]} or {"prompt": ..., "completion": ...}.

A message is {"role": "user", "content": "..."}; "trained": false takes an assistant's turn out of the loss.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.text.chat import ROLES
from instruct_jax.text.conversation import Conversation, Message

_FIELDS = ("role", "content", "trained")


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
        with open(self._file, "rb") as stream:
            stream.seek(int(self._starts[index]), os.SEEK_SET)
            line = stream.readline()
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise InputError(f"{self.where(index)}: not valid JSON ({error}); mend the line") from None
        return conversation_of(fields, self.where(index))

    def where(self, index: int) -> str:
        """The file and the line of a conversation."""
        return f"{self._file}:{self._numbers[index]}"


def conversation_of(fields: Any, where: str) -> Conversation:
    """A conversation from the fields of a JSON object.

    Args:
      fields: {"messages": [...]} or {"prompt", "completion"}.
      where: what an error message begins with.

    Raises:
      InputError: it is neither.

    >>> conversation_of({"prompt": "1+1?", "completion": "2"}, "line 1").messages[1]
    Message(role='assistant', text='2', trained=None)
    """
    if not isinstance(fields, dict):
        raise InputError(f"{where}: expected an object with 'messages', got {type(fields).__name__}; mend the line")
    if "messages" in fields:
        if not isinstance(fields["messages"], list) or not fields["messages"]:
            raise InputError(f"{where}: 'messages' must be a list of at least one message; mend the line")
        return Conversation(tuple(_message(one, f"{where}: message {n}") for n, one in enumerate(fields["messages"], 1)))
    texts = [fields.get(name) for name in ("prompt", "completion")]
    if not all(isinstance(text, str) for text in texts):
        have = ", ".join(map(str, fields)) or "nothing"
        raise InputError(f"{where}: expected 'messages', or the texts 'prompt' and 'completion'; it has: {have}")
    return Conversation((Message("user", texts[0]), Message("assistant", texts[1])))


def _message(fields: Any, where: str) -> Message:
    if not isinstance(fields, dict):
        raise InputError(f"{where}: expected an object with 'role' and 'content', got {type(fields).__name__}; mend the line")
    if unknown := sorted(set(fields) - set(_FIELDS)):
        raise InputError(f"{where}: field {unknown[0]!r} is not understood; it may have {', '.join(_FIELDS)}")
    role, content, trained = (fields.get(name) for name in _FIELDS)
    if role not in ROLES:
        raise InputError(f"{where}: role is {role!r}; expected one of {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise InputError(f"{where}: content is {type(content).__name__}; expected text")
    if trained is not None and not isinstance(trained, bool):
        raise InputError(f"{where}: trained is {trained!r}; expected true or false")
    return Message(role, content, trained)
