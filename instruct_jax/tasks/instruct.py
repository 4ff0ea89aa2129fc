"""Instruct: the preprocessor that makes a SeqIO task an instruction task."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import seqio
import tensorflow as tf

from instruct_jax.errors import InputError
from instruct_jax.text.templates import Instance, Template, choose, fingerprint


@dataclasses.dataclass(frozen=True)
class PromptSettings:
    """How prompts are made from a task's templates.

    Attributes:
      shots: worked examples before the question. Only 0 so far.
      templates: how many of a dataset's trainable templates to use, the first ones; None for all.
    """

    shots: int = 0
    templates: int | None = None

    def __post_init__(self):
        if self.shots != 0:
            raise InputError(f"PromptSettings.shots is {self.shots}: few-shot prompts are not built yet; set it to 0")
        if self.templates is not None and self.templates < 1:
            raise InputError(f"PromptSettings.templates is {self.templates}; expected at least 1, or None for all")


ZERO_SHOT = PromptSettings()


@dataclasses.dataclass(frozen=True)
class Instruct:
    """The last preprocessor of an instruction task: records of fields become prompts and answers in words.

    `prepare` finds it, runs the preprocessors before it, and applies the templates with its own seed and epoch. Plain
    SeqIO (`task.get_dataset`) calls it and gets string `inputs` and `targets` as of seed 0 and epoch 0.

    Attributes:
      templates: the wordings.
      cluster, dataset: where the task belongs; held-out sets are named by them.
      metrics: scorer names for generated answers.
      template_field: the record's field that names its template, for records that come in a wording already.
      source_field: the record's field that identifies what it was made from, for records of one source in several
        wordings; None where every record is a source of its own.
    """

    templates: tuple[Template, ...]
    cluster: str
    dataset: str
    metrics: tuple[str, ...] = ("exact_match",)
    template_field: str | None = None
    source_field: str | None = None

    def __post_init__(self):
        object.__setattr__(self, "templates", tuple(self.templates))
        ids = [template.id for template in self.templates]
        if not ids:
            raise InputError(f"dataset {self.dataset!r} has no templates; give Instruct at least one")
        repeated = sorted({one for one in ids if ids.count(one) > 1})
        if repeated:
            raise InputError(f"dataset {self.dataset!r} has several templates of id {repeated[0]!r}; ids must be unique")

    def trainable(self, prompts: PromptSettings = ZERO_SHOT) -> list[int]:
        """Indices of the templates that training may use."""
        indices = [index for index, template in enumerate(self.templates) if not template.reserved]
        return indices[: prompts.templates]

    def wording(self, record: Mapping[str, Any], *, seed: int, epoch: int, among: Sequence[int]) -> int:
        """Which template a record wears: the one it names, or a stateless function of its content, seed and epoch.

        Args:
          record: the record's fields.
          seed: the preparation's seed.
          epoch: how often the record has been used before.
          among: indices of the templates to choose from.

        Raises:
          InputError: the record names a template that the dataset lacks or that is not among these.
        """
        if self.template_field is None:
            content = json.dumps(record, sort_keys=True, ensure_ascii=False)
            return among[choose(len(among), seed=seed, epoch=epoch, example=f"{self.dataset}\0{content}")]
        name = record.get(self.template_field)
        for number in among:
            if self.templates[number].id == name:
                return number
        raise InputError(f"template {name!r} is not one of the templates of {self.dataset!r} in use here")

    def source(self, record: Mapping[str, Any], index: int) -> str:
        """The identity of what a record was made from, shared by its wordings.

        Raises:
          InputError: the record lacks the field that says so.
        """
        if self.source_field is not None and self.source_field not in record:
            raise InputError(f"source_field of {self.dataset!r} is {self.source_field!r}, which the record lacks")
        return f"{self.dataset}:{index if self.source_field is None else record[self.source_field]}"

    def instance(self, record: Mapping[str, Any], template: int) -> Instance:
        """The record in the words of the template of this index."""
        return self.templates[template].apply(record)

    def fingerprint(self) -> str:
        """Hash of the wordings."""
        return fingerprint(self.templates)

    def __call__(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """String `inputs` and `targets` for plain SeqIO pipelines, in the wordings of seed 0, epoch 0."""
        among = self.trainable()
        names = list(dataset.element_spec)

        def words(*values):
            record = {name: plain(value) for name, value in zip(names, values, strict=True)}
            template = self.wording(record, seed=0, epoch=0, among=among)
            instance = self.instance(record, template)
            return instance.prompt.encode(), instance.response.encode()

        def apply(record):
            inputs, targets = tf.numpy_function(words, [record[name] for name in names], (tf.string, tf.string))
            return {"inputs": tf.ensure_shape(inputs, ()), "targets": tf.ensure_shape(targets, ())}

        return dataset.map(apply, num_parallel_calls=tf.data.AUTOTUNE)


def text_features() -> dict[str, seqio.Feature]:
    """Output features of tasks that give strings; `inputs` is missing from plain text.

    SeqIO asks that the tasks of a mixture name the same features, so plain-text and instruction tasks share these.
    """
    vocabulary = seqio.PassThroughVocabulary(size=0)
    return {
        "inputs": seqio.Feature(vocabulary, add_eos=False, required=False, dtype=tf.string, rank=0),
        "targets": seqio.Feature(vocabulary, add_eos=False, dtype=tf.string, rank=0),
    }


def plain(value: Any) -> Any:
    """What tf.data yields as plain Python: bytes to text, arrays to lists, numpy scalars to numbers.

    >>> import numpy as np
    >>> plain({"text": b"one", "label": np.int64(1), "options": np.array([b"no", b"yes"], object)})
    {'text': 'one', 'label': 1, 'options': ['no', 'yes']}
    """
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if hasattr(value, "to_list"):  # a ragged tensor's value
        return plain(value.to_list())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        listed = value.tolist()
        return plain(listed) if isinstance(listed, bytes | list) else listed
    return value
