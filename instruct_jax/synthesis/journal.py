"""What a generator answered, on disk as soon as it answered: the one thing in a run that costs, and cannot be had again.

All else (the prompts, the filters, the tables) follows from the settings and these answers. A run that was stopped is
begun again from its first round, finds the answers of its past in the journal, and asks for what comes after.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from instruct_jax.artifacts import lock
from instruct_jax.artifacts.manifest import identity_of
from instruct_jax.errors import InputError
from instruct_jax.synthesis.generator import Completion


class Journal:
    """A file with the settings on its first line, and the completions of one request for several on each line after it.

    Args:
      file: where it is.
      stream: the same, open to be added to.
      entries: what it holds, but for the settings.
    """

    def __init__(self, file: Path, stream: TextIO, entries: list[dict[str, Any]]):
        self._file, self._stream, self._entries, self._read = file, stream, entries, 0

    @property
    def remembered(self) -> int:
        """How many requests were found in the file and have not been asked for yet."""
        return len(self._entries) - self._read

    def completions(self, name: str, prompts: Sequence[str], ask: Callable[[], Sequence[Completion]]) -> list[Completion]:
        """The completions of these prompts: those of the file as long as it has some, new ones after that.

        Args:
          name: of the request; with the prompts it tells whether the file's next line is what is wanted.
          prompts: what is asked; nothing asked is nothing answered, and leaves no line.
          ask: called where the file has no more; what it returns is on disk before this function returns.

        Raises:
          InputError: the file has completions of something else.
        """
        if not prompts:
            return []
        asked = identity_of(list(prompts))
        if self._read == len(self._entries):
            answers = list(ask())
            assert len(answers) == len(prompts), (len(answers), len(prompts))
            _write_line(
                self._stream, {"name": name, "prompts": asked, "completions": [dataclasses.asdict(one) for one in answers]}
            )
            return answers
        entry = self._entries[self._read]
        if (entry.get("name"), entry.get("prompts")) != (name, asked):
            raise InputError(
                f"{self._file}:{self._read + 2} holds the answers to {entry.get('name')}, not to these prompts of {name}: it was "
                "made by another version of instruct_jax or edited; choose another WORKDIR"
            )
        self._entries[self._read] = {}  # read once: the texts of a long run need not stay in memory
        self._read += 1
        return [Completion(**fields) for fields in entry["completions"]]


@contextlib.contextmanager
def opened(file: Path, settings: Mapping[str, Any]) -> Iterator[Journal]:
    """A run's journal, new or found, and locked meanwhile. One without any answer yet takes these settings as its own.

    Raises:
      InputError: the file is of other settings, another process is at it, or a line before its last is damaged. A last line
        without an end was cut when the process was killed, and is taken away.
    """
    wanted = json.loads(json.dumps(settings))
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a", encoding="utf-8") as stream:
        lock.hold(stream, file.parent)
        first, *entries = _whole_lines(file) or [None]
        if not entries:
            stream.truncate(0)
            _write_line(stream, {"settings": wanted})
        elif first.get("settings") != wanted:
            raise InputError(
                f"{file.parent} was begun with other settings: {_difference(first.get('settings'), wanted)}; "
                "choose another WORKDIR, or set them as they were"
            )
        yield Journal(file, stream, entries)


def _write_line(stream: TextIO, entry: Mapping[str, Any]) -> None:
    stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
    stream.flush()
    os.fsync(stream.fileno())


def _whole_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a journal, after a last one that was cut has been taken off the file."""
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with open(file, "r+b") as stream:
            stream.truncate(whole)
    entries = []
    for number, line in enumerate(content[:whole].splitlines(), 1):
        try:
            entries.append(json.loads(line))
            if not isinstance(entries[-1], dict):
                raise ValueError("no object")
        except ValueError as error:
            raise InputError(f"{file}:{number} is damaged ({error}); choose another WORKDIR") from None
    return entries


def _difference(held: Any, wanted: Any, at: str = "") -> str:
    """The first place in which two settings differ, in words.

    >>> _difference({"a": {"b": 1}}, {"a": {"b": 2}})
    'a.b was 1 and is 2'
    """
    if isinstance(held, dict) and isinstance(wanted, dict):
        for key in sorted({*held, *wanted}):
            if held.get(key) != wanted.get(key):
                return _difference(held.get(key), wanted.get(key), f"{at}.{key}" if at else key)
    return f"{at or 'they'} was {json.dumps(held)[:80]} and is {json.dumps(wanted)[:80]}"
