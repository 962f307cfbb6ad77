"""The linear maps: their numbers, and what they should be distributed as."""

import numpy as np
import pytest

from normlab import data
from normlab.data import gaussian
from normlab.data.spec import sha256


@pytest.mark.parametrize("name", gaussian.DIGESTS)
def test_digests(name):
    dataset, wanted = data.load(name), gaussian.DIGESTS[name]
    assert {array: sha256(getattr(dataset, array)) for array in wanted} == wanted
    assert set(wanted) == {"train_x", "train_y", "test_x", "test_y"}


@pytest.mark.parametrize(
    "name, matrix",
    [
        ("gaussian", gaussian.normal(0, 10, 10)),
        ("gaussian_uniform", gaussian.uniform(0, 10, 10)),
    ],
)
def test_targets_are_one_matrix_times_the_inputs(name, matrix):
    dataset = data.load(name)
    for x, y in (
        (dataset.train_x, dataset.train_y),
        (dataset.test_x, dataset.test_y),
    ):
        assert x.shape == (1000, 1, 1, 10) and y.shape == (1000, 10)
        fitted, *_ = np.linalg.lstsq(x.reshape(1000, 10), y, rcond=None)
        np.testing.assert_allclose(fitted.T, matrix, atol=1e-5)
    assert np.abs(dataset.train_x - dataset.test_x).min() > 0


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


def test_numbers_are_uniform():
    u = gaussian.uniform(0, 100, 100)
    counts = np.histogram(u, 10, (0, 1))[0]
    assert counts.sum() == 10000 and np.abs(counts - 1000).max() < 150


def test_streams_differ():
    assert not np.isin(gaussian.normal(0, 10, 10), gaussian.normal(1, 10, 10)).any()
    assert not np.isin(gaussian.uniform(1, 10, 10), gaussian.uniform(2, 10, 10)).any()
