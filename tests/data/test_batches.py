"""The laws of the batch order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normlab.data.batches import batch_indices, current_order, permutation

SETTINGS = {
    "seed": st.integers(0, 2**63),
    "batch_size": st.integers(1, 30),
    "n": st.integers(1, 20),
}


def test_the_permutation_is_pinned():
    # A run must replay on any later NumPy. If this changes, stored runs no longer do.
    assert permutation(0, 0, 10).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
    assert permutation(3, 7, 10).tolist() == [5, 0, 6, 9, 8, 7, 4, 2, 3, 1]


def test_a_permutation_is_one_and_is_read_only():
    order = permutation(1, 2, 1000)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(1000))
    with pytest.raises(ValueError, match="read-only"):
        order[0] = 1


@settings(deadline=None)  # a busy machine is no failure
@given(**SETTINGS)
def test_every_image_exactly_once_an_epoch(seed, batch_size, n):
    epochs = 3
    count = -(-epochs * n // batch_size)
    stream = batch_indices(seed, 0, count, batch_size, n).ravel()
    for epoch in range(epochs):
        one = stream[epoch * n : (epoch + 1) * n]
        assert sorted(one.tolist()) == list(range(n))


@settings(deadline=None)
@given(step=st.integers(0, 50), count=st.integers(1, 20), **SETTINGS)
def test_chunks_do_not_change_the_order(seed, step, count, batch_size, n):
    together = batch_indices(seed, step, count, batch_size, n)
    apart = [batch_indices(seed, step + i, 1, batch_size, n) for i in range(count)]
    assert together.shape == (count, batch_size) and together.dtype == np.int32
    np.testing.assert_array_equal(together, np.concatenate(apart))


def test_against_a_slow_obvious_twin():
    n, batch_size = 7, 3
    stream = [image for epoch in range(10) for image in permutation(5, epoch, n)]
    for step in range(20):
        batch = batch_indices(5, step, 1, batch_size, n)[0]
        assert batch.tolist() == stream[step * batch_size : (step + 1) * batch_size]


def test_batches_straddle_epochs_and_may_exceed_them():
    batch = batch_indices(0, 1, 1, 4, 6)[0]  # positions 4..7 of an epoch of 6
    assert batch[:2].tolist() == permutation(0, 0, 6)[4:].tolist()
    assert batch[2:].tolist() == permutation(0, 1, 6)[:2].tolist()
    large = batch_indices(0, 0, 1, 15, 6)[0]
    assert np.bincount(large).min() == 2 and np.bincount(large).max() == 3


def test_seeds_and_epochs_differ():
    streams = {tuple(batch_indices(seed, 0, 1, 100, 100)[0]) for seed in range(20)}
    assert len(streams) == 20
    epochs = {tuple(permutation(0, epoch, 100)) for epoch in range(20)}
    assert len(epochs) == 20
    # (seed, epoch) = (a, b) and (b, a) are not the same permutation either.
    assert permutation(1, 2, 100).tolist() != permutation(2, 1, 100).tolist()


def test_the_order_is_free_of_global_randomness():
    np.random.seed(1)
    first = batch_indices(9, 3, 2, 5, 50)
    np.random.seed(2)
    permutation.cache_clear()
    np.testing.assert_array_equal(batch_indices(9, 3, 2, 5, 50), first)


def test_positions_are_uniform():
    # Image 0 lands in the first half of the epoch about half of the time.
    places = [int(np.argmin(permutation(seed, 0, 50))) for seed in range(400)]
    assert 160 < sum(place < 25 for place in places) < 240


def test_large_steps_do_not_overflow():
    batch = batch_indices(0, 10**9, 1, 50, 50_000)[0]
    epoch, offset = divmod(50 * 10**9, 50_000)
    expected = permutation(0, epoch, 50_000)[offset : offset + 50]
    np.testing.assert_array_equal(batch, expected)


def test_the_reports_first_epoch_is_in_the_order_of_the_file():
    report = batch_indices(0, 0, 4, 5, 10, "report").reshape(2, 10)
    np.testing.assert_array_equal(report[0], np.arange(10))
    np.testing.assert_array_equal(report[1], permutation(0, 1, 10))
    shuffled = batch_indices(0, 0, 4, 5, 10).reshape(2, 10)
    assert (report[0] != shuffled[0]).any()
    np.testing.assert_array_equal(report[1], shuffled[1])


@pytest.mark.parametrize(
    ("step", "epoch"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 2)]
)
def test_the_current_order_is_that_of_the_last_update(step, epoch):
    """Batches of 5 of 10 images: an epoch ends with its second update."""
    found = current_order(7, step, 5, 10)
    np.testing.assert_array_equal(found, permutation(7, epoch, 10))
    assert (permutation(7, 0, 10) != permutation(7, 1, 10)).any()
