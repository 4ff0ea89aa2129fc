"""Files of any known format as a SeqIO task, so that a recipe can name them and no module has to register them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import seqio
from rich.console import Console

from instruct_jax.errors import InputError
from instruct_jax.progress import say
from instruct_jax.tasks.files.records import Records
from instruct_jax.tasks.files.row_form import RowForm
from instruct_jax.tasks.files.row_forms import CONVERSATION_LINES, row_form
from instruct_jax.tasks.files.training_records import VERSION, TrainingRecords
from instruct_jax.tasks.formats import open_samples
from instruct_jax.tasks.identity import function_identity
from instruct_jax.tasks.instruct import text_features
from instruct_jax.tasks.sources import RecordSource


def add_task(
    files: str | Sequence[str] = (),
    name: str = "conversations",
    format: RowForm | str | None = None,
    split: str = "train",
    jsonl: str | Sequence[str] | None = None,
) -> str:
    """Register files of rows as a task, and say how they are read; a second call replaces the first. Its split is "train".

    Chosen answers are trained, desired ones of unpaired labels, and worked answers; earlier turns of a preference pair are
    not. Prompt settings such as exemplars do not apply: rows come in their own words.

    Args:
      files: a file, a glob, a folder, a URL, or several of them, of any container; see `formats.read`.
      name: of the task.
      format: how rows are to be read, by name or as a value; None: by looking at them.
      split: which to read of a folder that has several.
      jsonl: or else, JSONL files of messages, or of prompt and completion, or of both.

    Returns:
      The task's name.

    Raises:
      InputError: not exactly one of `files` and `jsonl` is given, there are no rows, or no format fits them.
    """
    given = {"FILES": [files] if isinstance(files, str | Path) else list(files)}
    given["JSONL"] = [jsonl] if isinstance(jsonl, str | Path) else list(jsonl or ())
    if all(given.values()) or not any(given.values()):
        raise InputError(
            f"FILES {'and JSONL are both set' if all(given.values()) else 'is empty'}; give files of rows, a glob, or several"
        )
    if jsonl and format is not None:
        raise InputError("FORMAT says how FILES are read, and JSONL is read as it always is; give the files as FILES")
    source = SampleSource(given["FILES"] or given["JSONL"], CONVERSATION_LINES if jsonl else format, split)
    if name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(name)
    say(Console(), f"{name}: {source.description()}")
    seqio.TaskRegistry.add(name, source=source, preprocessors=[], output_features=text_features())
    return name


class SampleSource(RecordSource):
    """What `formats.read` reads, as a SeqIO source by index with one split, "train"; see `training_records`.

    Args:
      files, format, split: as `formats.read` has them.

    Raises:
      InputError: there are no rows, or no format fits them.
    """

    def __init__(self, files: Sequence[str], format: RowForm | str | None, split: str = "train"):
        super().__init__(splits=("train",))
        self._files, self._format, self._split = tuple(files), row_form(format) if isinstance(format, str) else format, split
        self._samples = open_samples(self._files, self._format, split)

    def __repr__(self) -> str:
        return f"SampleSource({self.description()})"

    def description(self) -> str:
        """What there is and how it is read, in one line."""
        return self._samples.description()

    def read(self, split: str) -> Records:
        del split  # the only one
        return TrainingRecords(self._samples)

    def identity(self, split: str) -> Any:
        del split
        return [VERSION, function_identity(self._samples.form), self._samples.records.identity()]
