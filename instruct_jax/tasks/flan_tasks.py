"""The FLAN-style collection as SeqIO tasks. Registering them needs no data: a TFDS builder is opened when its task is used."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import seqio
import tensorflow as tf
from rich.console import Console

from instruct_jax.errors import InputError
from instruct_jax.progress import say
from instruct_jax.tasks.flan import collection
from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.tasks.instruct import Instruct, plain, text_features

MIXTURE = "flan"
EXAMPLES_PROPORTIONAL = functools.partial(seqio.mixing_rate_num_examples, maximum=3_000)
"""FLAN's rate: in proportion to examples, and no larger from 3,000 on (Wei et al. 2021, section 2.4)."""


@dataclasses.dataclass(frozen=True)
class FlanRecords:
    """The preprocessor before Instruct: TFDS examples become a dataset's records; those that give none are left out, and told of.

    Attributes:
      dataset: how an example is read.
    """

    dataset: FlanDataset

    def __call__(self, examples: tf.data.Dataset) -> tf.data.Dataset:
        """The records, in the order of the examples.

        Raises:
          InputError: from the graph, where an example does not fit the dataset, or none gives a record.
        """
        signature = {name: _SPECS.get(name, tf.TensorSpec((), tf.string)) for name in self.dataset.fields}
        return tf.data.Dataset.from_generator(lambda: self._records(examples), output_signature=signature)

    def _records(self, examples: tf.data.Dataset) -> Iterator[dict[str, Any]]:
        seen = given = 0
        for example in examples.as_numpy_iterator():
            seen += 1
            record = self.dataset.read(plain(example))
            if record is not None:
                given += 1
                yield record
        if not given:
            raise InputError(
                f"task {task_name(self.dataset)}: none of its {seen:,} examples gives a question with an answer; is the split "
                "one whose answers are public?"
            )
        if given < seen:
            left_out = f"{seen - given:,} of {seen:,} examples left out (no answer, a blank text, or options that do not hold it)"
            say(Console(), f"{task_name(self.dataset)}: {left_out}")


_SPECS = {"label": tf.TensorSpec((), tf.int64), "options": tf.TensorSpec((None,), tf.string)}


def task_name(dataset: FlanDataset) -> str:
    """The name of a dataset's task."""
    return f"flan_{dataset.name}"


def add_mixture(
    name: str,
    datasets: Sequence[str] = (),
    clusters: Sequence[str] = (),
    rate: float | Callable[[seqio.Task], float] = EXAMPLES_PROPORTIONAL,
) -> str:
    """Register a mixture of some datasets of the collection, for those whose data you have; a second call replaces the first.

    Args:
      name: of the mixture.
      datasets: datasets by name.
      clusters: clusters, all of whose datasets with a training split are taken. With neither, every cluster.
      rate: of every task; FLAN's unless told otherwise.

    Returns:
      The mixture's name.

    Raises:
      InputError: there is no such dataset or cluster.
    """
    known = {dataset.name for dataset in collection.DATASETS}, {dataset.cluster for dataset in collection.DATASETS}
    for kind, named, all_of in zip(("dataset", "cluster"), (datasets, clusters), known, strict=True):
        unknown = sorted(set(named) - all_of)
        if unknown:
            raise InputError(f"the collection has no {kind} {unknown[0]!r}; it has: {', '.join(sorted(all_of))}")
    wanted = clusters or (() if datasets else known[1])
    chosen = [
        task_name(dataset)
        for dataset in collection.DATASETS
        if dataset.name in datasets or (dataset.cluster in wanted and "train" in dataset.splits)
    ]
    if name in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.remove(name)
    seqio.MixtureRegistry.add(name, chosen, default_rate=rate)
    return name


def _register() -> None:
    for dataset in collection.DATASETS:
        seqio.TaskRegistry.add(
            task_name(dataset),
            source=seqio.TfdsDataSource(dataset.tfds, splits=dict(dataset.splits)),
            preprocessors=[FlanRecords(dataset), Instruct(dataset.templates, dataset.cluster, dataset.name, dataset.metrics)],
            output_features=text_features(),
        )
    add_mixture(MIXTURE)


_register()
