"""Preparation: all that decides a dataset's rows and items, and the identity that follows from it."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import seqio

from instruct_jax.artifacts.manifest import NAME, file_sha256, identity_of, read_manifest
from instruct_jax.data.packing import PACKING_VERSION
from instruct_jax.errors import InputError
from instruct_jax.tasks.evaluation import Evaluation, whole_splits
from instruct_jax.tasks.examples import instruct_of
from instruct_jax.tasks.identity import function_identity
from instruct_jax.tasks.instruct import Instruct
from instruct_jax.tasks.mixing import Mixing
from instruct_jax.tasks.mixture import MIXTURE_VERSION, MixtureTask
from instruct_jax.tasks.prompts import PromptSettings
from instruct_jax.tasks.splits import HeldOut
from instruct_jax.text.conversation import RENDERER_VERSION, ChatTemplate
from instruct_jax.text.overflow import POLICIES
from instruct_jax.text.tokenizer import Tokenizer

MALFORMED = ("error", "skip")


@dataclasses.dataclass(frozen=True)
class Preparation:
    """The arguments of `instruct_jax.tasks.prepare.prepare` that decide what it writes, checked.

    Raises:
      InputError: one of them is out of range.
    """

    mixture: str
    tokenizer: Tokenizer
    chat_template: ChatTemplate
    length: int
    seed: int
    examples: int | None
    split: str
    overflow: str
    malformed: str
    held_out: HeldOut
    evaluation: Evaluation | None
    prompts: tuple[PromptSettings, ...]
    mixing: Mixing
    examples_per_shard: int

    def __post_init__(self):
        if self.length < 2:
            raise InputError(f"length is {self.length}; rows need at least 2 tokens")
        if self.examples is not None and self.examples < 1:
            raise InputError(f"examples is {self.examples}; expected at least 1, or None for as many as the tasks have")
        if self.examples_per_shard < 1:
            raise InputError(f"examples_per_shard is {self.examples_per_shard}; expected at least 1")
        for name, value, allowed in (("overflow", self.overflow, POLICIES), ("malformed", self.malformed, MALFORMED)):
            if value not in allowed:
                raise InputError(f"{name} is {value!r}; expected one of {', '.join(allowed)}")
        if self.evaluation is not None and whole_splits(self.evaluation.split) & whole_splits(self.split):
            raise InputError(
                f"evaluation.split is {self.evaluation.split!r} and the training split is {self.split!r}: items would have been "
                "trained on; name another split"
            )

    def description(self, tasks: Sequence[MixtureTask]) -> dict[str, Any]:
        """What a manifest says of how the dataset came to be: the identity, and the values that it is a hash of.

        Sources that are no files of ours are known by name, version and size; functions by their own source text.
        """
        values = {
            "mixture": self.mixture,
            "split": self.split,
            "length": self.length,
            "seed": self.seed,
            "examples": self.examples,
            "overflow": self.overflow,
            "malformed": self.malformed,
            "held_out": dataclasses.asdict(self.held_out),
            "evaluation": None if self.evaluation is None else dataclasses.asdict(self.evaluation),
            "prompts": [dataclasses.asdict(one) for one in self.prompts],
            "mixing": function_identity(self.mixing),
            "examples_per_shard": self.examples_per_shard,
            "tokenizer": {"fingerprint": self.tokenizer.fingerprint, "vocab_size": self.tokenizer.vocab_size},
            "chat_template": self.chat_template.to_json(),
            "renderer_version": RENDERER_VERSION,
            "packing_version": PACKING_VERSION,
            "mixture_version": MIXTURE_VERSION,
            "task_identities": {one.task.name: self._task_identity(one) for one in tasks},
        }
        values = json.loads(json.dumps(values))  # as the manifest will give it back: lists for tuples
        return {"identity": identity_of({name: _deciding(name, value) for name, value in values.items()}), **values}

    def words_identity(self) -> str:
        """The identity of what turns words into tokens: texts made with another tokenizer or template are no use."""
        return identity_of([self.tokenizer.fingerprint, self.chat_template.fingerprint(), RENDERER_VERSION])

    def text_identity(self, one: MixtureTask) -> str:
        """The identity of all that decides the words of a task's texts; which of them are used, and how often, is not."""
        instruct = instruct_of(one.task)
        settings = [dataclasses.asdict(setting) for setting in self.prompts] if instruct else None
        drawn = self.seed if instruct or one.task.preprocessors else None
        return identity_of([_words_of(one.task, (self.split,)), settings, drawn, MIXTURE_VERSION])

    def _task_identity(self, one: MixtureTask) -> str:
        splits = [self.split]
        if self.evaluation is not None and (self.evaluation.split in one.task.splits or "[" in self.evaluation.split):
            splits.append(self.evaluation.split)
        return task_identity(one, splits)


def task_identity(one: MixtureTask, splits: Sequence[str]) -> str:
    """The identity of a task of a mixture: its rate, its sources in these splits, its preprocessors and its wordings."""
    return identity_of([one.rate, one.held_out, *_words_of(one.task, splits)])


def _words_of(task: seqio.Task, splits: Sequence[str]) -> list[Any]:
    instruct = instruct_of(task)
    steps = task.preprocessors if instruct is None else task.preprocessors[:-1]
    words = None
    if instruct is not None:
        words = [instruct.fingerprint(), *(getattr(instruct, name) for name in _INSTRUCT_FIELDS)]
    return [[_source_identity(task.source, split) for split in splits], [function_identity(step) for step in steps], words]


def is_finished(folder: Path, description: dict[str, Any]) -> bool:
    """Whether a finished dataset of this description lies in the folder; False when there is none.

    Raises:
      InputError: another dataset, or something else, lies there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not (folder / NAME).exists():
        raise InputError(f"{folder} exists and is no dataset; choose another WORKDIR, or remove it")
    found = read_manifest(folder, "dataset")
    if found["identity"] == description["identity"]:
        return True
    different = []
    for name, value in description.items():
        if name == "task_identities":
            theirs = found.get(name, {})
            different += [f"task {task}" for task in sorted({*value, *theirs}) if value.get(task) != theirs.get(task)]
        elif name != "identity" and _deciding(name, found.get(name)) != _deciding(name, value):
            different.append(name)
    raise InputError(
        f"{folder} holds a dataset made differently ({', '.join(different[:5])}{', ...' if different[5:] else ''}); "
        "choose another WORKDIR, or delete it to make it anew"
    )


def _deciding(name: str, value: Any) -> Any:
    """What of a description's entry decides the rows: of a chat template all but its name, which is that of its folder."""
    return value["fingerprint"] if name == "chat_template" and value else value


_INSTRUCT_FIELDS = tuple(field.name for field in dataclasses.fields(Instruct) if field.name != "templates")


def _source_identity(source: seqio.DataSource, split: str) -> Any:
    if hasattr(source, "identity"):
        return source.identity(split)
    if isinstance(source, seqio.FunctionDataSource):
        return ["function", function_identity(source._dataset_fn), source.num_input_examples(split)]
    if isinstance(source, seqio.TfdsDataSource):
        info = source.tfds_dataset.info
        return [info.full_name, split, source.num_input_examples(split)]
    files = [Path(file) for file in source.list_shards(split)]
    known = [[file.name, file_sha256(file)] for file in files if file.exists()]
    return [type(source).__qualname__, split, source.num_input_examples(split), known]
