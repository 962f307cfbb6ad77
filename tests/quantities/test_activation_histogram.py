"""Histograms of activations, whatever the precision that they come in."""

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from normlab.quantities import activation_histogram

BINS = 4


def histogram(monkeypatch, values) -> dict[str, np.ndarray]:
    """Of one channel of one layer, the same before and after it; (2, bins) each."""
    pair = (values[None], values[None])
    monkeypatch.setattr(activation_histogram, "chosen", lambda point: [pair])
    settings = SimpleNamespace(probe_bins=BINS)
    point: Any = SimpleNamespace(site=SimpleNamespace(settings=settings))
    found = activation_histogram.measure(point)
    return {name: np.asarray(x, np.float64)[0, :, 0] for name, x in found.items()}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_every_value_counts(monkeypatch, dtype):
    random = np.random.default_rng(0)
    values = jnp.asarray(random.normal(100, 1, 5000).clip(98, 103), dtype)
    found = histogram(monkeypatch, values)
    exact = np.asarray(values, np.float64)
    count, edges = np.histogram(exact, BINS)
    for side in range(2):
        np.testing.assert_array_equal(found["count"][side], count)
        np.testing.assert_allclose(found["left"][side], edges[:-1], rtol=1e-6)
        np.testing.assert_allclose(found["right"][side], edges[1:], rtol=1e-6)
