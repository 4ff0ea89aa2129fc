"""Files of conversations as a SeqIO task, so that a recipe can name them and no module has to register them."""

from collections.abc import Sequence

import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import text_features
from instruct_jax.tasks.records import matches
from instruct_jax.tasks.sources import JsonLines


def add_task(jsonl: str | Sequence[str], name: str = "conversations") -> str:
    """Register files of conversations as a task; a second call replaces the first.

    A line is {"messages": [...]} in the OpenAI format, perhaps with "tools", or {"prompt", "completion"}; see
    `instruct_jax.text.conversation_lines`. Its split is "train".

    Args:
      jsonl: a file, a glob, or several of them.
      name: of the task.

    Returns:
      The task's name.

    Raises:
      InputError: no file is given, or there is none of that name.
    """
    files = [jsonl] if isinstance(jsonl, str) else list(jsonl)
    if not files:
        raise InputError("JSONL is empty; give a file of conversations, a glob, or several of them")
    matches(files)
    if name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(name)
    seqio.TaskRegistry.add(name, source=JsonLines({"train": files}), preprocessors=[], output_features=text_features())
    return name
