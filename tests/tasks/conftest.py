"""SeqIO for this room's tests: imported once, its libraries' own warnings aside."""

import json
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import seqio
    import tensorflow as tf

    tf.data.Dataset.range(1).cardinality()


@pytest.fixture
def registry():
    """What a test registers is gone after it."""
    tasks, mixtures = set(seqio.TaskRegistry.names()), set(seqio.MixtureRegistry.names())
    yield seqio
    for name in set(seqio.MixtureRegistry.names()) - mixtures:
        seqio.MixtureRegistry.remove(name)
    for name in set(seqio.TaskRegistry.names()) - tasks:
        seqio.TaskRegistry.remove(name)


@pytest.fixture
def write_tree(tmp_path):
    """A function ({"cluster/dataset/template": rows}) -> folder of a tree of instruction files."""

    def write(files):
        for name, rows in files.items():
            file = tmp_path / "tree" / f"{name}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / "tree"

    return write
