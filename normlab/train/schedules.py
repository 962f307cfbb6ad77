"""Schedules of the learning rate by name, as optax computes them.

Warm-up and end value are arrays in a member's state, so members with different ones
share one program.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from normlab.registry import Registry

# (a member's hyperparameters, updates so far) -> the learning rate of the next update.
Rate = Callable[[Mapping[str, jax.Array], jax.Array], jax.Array]


class Schedule(NamedTuple):
    """An entry of `SCHEDULES`.

    Attributes:
      share: ``(progress, end) -> share of the learning rate``. ``progress`` goes from 0
        at the end of the warm-up to 1 after the last step. None: always 1.
      reads: the settings that only some schedules read, and this one does.
    """

    share: Callable[[jax.Array, jax.Array], jax.Array] | None
    reads: frozenset[str] = frozenset()


def _cosine(progress: jax.Array, end: jax.Array) -> jax.Array:
    """Half a period of a cosine (Loshchilov & Hutter 2017, without restarts)."""
    return jnp.asarray(optax.cosine_decay_schedule(1.0, 1, alpha=end)(progress))


def _linear(progress: jax.Array, end: jax.Array) -> jax.Array:
    """A straight line."""
    return jnp.asarray(optax.linear_schedule(1.0, end, 1)(progress))


_END = frozenset({"decay_to"})

SCHEDULES = Registry(
    "schedule",
    {
        "constant": Schedule(None),
        "cosine": Schedule(_cosine, _END),
        "linear": Schedule(_linear, _END),
    },
)


def make_rate(schedule: str, steps: int) -> Rate:
    """``rate(hyperparameters, step)``: the learning rate of one update, float32.

    ``step`` is the number of updates before it: 0 for the first one. Update t of a
    warm-up of W has the rate ``lr t / W``, so the first one has 0, as in optax. From W
    on the schedule goes from ``lr`` down to ``decay_to lr``, which it reaches after the
    last update: a probe there sees it. Both arguments may have a leading axis.

    Args:
      schedule: a name in `SCHEDULES`.
      steps: the length of training in updates, with the warm-up.

    Raises:
      UserError: the schedule is unknown; the message lists the known ones.
    """
    share = SCHEDULES.find(schedule).share

    def rate(hyperparameters: Mapping[str, jax.Array], step: jax.Array) -> jax.Array:
        lr, warmup = hyperparameters["lr"], hyperparameters.get("warmup")
        if share is not None:
            end = hyperparameters.get("decay_to", jnp.zeros_like(lr))
            begin = 0 if warmup is None else warmup
            # Whole numbers, until they are small: float32 cannot count to 1e8.
            length = jnp.maximum(steps - begin, 1)
            progress = _float32(step - begin) / _float32(length)
            lr = lr * share(jnp.clip(progress, 0, 1), end)
        if warmup is None:
            return lr
        risen = _float32(step) / _float32(jnp.maximum(warmup, 1))
        start = optax.linear_schedule(0.0, 1.0, 1)(risen)
        return jnp.where(step < warmup, hyperparameters["lr"] * start, lr)

    return rate


def _float32(count: jax.Array) -> jax.Array:
    return jnp.asarray(count, jnp.float32)
