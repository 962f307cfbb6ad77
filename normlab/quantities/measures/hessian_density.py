"""How the Hessian's eigenvalues are spread, by stochastic Lanczos quadrature.

For a random vector v the Ritz values and weights of Lanczos' method are a Gauss
quadrature of the spectral density as v sees it, and its expectation is the density
itself (Golub & Meurant 1994; Ubaru, Chen & Saad 2017; for networks Ghorbani, Krishnan &
Xiao 2019, arXiv 1901.10159).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from normlab.quantities.hessian import product, sample_keys, signs
from normlab.quantities.lanczos import Ritz, ritz
from normlab.quantities.point import Point


def measure(point: Point) -> dict[str, Array]:
    """Nodes ``value`` and their ``weight`` by statistics and sample; (S, samples, k).

    ``probe_samples`` vectors of random signs, one after another, of
    ``probe_iterations`` steps each. The weights of a sample sum to 1; its mean is an
    estimate of trace / P, and with P parameters an eigenvalue weighs about 1 / P. A
    node that is not there (`normlab.quantities.lanczos.Ritz`) is NaN, of weight 0.
    """
    settings = point.site.settings
    keys = sample_keys(point.key, settings.probe_samples)

    def nodes(statistics: str) -> Ritz:
        times, flat = product(point.fixed[statistics], point.params)

        def one(key: Array) -> Ritz:
            return ritz(times, signs(key, flat), settings.probe_iterations)

        return jax.lax.map(one, keys)

    ritz_values = [nodes(name) for name in point.site.statistics]
    return {
        "value": jnp.stack([each.value for each in ritz_values]),
        "weight": jnp.stack([each.weight for each in ritz_values]),
    }


def density_curve(
    values: np.ndarray, weights: np.ndarray, grid: np.ndarray, width: float
) -> np.ndarray:
    """The density at the points of ``grid``, every node a Gaussian.

    Args:
      values, weights: (..., k): nodes of any number of samples, which count alike.
      grid: (G,).
      width: the Gaussians' standard deviation, in the unit of ``values``.

    Returns:
      (G,); it integrates to 1 over a grid that holds all nodes. NaN if a weight is.
    """
    samples = values[..., 0].size
    values, weights = values.ravel(), weights.ravel()
    there = ~((weights == 0) & np.isnan(values))
    apart = (grid[:, None] - values[there]) / width
    bumps = np.exp(-np.square(apart) / 2) / (width * np.sqrt(2 * np.pi))
    return bumps @ weights[there] / samples
