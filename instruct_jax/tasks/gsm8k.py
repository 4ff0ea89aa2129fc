"""GSM8K: grade-school mathematics with worked answers, asked for the number alone or for the reasoning with it.

The published files hold {"question", "answer"} a line; the answer's last line is "#### n", and "<<48/2=24>>" in it is a note
for a calculator, which is left out. Cobbe et al. 2021, arXiv:2110.14168.
"""

import functools
import re
from pathlib import Path
from typing import Any

import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import JsonRecords, MalformedRow, Records
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.sources import RecordSource
from instruct_jax.text.templates import Template

_NOTE = re.compile(r"<<[^<>]*>>")
_FINAL = re.compile(r"\n?####\s*(\S.*?)\s*$")
_template = functools.partial(Template, reference="Cobbe et al. 2021, arXiv:2110.14168")

TEMPLATES = (
    _template("solve", "Solve this problem.\n{question}", rationale="{rationale}\nSo the answer is {answer}."),
    _template("bare", "{question}", rationale="{rationale}\nThe answer is {answer}."),
    _template("number", "{question}\nWhich number answers the question?", rationale="{rationale}\nThe number is {answer}."),
    _template("labelled", "Question: {question}\nAnswer with a number.", rationale="{rationale}\nThat makes {answer}."),
    _template(
        "pupil",
        "A pupil is given this exercise:\n\n{question}\n\nWhat is the result?",
        rationale="{rationale}\nThe result is {answer}.",
    ),
    _template(
        "ask_problem",
        "Make up a word problem whose answer is {answer}.",
        "{question}",
        original_task=False,
    ),
    _template(
        "ask_problem_of_working",
        "Here is how a problem was worked out:\n{rationale}\nWhat was the problem?",
        "{question}",
        original_task=False,
    ),
    _template("quiz", "Here is a quiz in arithmetic. {question}", rationale="{rationale}\nAnswer: {answer}", reserved=True),
    _template("teacher", "{question}\nTell your teacher the number.", rationale="{rationale}\nIt is {answer}.", reserved=True),
    _template("work_out", "Work out the following.\n\n{question}", rationale="{rationale}\nThis gives {answer}.", reserved=True),
)


def add_task(folder: str, name: str = "gsm8k") -> str:
    """Register GSM8K as a task; a second call replaces the first.

    Args:
      folder: holds train.jsonl and test.jsonl as published.
      name: of the task.

    Returns:
      The task's name.

    Raises:
      InputError: a file is not there.
    """
    files = {split: Path(folder) / f"{split}.jsonl" for split in ("train", "test")}
    for file in files.values():
        if not file.is_file():
            raise InputError(f"there is no {file}; give the folder of GSM8K's train.jsonl and test.jsonl")
    if name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(name)
    instruct = Instruct(TEMPLATES, cluster="mathematics", dataset="gsm8k")
    seqio.TaskRegistry.add(name, source=WorkedProblems(files), preprocessors=[instruct], output_features=text_features())
    return name


class WorkedProblems(RecordSource):
    """GSM8K's files as records of {"question", "rationale", "answer"}.

    Args:
      files: of each split.
    """

    def __init__(self, files: dict[str, Path]):
        super().__init__(splits=tuple(files))
        self._files = files

    def __repr__(self) -> str:
        return f"WorkedProblems({ {split: str(file) for split, file in self._files.items()} })"

    def read(self, split: str) -> "WorkedRecords":
        return WorkedRecords(JsonRecords([self._files[split]]))

    def identity(self, split: str) -> Any:
        return [_VERSION, self.records(split).identity()]


_VERSION = 1  # raise it when the same files would give other records


class WorkedRecords(Records):
    """Lines of GSM8K, the worked answer apart from its number."""

    def __init__(self, lines: JsonRecords):
        self._lines, self.size = lines, lines.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        fields = self._lines[index]
        for name in ("question", "answer"):
            if not isinstance(fields.get(name), str):
                found = type(fields[name]).__name__ if name in fields else "nothing"
                raise MalformedRow(f"{self.where(index)}: field {name!r} must be text, found {found}; mend the row")
        try:
            rationale, answer = worked(fields["answer"])
        except InputError as error:
            raise MalformedRow(f"{self.where(index)}: {error}") from None
        return {"question": fields["question"].strip(), "rationale": rationale, "answer": answer}

    def where(self, index: int) -> str:
        return self._lines.where(index)

    def identity(self) -> Any:
        return self._lines.identity()


def worked(answer: str) -> tuple[str, str]:
    """The reasoning of a worked answer without its calculator's notes, and its number without commas.

    Raises:
      InputError: it does not end with "#### n".

    >>> worked("She sold 48/2 = <<48/2=24>>24 clips.\\n#### 1,024")
    ('She sold 48/2 = 24 clips.', '1024')
    """
    final = _FINAL.search(answer)
    if final is None:
        raise InputError(f"field 'answer' must end with '#### ' and a number, found {answer[-40:]!r}; mend the row")
    return _NOTE.sub("", answer[: final.start()]).strip(), final[1].replace(",", "")
