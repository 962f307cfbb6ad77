"""Batch normalization as a Linen module that stands in for flax.linen.BatchNorm."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.nn import initializers

from normlab.norms import functional, running
from normlab.norms.affine import affine, compute_input, output_dtype
from normlab.norms.entry import AFFINE, RUNNING, Entry
from normlab.norms.options import NormOptions, Statistics
from normlab.norms.single import refuse_single_batch
from normlab.settings import NormSettings


class BatchNorm(nn.Module):
    """Normalizes each feature over the batch (Ioffe & Szegedy 2015, Algorithm 1).

    Takes the arguments of ``flax.linen.BatchNorm`` and keeps the same variables:
    ``scale`` and ``bias`` in ``params``, ``mean`` and ``var`` in ``batch_stats``, each
    of the shape of x along ``axis``. The running averages follow
    ``r <- momentum * r + (1 - momentum) * batch``, with the biased variance. Three
    things are fixed or differ:

    - the variance always comes from shifted data (`functional`) and every reduction
      runs in float32 or wider. ``use_fast_variance`` and
      ``force_float32_reductions`` are accepted but change nothing;
    - batch statistics do not need ``mutable=["batch_stats"]``. Without it the running
      averages do not change, where Linen raises an error;
    - under ``axis_name`` all unmasked elements have the same weight, where Linen
      averages the means of the shards.
    """

    use_running_average: bool | None = None
    axis: functional.Axes = -1
    momentum: float = 0.99
    epsilon: float = 1e-5
    dtype: Any = None
    param_dtype: Any = jnp.float32
    use_bias: bool = True
    use_scale: bool = True
    bias_init: initializers.Initializer = initializers.zeros
    scale_init: initializers.Initializer = initializers.ones
    axis_name: str | None = None
    axis_index_groups: Any = None
    use_fast_variance: bool = True
    force_float32_reductions: bool = True

    @nn.compact
    def __call__(
        self,
        x: Array,
        use_running_average: bool | None = None,
        *,
        mask: Array | None = None,
    ) -> Array:
        """Returns x normalized, of x's shape.

        ``use_running_average`` must be given here or to the constructor, not to both.
        ``mask``, broadcastable to x, is 0 for elements that do not count, whatever
        they contain. They affect no statistics and no gradients of others. The output
        of a masked element that is not finite is undefined. A feature with no element
        that counts (in an empty batch, for example) keeps its running averages.
        """
        use_running_average = nn.merge_param(
            "use_running_average", self.use_running_average, use_running_average
        )
        wide = compute_input(x, self.dtype)
        shape = functional.feature_shape(x, self.axis)
        # As wide as their updates, so that a scan can carry them.
        dtype = jnp.result_type(wide, jnp.float32, self.param_dtype)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, dtype)
        var = self.variable("batch_stats", "var", jnp.ones, shape, dtype)
        scale, bias = affine(self, shape)
        if use_running_average:
            y = functional.normalize_by(
                wide,
                mean.value,
                var.value,
                scale,
                bias,
                self.epsilon,
                axis=self.axis,
                mask=mask,
            )
        else:
            initializing = self.is_initializing()  # when axis_name is not yet bound
            over: dict[str, Any] = {
                "axis": self.axis,
                "mask": mask,
                "axis_name": None if initializing else self.axis_name,
                "axis_index_groups": self.axis_index_groups,
            }
            y, *batch = functional.batch_norm(wide, scale, bias, self.epsilon, **over)
            if self.is_mutable_collection("batch_stats") and not initializing:
                seen = functional.seen(wide, **over)
                running.update((mean, var), batch, self.momentum, seen)
        return y.astype(output_dtype(self.dtype, x, scale, bias))


def batch(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """Batch norm, the layer of a model called ``name``."""
    layer = BatchNorm(name=name, momentum=options.norm_momentum, **options.affine)
    if statistics == "batch":
        refuse_single_batch(layer, x)
    return layer(x, use_running_average=statistics == "running", mask=mask)


def one_block(settings: NormSettings, channels: int) -> None:
    """A block is one channel of the whole batch (`Entry.blocks`)."""


ENTRY = Entry(batch, AFFINE | RUNNING, one_block, place=1)
