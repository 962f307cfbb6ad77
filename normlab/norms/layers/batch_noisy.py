"""Batch normalization followed by noise, as a Linen module."""

import math

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from numpy.lib.array_utils import normalize_axis_tuple

from normlab.norms.entry import AFFINE, RUNNING, Entry, settings_named
from normlab.norms.layers.batch_norm import BatchNorm
from normlab.norms.noise import Noise, draw
from normlab.norms.options import NormOptions, Statistics
from normlab.norms.single import refuse_single_batch


class NoisyBatchNorm(BatchNorm):
    """Batch norm followed by noise that is drawn anew for every key (see `noise`).

    It adds noise if and only if the caller gives an rng called ``noise``, whatever the
    statistics. Without one, as during initialization, it equals `BatchNorm`, and it has
    the same variables. The noise depends only on that key and on the layer's place in
    the model. The running averages are of the input, before the noise.

    ``noise_place`` is "after" scale and bias (s * y + m for batch norm's y) or "before"
    them (scale * (s * xhat + m) + bias for the standardized xhat).
    """

    noise: Noise = Noise(0.5, 1.25, 0.1, 0.1)
    noise_place: str = "after"

    @nn.compact
    def __call__(
        self,
        x: Array,
        use_running_average: bool | None = None,
        *,
        mask: Array | None = None,
    ) -> Array:
        """As `BatchNorm`'s."""
        y = super().__call__(x, use_running_average, mask=mask)
        if not self.has_rng("noise"):
            return y
        features = normalize_axis_tuple(self.axis, y.ndim)
        channels = tuple(n if i in features else 1 for i, n in enumerate(y.shape))
        dtype = jnp.promote_types(y.dtype, jnp.float32)
        key = self.make_rng("noise")
        factor, shift = draw(key, self.noise, y.shape, channels, dtype)
        centre = y
        if self.noise_place == "before":
            # In terms of y = scale xhat + bias, and exact for a factor of 1.
            if self.use_scale:
                shift = shift * self.get_variable("params", "scale").reshape(channels)
            if self.use_bias:
                centre = y - self.get_variable("params", "bias").reshape(channels)
        return (y + (factor - 1) * centre + shift).astype(y.dtype)


def batch_noisy(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """Noisy batch norm, the layer of a model called ``name``."""
    spread = options.noise_scale_spread
    layer = NoisyBatchNorm(
        name=name,
        momentum=options.norm_momentum,
        noise=Noise(
            mean=options.noise_mean,
            scale=options.noise_scale,
            mean_spread=options.noise_mean_spread,
            scale_spread=spread if options.noise_spread == "std" else math.sqrt(spread),
        ),
        noise_place=options.noise_place,
        **options.affine,
    )
    if statistics == "batch":
        refuse_single_batch(layer, x)
    return layer(x, use_running_average=statistics == "running", mask=mask)


# noise_eval is read by the code that passes the key of the noise.
ENTRY = Entry(batch_noisy, AFFINE | RUNNING | settings_named("noise_"), place=10)
