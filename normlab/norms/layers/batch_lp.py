"""Batch normalization by an lp norm, as a Linen module."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.nn import initializers

from normlab.norms import functional, lp, running
from normlab.norms.affine import affine, output_dtype
from normlab.norms.entry import AFFINE, RUNNING, Entry
from normlab.norms.options import NormOptions, Statistics
from normlab.norms.single import refuse_single_batch


class LpBatchNorm(nn.Module):
    """Centres each channel and divides by its lp norm over the batch (see `lp`).

    Variables, each (C,): ``scale`` and ``bias`` in ``params``; ``mean`` and ``moment``
    (the mean of |x|^p, for p = inf the maximum) in ``batch_stats``, whose running
    averages follow ``r <- momentum * r + (1 - momentum) * batch`` and start at 0 and 1.
    """

    p: str = "2"
    momentum: float = 0.99
    epsilon: float = 1e-5
    param_dtype: Any = jnp.float32
    use_bias: bool = True
    use_scale: bool = True
    bias_init: initializers.Initializer = initializers.zeros
    scale_init: initializers.Initializer = initializers.ones

    @nn.compact
    def __call__(
        self, x: Array, use_running_average: bool, *, mask: Array | None = None
    ) -> Array:
        """Returns x (N, ..., C) normalized, of x's shape.

        ``mask``, broadcastable to x, is 0 for elements that do not count, whatever
        they contain. They affect no statistics and no gradients of others. The output
        of a masked element that is not finite is undefined. A channel with no element
        that counts keeps its running averages.
        """
        shape = (x.shape[-1],)
        # As wide as their updates, so that a scan can carry them.
        dtype = jnp.result_type(x, jnp.float32, self.param_dtype)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, dtype)
        moment = self.variable("batch_stats", "moment", jnp.ones, shape, dtype)
        scale, bias = affine(self, shape)
        if use_running_average:
            y = lp.lp_normalize_by(
                x,
                mean.value,
                moment.value,
                scale,
                bias,
                self.p,
                self.epsilon,
                mask=mask,
            )
        else:
            y, *batch = lp.lp_batch_norm(
                x, scale, bias, self.p, self.epsilon, mask=mask
            )
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                seen = functional.seen(x, mask=mask)
                running.update((mean, moment), batch, self.momentum, seen)
        return y.astype(output_dtype(None, x, scale, bias))


def batch_lp(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """Batch norm by the lp norm with p = ``options.norm_p``; the layer ``name``."""
    layer = LpBatchNorm(
        name=name, p=options.norm_p, momentum=options.norm_momentum, **options.affine
    )
    if statistics == "batch":
        refuse_single_batch(layer, x)
    return layer(x, use_running_average=statistics == "running", mask=mask)


# The lp norm is taken before the mean is subtracted, so a shift changes the output.
ENTRY = Entry(batch_lp, AFFINE | RUNNING | {"norm_p"}, invariant=frozenset({"scale"}))
