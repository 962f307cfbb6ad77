"""Corrections for several tests."""

import numpy as np
import pytest

from normlab.statistics.multiplicity import at_least, holm


def test_holm_by_hand():
    # Sorted: 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04 but not below the one before it.
    found = holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    both = holm([[0.01, 0.04], [0.2, 0.001]])
    np.testing.assert_allclose(both, [[0.02, 0.04], [0.2, 0.002]])
    assert holm([]).shape == (0,)


def test_one_p_value_of_several():
    p = [0.04, 0.01, 0.02]
    assert at_least(p, 3) == 0.04  # intersection-union
    assert at_least(p, 1) == pytest.approx(0.03)  # Bonferroni
    assert at_least(p, 2) == pytest.approx(0.04)
    assert at_least([0.9, 0.8], 1) == 1
    for number in (0, 4):
        with pytest.raises(ValueError, match="of 3 alternatives"):
            at_least(p, number)
