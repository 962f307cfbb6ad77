"""The trace of the Hessian, the sum of its eigenvalues (Hutchinson 1990)."""

import jax
import jax.numpy as jnp
from jax import Array

from normlab.quantities.hessian import product, sample_keys, signs
from normlab.quantities.point import Point


def measure(point: Point) -> dict[str, Array]:
    """``trace`` and ``stderr`` for each of the statistics; (S,).

    The mean of <v, H v> over ``probe_samples`` vectors v of random signs, whose
    expectation it is, and its standard error. The vectors are those of
    ``hessian_density``, one after another: memory does not grow with them.
    """
    samples = point.site.settings.probe_samples
    keys = sample_keys(point.key, samples)

    def values(statistics: str) -> Array:
        times, flat = product(point.fixed[statistics], point.params)

        def one(key: Array) -> Array:
            v = signs(key, flat)
            return jnp.sum(v * times(v))

        return jax.lax.map(one, keys)

    quadratic_forms = jnp.stack([values(name) for name in point.site.statistics])
    return {
        "trace": quadratic_forms.mean(-1),
        "stderr": quadratic_forms.std(-1, ddof=1) / samples**0.5,
    }
