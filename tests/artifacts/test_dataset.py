"""The dataset folder: rows come back as they went in, and nothing broken or unfinished is read as if it were whole."""

import os

import numpy as np
import pytest

from instruct_jax.artifacts.dataset import Dataset, DatasetWriter, batch_of
from instruct_jax.artifacts.records import Row, decode_row, encode_row
from instruct_jax.errors import InputError


def _row(*sizes, seed=0, binary=True):
    random = np.random.default_rng(seed)
    count = sum(sizes)
    weights = random.integers(0, 2, count) if binary else random.random(count)
    provenance = random.integers(-1, 1 << 40, (len(sizes), 4))
    return Row(random.integers(0, 99, count).astype(np.int32), weights.astype(np.float32), np.array(sizes, np.int32), provenance)


def _equal(one, two):
    fields = ("tokens", "weights", "lengths", "provenance")
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in fields)


@pytest.fixture
def folder(tmp_path):
    """Seven ragged rows in three shards."""
    writer = DatasetWriter(tmp_path / "d", rows_per_shard=3)
    for seed in range(7):
        writer.write(_row(*range(1, seed + 2), seed=seed))
    writer.finish({"length": 30, "tasks": [{"name": "t", "templates": ["one", "two"]}]})
    return tmp_path / "d"


@pytest.mark.parametrize("binary", [True, False])
def test_a_row_survives_its_bytes(binary):
    row = _row(3, 1, 5, binary=binary)
    assert _equal(decode_row(encode_row(row)), row)


def test_bytes_that_are_no_row_are_refused():
    content = encode_row(_row(3, 1))
    for broken in (b"", b"nonsense" * 5, content[:-1], content + b"\0"):
        with pytest.raises(ValueError, match="packed row"):
            decode_row(broken)


def test_rows_come_back_by_index_across_shards(folder):
    dataset = Dataset(folder)
    assert len(dataset) == 7
    for seed in (6, 0, 3, 2):
        assert _equal(dataset[seed], _row(*range(1, seed + 2), seed=seed))
    for outside in (-1, 7):
        with pytest.raises(IndexError):
            dataset[outside]


def test_a_dataset_may_have_more_shards_than_files_may_be_open(folder, monkeypatch):
    monkeypatch.setattr("instruct_jax.artifacts.dataset._OPEN_FILES", 1)
    dataset, before = Dataset(folder), len(os.listdir("/proc/self/fd"))
    for seed in (6, 0, 3, 2, 6, 5, 4, 1):
        assert _equal(dataset[seed], _row(*range(1, seed + 2), seed=seed))
        assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_the_same_rows_give_the_same_bytes(folder, tmp_path):
    writer = DatasetWriter(tmp_path / "e", rows_per_shard=3)
    for seed in range(7):
        writer.write(_row(*range(1, seed + 2), seed=seed))
    writer.finish({"length": 30, "tasks": [{"name": "t", "templates": ["one", "two"]}]})
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "e" / file.name).read_bytes(), file.name


def test_an_unfinished_folder_is_no_dataset(tmp_path):
    writer = DatasetWriter(tmp_path / "d")
    writer.write(_row(3))
    with pytest.raises(InputError, match="no such folder"):
        Dataset(tmp_path / "d")
    with pytest.raises(InputError, match=r"holds no manifest\.json"):
        Dataset(writer.folder)


def test_a_cut_changed_or_missing_shard_is_named(folder):
    shard = folder / "rows-00001.arrayrecord"
    content = shard.read_bytes()
    changed = bytes([*content[:-9], content[-9] ^ 1, *content[-8:]])
    for broken, message in ((content[:-1], "it was cut or changed"), (changed, "does not match its checksum")):
        shard.write_bytes(broken)
        with pytest.raises(InputError, match=rf"rows-00001.*{message}"):
            Dataset(folder)
    shard.unlink()
    with pytest.raises(InputError, match=r"rows-00001\.arrayrecord is missing"):
        Dataset(folder)


def test_a_batch_marks_padding_by_segments_and_never_by_token_values():
    rows = [Row(np.zeros(3, np.int32), np.ones(3, np.float32), np.array([1, 2]), np.zeros((2, 4))), _row(2)]
    batch = batch_of(rows, 5)
    assert batch.segment_ids.tolist() == [[1, 2, 2, 0, 0], [1, 1, 0, 0, 0]]
    assert batch.positions.tolist() == [[0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    assert batch.weights[0].tolist() == [1, 1, 1, 0, 0]
    with pytest.raises(InputError, match="3 tokens does not fit rows of 2"):
        batch_of(rows, 2)


def test_a_segment_is_named_by_task_template_example_and_epoch(folder):
    name = Dataset(folder).segment_name(np.array([0, 1, 7, 2]))
    assert name == "t template two example 7 epoch 2"
