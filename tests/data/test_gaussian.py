"""The linear map: its numbers, and what they should be distributed as."""

import numpy as np
import pytest

from normlab.data import gaussian
from normlab.data.spec import sha256


def test_digests():
    dataset = gaussian.load()
    found = {name: sha256(getattr(dataset, name)) for name in gaussian.DIGESTS}
    assert found == gaussian.DIGESTS


def test_targets_are_one_matrix_times_the_inputs():
    dataset = gaussian.load()
    for split in ("train", "test"):
        x, y = getattr(dataset, f"{split}_x"), getattr(dataset, f"{split}_y")
        assert x.shape == (1000, 1, 1, 10) and y.shape == (1000, 10)
        assert x.dtype == y.dtype == np.float32
        fitted, *_ = np.linalg.lstsq(x.reshape(1000, 10), y, rcond=None)
        np.testing.assert_allclose(fitted.T, gaussian.matrix(), atol=1e-5)
    assert np.abs(dataset.train_x - dataset.test_x).min() > 0
    assert dataset.task == "regression" and len(dataset.classes) == 10


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_numbers_are_standard_normal(stream):
    z = gaussian.normal(stream, 1000, 10)
    # Five standard errors of 10000 numbers.
    assert abs(z.mean()) < 0.05
    assert abs(z.var() - 1) < 0.07
    assert abs((z**4).mean() - 3) < 0.5
    assert abs(np.mean(np.abs(z) < 1) - 0.6827) < 0.024
    off_diagonal = np.corrcoef(z.T)[~np.eye(10, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.16
    assert np.array_equal(z, z.astype(np.float32))


def test_streams_differ():
    assert not np.isin(gaussian.normal(0, 10, 10), gaussian.normal(1, 10, 10)).any()
