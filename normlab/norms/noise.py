"""The noise that Santurkar et al. 2018 (Algorithm 1, p. 14) add after batch norm.

At every step and in every layer, for each channel j, whose elements over the batch and
all positions are i:

    mu_j ~ U(-n_mu, n_mu),    sigma_j ~ U(1, n_sigma),
    m_ij ~ U(mu_j - r_mu, mu_j + r_mu),    s_ij ~ N(sigma_j, r_sigma),
    a_ij <- s_ij a_ij + m_ij

It changes the distribution of every activation from step to step, which batch norm is
said to prevent. The paper does not say whether r_sigma is a standard deviation or a
variance. Here it is a standard deviation, and the layer converts it.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array


@dataclasses.dataclass(frozen=True)
class Noise:
    """``n_mu``, ``n_sigma``, ``r_mu`` and, as a standard deviation, ``r_sigma``."""

    mean: float
    scale: float
    mean_spread: float
    scale_spread: float


def draw(
    key: Array,
    noise: Noise,
    shape: tuple[int, ...],
    channels: tuple[int, ...],
    dtype: jnp.dtype,
) -> tuple[Array, Array]:
    """The factors s and the shifts m of one step and layer, each of ``shape``.

    Args:
      key: the key of the step and the layer.
      shape: the shape of the activations.
      channels: the same with 1 for every axis that is not a channel axis.
      dtype: floating.
    """
    of_mean, of_scale, of_shift, of_factor = jax.random.split(key, 4)

    def uniform(key: Array, shape: tuple[int, ...], low: float, high: float) -> Array:
        return jax.random.uniform(key, shape, dtype, low, high)

    mean_C = uniform(of_mean, channels, -noise.mean, noise.mean)
    scale_C = uniform(of_scale, channels, 1.0, noise.scale)
    spread = noise.mean_spread
    shift = mean_C + uniform(of_shift, shape, -spread, spread)
    normal = jax.random.normal(of_factor, shape, dtype)
    return scale_C + noise.scale_spread * normal, shift
