"""Moments of channels against numpy in double precision."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from normlab.quantities import activation_moments


def test_moments_of_a_lopsided_channel(monkeypatch):
    random = np.random.default_rng(0)
    before = random.exponential(2.0, (3, 4000))
    after = 1 - 5 * before
    after[2] = 7.0  # of one value alone, whose mean is rounded
    pair = tuple(jnp.asarray(x, jnp.float32) for x in (before, after))
    monkeypatch.setattr(activation_moments, "chosen", lambda point: [pair])
    point: Any = None
    found = activation_moments.measure(point)
    exact = np.stack([before, after])[None]
    np.testing.assert_allclose(found["mean"], exact.mean(-1), rtol=1e-5)
    np.testing.assert_allclose(found["std"], exact.std(-1), rtol=1e-5, atol=1e-6)
    away = exact - exact.mean(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = (away**3).mean(-1) / exact.std(-1) ** 3
    assert wanted[0, 0, 0] > 1.5 and found["std"][0, 1, 2] > 0
    wanted[0, 1, 2] = np.nan
    np.testing.assert_allclose(found["skewness"], wanted, rtol=1e-4)
