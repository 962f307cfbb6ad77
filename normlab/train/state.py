"""The state of one member. All that differs between members is an array in it."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from normlab.train.optimizers import with_hyperparameters

# Random streams of a seed. The batch order has its own (normlab.data.batches).
_INIT, _AUGMENT, _NOISE, _PROBE = 0, 1, 2, 3


@struct.dataclass
class TrainState:
    """Everything that a member needs to continue, and nothing else.

    Attributes:
      step: updates done so far, int32 scalar.
      seed: the member's seed, uint32 scalar.
      params: the parameters.
      batch_stats: batch norm's running averages, or the groups of a norm that takes
        them from data ({} if there is neither).
      opt_state: optax's state, with the member's hyperparameters. Together with
        ``step`` they determine the learning rate of the next update.
    """

    step: jax.Array
    seed: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState


def init_variables(
    model: nn.Module, image_shape: tuple[int, int, int], seed: jax.Array
) -> Any:
    """The variables of a member before the first step. They depend only on its seed."""
    key = jax.random.fold_in(jax.random.key(seed), _INIT)
    images = jnp.zeros((1, *image_shape), jnp.float32)
    return model.init(key, images, statistics="batch")


def init_state(
    model: nn.Module,
    tx: optax.GradientTransformation,
    image_shape: tuple[int, int, int],
    seed: jax.Array,
    hyperparameters: dict[str, jax.Array],
) -> TrainState:
    """The state before the first step.

    Args:
      image_shape: (H, W, C) of one image.
      seed: integer scalar; initialisation depends on nothing else.
      hyperparameters: ``lr``, ``momentum``, ``weight_decay``, and those that only some
        cells have (`normlab.cell.Cell.hyperparameters`), scalars.
    """
    variables = init_variables(model, image_shape, seed)
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        seed=jnp.asarray(seed, jnp.uint32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=with_hyperparameters(tx.init(params), hyperparameters),
    )


def augment_key(seed: jax.Array, step: jax.Array) -> jax.Array:
    """The key of a step's augmentation. It depends only on (seed, step)."""
    stream = jax.random.fold_in(jax.random.key(seed), _AUGMENT)
    return jax.random.fold_in(stream, step)


def noise_key(seed: jax.Array, step: jax.Array) -> jax.Array:
    """The key of a step's noise, for norms with noise. Depends only on (seed, step)."""
    stream = jax.random.fold_in(jax.random.key(seed), _NOISE)
    return jax.random.fold_in(stream, step)


def probe_key(seed: jax.Array, step: jax.Array) -> jax.Array:
    """The key of a measurement's random draws. It depends only on (seed, step)."""
    stream = jax.random.fold_in(jax.random.key(seed), _PROBE)
    return jax.random.fold_in(stream, step)
