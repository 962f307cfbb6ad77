"""Statistics of the channels that enter each norm layer, on one batch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from normlab.grouping import Channels
from normlab.norms.functional import moments
from normlab.norms.taps import Record, watching
from normlab.train.network import Network
from normlab.train.state import TrainState, augment_key


def statistics_of(x: jax.Array) -> Channels:
    """Statistics of the channels of x (N, ..., C), over all other axes, in float32."""
    x_MC = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
    mean, var = moments(x_MC, 0)
    inverse = jnp.where(var > 0, jax.lax.rsqrt(jnp.where(var > 0, var, 1)), 0)
    standard_MC = (x_MC - mean[None, :]) * inverse[None, :]
    products = jnp.dot(standard_MC.T, standard_MC, precision=jax.lax.Precision.HIGHEST)
    return Channels(mean, var, products / len(x_MC))


def make_channels(network: Network) -> Callable[..., dict[str, Channels]]:
    """``channels(state, indices_B, data)``: norm layer -> statistics of its input.

    It measures one member on the batch of its next step, with that step's augmentation
    and under batch statistics. The state does not change.

    Args:
      network: a network whose norm has no noise.
    """

    def channels(state: TrainState, indices_B: jax.Array, data: dict):
        images = data["train_x"][indices_B]
        x_NHWC = network.prepare(augment_key(state.seed, state.step), images)
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        with watching(Record()) as record:
            network.model.apply(variables, x_NHWC, statistics="batch")
        return {name: statistics_of(x) for name, x in record.before.items()}

    return channels
