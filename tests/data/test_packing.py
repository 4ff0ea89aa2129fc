"""Packing: every segment in exactly one row, rows never too long, the order a function of the lengths alone."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_jax.data.packing import Segment, pack

LENGTH = 32


def _segments(sizes):
    """Segments whose tokens tell them apart."""
    random = np.random.default_rng(0)
    return [
        Segment(random.integers(0, 9, size).astype(np.int32), random.random(size).astype(np.float32), (0, -1, index, 0))
        for index, size in enumerate(sizes)
    ]


def _contents(rows):
    """(example, tokens, weights) of each segment in the rows."""
    for row in rows:
        ends = np.cumsum(row.lengths)
        for end, size, source in zip(ends, row.lengths, row.provenance, strict=True):
            yield int(source[2]), tuple(row.tokens[end - size : end]), tuple(row.weights[end - size : end])


@settings(max_examples=200, deadline=None)
@given(sizes=st.lists(st.integers(1, LENGTH), max_size=60), window=st.integers(1, 20))
def test_no_example_is_lost_or_duplicated_or_changed(sizes, window):
    segments = _segments(sizes)
    rows = list(pack(segments, LENGTH, window))
    expected = [(index, tuple(one.tokens), tuple(one.weights)) for index, one in enumerate(segments)]
    assert collections.Counter(_contents(rows)) == collections.Counter(expected)
    assert all(row.tokens.size == row.lengths.sum() <= LENGTH for row in rows)


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(1, LENGTH), max_size=60))
def test_within_the_window_nothing_of_a_later_row_would_have_fitted_an_earlier_one(sizes):
    rows = list(pack(_segments(sizes), LENGTH, window=61))
    for place, row in enumerate(rows):
        room = LENGTH - row.tokens.size
        assert all(later.lengths.min() > room for later in rows[place + 1 :])


def test_the_same_segments_give_the_same_rows():
    sizes = np.random.default_rng(1).integers(1, LENGTH, 500)
    first, second = (list(pack(_segments(sizes), LENGTH, 50)) for _ in range(2))
    assert [row.provenance.tolist() for row in first] == [row.provenance.tolist() for row in second]
    assert len(first) > 100


def test_rows_come_while_segments_still_arrive():
    """A first row is there when the window is full, long before the end."""
    taken = []

    def stream():
        for segment in _segments([8] * 1_000):
            taken.append(segment)
            yield segment

    next(iter(pack(stream(), LENGTH, window=10)))
    assert len(taken) == 10


def test_no_segment_waits_for_more_rows_than_the_window_holds():
    sizes = [3, *np.random.default_rng(2).integers(20, LENGTH, 400)]
    rows = list(pack(_segments(sizes), LENGTH, window=7))
    first = next(place for place, row in enumerate(rows) if 0 in row.provenance[:, 2])
    assert first == 0, "the oldest begins the next row"


def test_ragged_lengths_pack_densely():
    sizes = np.random.default_rng(3).geometric(1 / 200, 5_000).clip(1, 1_024)
    rows = list(pack(_segments(sizes), 1_024))
    assert sizes.sum() / (len(rows) * 1_024) > 0.995


def test_token_zero_and_weight_zero_are_carried_as_they_are():
    segment = Segment(np.zeros(3, np.int32), np.array([0.0, 0.0, 1.0], np.float32), (2, 1, 7, 4))
    (row,) = pack([segment, segment], 8)
    assert row.tokens.tolist() == [0] * 6
    assert row.weights.tolist() == [0, 0, 1, 0, 0, 1]
    assert row.provenance.tolist() == [[2, 1, 7, 4]] * 2


@pytest.mark.parametrize("size", [0, LENGTH + 1])
def test_a_segment_that_fits_no_row_is_refused(size):
    with pytest.raises(ValueError, match=f"{size} tokens cannot be packed"):
        list(pack(_segments([size]), LENGTH))
