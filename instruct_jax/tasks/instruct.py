"""Instruct: the preprocessor that makes a SeqIO task an instruction task."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import seqio
import tensorflow as tf

from instruct_jax.errors import InputError
from instruct_jax.tasks.prompts import ZERO_SHOT, PromptSettings
from instruct_jax.text.templates import Instance, Template, choose, fingerprint


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
        """Indices of the templates that training may use under a prompt setting; none where it is not supported."""
        if self.template_field is not None and _only_as_they_come(prompts):
            return []
        indices = [index for index, template in enumerate(self.templates) if not template.reserved]
        return [index for index in indices[: prompts.templates] if _fits(self.templates[index], prompts)]

    def refusal(self, prompts: PromptSettings) -> str | None:
        """Why no example of the dataset can wear a prompt setting, in words; None where one can."""
        if self.trainable(prompts):
            return None
        if self.template_field is not None and (asked := _only_as_they_come(prompts)):
            name, wanted = asked
            return (
                f"PromptSettings.{name} is {getattr(prompts, name)}, but every record of dataset {self.dataset!r} comes in a "
                f"wording already; leave it {wanted}"
            )
        if not self.trainable():
            return f"dataset {self.dataset!r}: every template is reserved, so none is left to train on"
        what = ["show the reasoning"] if prompts.chain_of_thought else []
        what += [] if prompts.inversion is None else ["are turned round" if prompts.inversion else "are not turned round"]
        return f"dataset {self.dataset!r} has no trainable templates that {' and '.join(what)}"

    def content(self, record: Mapping[str, Any]) -> str:
        """The identity of a record: its dataset and its fields, never its place."""
        return f"{self.dataset}\0{json.dumps(record, sort_keys=True, ensure_ascii=False)}"

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
            return among[choose(len(among), seed=seed, epoch=epoch, example=self.content(record))]
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
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
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


def _only_as_they_come(prompts: PromptSettings) -> tuple[str, Any] | None:
    """The first field, and the value that it should have, that asks for words that rows with words of their own cannot take."""
    as_they_come = {"templates": None, "inversion": None, "chain_of_thought": False}
    return next(((name, value) for name, value in as_they_come.items() if getattr(prompts, name) is not value), None)


def _fits(template: Template, prompts: PromptSettings) -> bool:
    if prompts.chain_of_thought and template.rationale is None:
        return False
    return prompts.inversion is None or prompts.inversion is not template.original_task


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
