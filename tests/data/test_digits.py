"""The embedded digits are scikit-learn's, scaled and split as the docstring says."""

import numpy as np
import pytest

from normlab.data import digits
from normlab.data.spec import sha256


def test_digests_shapes_and_counts():
    dataset = digits.load()
    for name, digest in digits.DIGESTS.items():
        assert sha256(getattr(dataset, name)) == digest
    assert dataset.train_x.shape == (1500, 8, 8, 1)
    assert dataset.test_x.shape == (297, 8, 8, 1)
    counts = np.bincount(dataset.train_y) + np.bincount(dataset.test_y)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert set(np.bincount(dataset.test_y)) == {29, 30}
    assert dataset.train_x.max() == 255 and dataset.train_x.min() == 0


def test_made_again_from_scikit_learn():
    source = pytest.importorskip("sklearn.datasets").load_digits()
    x = np.round(source.images * 255 / 16).astype(np.uint8)[..., None]
    position = np.arange(1797)
    chosen = (position + 1) * 297 // 1797 > position * 297 // 1797
    test = np.zeros(1797, bool)
    test[np.argsort(source.target, kind="stable")[chosen]] = True
    dataset = digits.load()
    np.testing.assert_array_equal(dataset.train_x, x[~test])
    np.testing.assert_array_equal(dataset.train_y, source.target[~test])
    np.testing.assert_array_equal(dataset.test_x, x[test])
    np.testing.assert_array_equal(dataset.test_y, source.target[test])
