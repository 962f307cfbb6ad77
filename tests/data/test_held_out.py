"""Images held out for validation: which, and that nothing else sees them."""

import numpy as np

from normlab.data.batches import batch_indices, current_order, held_out, trained_on

N, OUT = 40, 10


def test_held_out_and_trained_on_are_all_images():
    out, rest = held_out(3, N, OUT), trained_on(3, N, OUT)
    assert sorted([*out, *rest]) == list(range(N)) and len(out) == OUT
    assert list(rest) == sorted(rest) and out.dtype == rest.dtype == np.int32
    assert not np.array_equal(out, held_out(4, N, OUT))
    assert set(held_out(3, N, 4)) < set(out)
    assert len(held_out(3, N, 0)) == 0 and list(trained_on(3, N)) == list(range(N))


def test_batches_have_each_of_the_others_once_an_epoch():
    first = batch_indices(3, 0, 6, 5, N, validation=OUT)
    assert sorted(first.ravel()) == list(trained_on(3, N, OUT))
    second = batch_indices(3, 6, 6, 5, N, validation=OUT)
    assert sorted(second.ravel()) == sorted(first.ravel())
    assert not np.array_equal(first, second)
    last = current_order(3, 12, 5, N, validation=OUT)
    assert np.array_equal(last, second.ravel())


def test_the_report_s_order_is_that_of_the_file():
    first = batch_indices(3, 0, 6, 5, N, "report", validation=OUT)
    assert list(first.ravel()) == list(trained_on(3, N, OUT))


def test_without_validation_an_epoch_has_every_image():
    for order in ("shuffled", "report"):
        epochs = batch_indices(1, 0, 16, 5, N, order, validation=0).reshape(2, N)
        assert [sorted(epoch) for epoch in epochs.tolist()] == [list(range(N))] * 2
