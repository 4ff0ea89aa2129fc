"""The source: an order that is a function of (seed, step), every row once an epoch, and loud failure."""

import zlib
from collections import Counter

import numpy as np
import pytest

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.data.source import DatasetSource
from instruct_jax.errors import InputError


def hashes(batch):
    return [zlib.crc32(row.tobytes()) for row in batch.tokens]


def test_an_epoch_has_every_row_exactly_once_in_another_order_each_time(make_dataset):
    folder = make_dataset("epochs", documents=50)
    count = len(Dataset(folder))
    source = DatasetSource(folder, rows=1)
    first, second = ([hashes(source(step))[0] for step in range(start, start + count)] for start in (0, count))
    wanted = Counter(zlib.crc32(source_row(folder, index).tobytes()) for index in range(count))
    assert Counter(first) == Counter(second) == wanted
    assert first != second


def source_row(folder, index):
    dataset = Dataset(folder)
    tokens = np.zeros(dataset.length, np.int32)
    row = dataset[index]
    tokens[: row.tokens.size] = row.tokens
    return tokens


def test_reading_from_the_middle_equals_reading_through(make_dataset):
    folder = make_dataset("middle")
    through = DatasetSource(folder, rows=5, seed=3)
    wanted = [hashes(through(step)) for step in range(12)]
    for start in (0, 4, 11):
        source = DatasetSource(folder, rows=5, seed=3)
        assert [hashes(source(step)) for step in range(start, 12)] == wanted[start:]


def test_a_step_out_of_turn_is_answered_too(make_dataset):
    source = DatasetSource(make_dataset("turn"), rows=4)
    later = hashes(source(7))
    for step in range(7):
        source(step)
    assert hashes(source(7)) == later


def test_seeds_give_different_orders(make_dataset):
    folder = make_dataset("seeds")
    assert hashes(DatasetSource(folder, 8, seed=0)(0)) != hashes(DatasetSource(folder, 8, seed=1)(0))


@pytest.mark.parametrize("hosts", [2, 4])
def test_the_global_batch_is_the_same_for_any_number_of_hosts(make_dataset, monkeypatch, hosts):
    folder = make_dataset("hosts")
    wanted = [hashes(DatasetSource(folder, 8)(step)) for step in (0, 5)]
    monkeypatch.setattr("jax.process_count", lambda: hosts)
    found = [[], []]
    for host in range(hosts):
        monkeypatch.setattr("jax.process_index", lambda host=host: host)
        source = DatasetSource(folder, 8)
        for into, step in zip(found, (0, 5), strict=True):
            into += hashes(source(step))
    assert found == wanted


def test_a_batch_that_hosts_cannot_share_is_refused(make_dataset, monkeypatch):
    monkeypatch.setattr("jax.process_count", lambda: 3)
    with pytest.raises(InputError, match="8 rows cannot be shared by 3 hosts"):
        DatasetSource(make_dataset("share"), 8)


def test_an_error_while_reading_ahead_stops_the_run(make_dataset, monkeypatch):
    source = DatasetSource(make_dataset("loud"), rows=4)

    def broken(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(Dataset, "__getitem__", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        source(0)
    with pytest.raises(OSError, match="the disk is gone"):
        source(0)


def test_rows_are_described_by_task_template_and_example(make_dataset):
    source = DatasetSource(make_dataset("words"), rows=3)
    lines = source.describe(0)
    assert len(lines) == 3
    assert all("random template only example" in line for line in lines)
