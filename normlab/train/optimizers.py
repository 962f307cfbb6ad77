"""Optimizers by name, with their hyperparameters in the optimizer's state.

``optax.inject_hyperparams`` keeps the learning rate, momentum and weight decay as
arrays in the state. So the members of a sweep differ in data and share one program, and
a checkpoint contains their hyperparameters.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from normlab.cell import HYPERPARAMETERS
from normlab.registry import Registry
from normlab.train.adopted import adopted_optimizer

# The states in which optax counts the steps of a schedule.
_SCHEDULES = ("ScaleByScheduleState", "WrappedScheduleState")


class Optimizer(NamedTuple):
    """An entry of `OPTIMIZERS`.

    Attributes:
      make: ``(lr, momentum, weight_decay) -> optax's transformation``.
      reads: the settings that only some optimizers read, and this one does.
    """

    make: Callable[..., optax.GradientTransformation]
    reads: frozenset[str] = frozenset()


def _l2(inner: optax.GradientTransformation, weight_decay):
    """Adds ``weight_decay * params`` to the gradient, before ``inner``."""
    return optax.chain(optax.add_decayed_weights(weight_decay), inner)


def adam(lr, momentum, weight_decay):
    """Adam (Kingma & Ba 2015; 0.9, 0.999, 1e-8) on the L2-penalised loss."""
    del momentum
    return _l2(optax.adam(lr), weight_decay)


def adamw(lr, momentum, weight_decay):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
    del momentum
    return optax.adamw(lr, weight_decay=weight_decay)


def sgd(lr, momentum, weight_decay):
    """Plain stochastic gradient descent on the L2-penalised loss."""
    del momentum
    return _l2(optax.sgd(lr), weight_decay)


def sgd_momentum(lr, momentum, weight_decay):
    """Heavy-ball momentum, ``v <- momentum v + g``, on the L2-penalised loss."""
    return _l2(optax.sgd(lr, momentum=momentum), weight_decay)


def _adopt(found, name: str) -> Optimizer:
    """The entry of a plugin, which may be an `Optimizer`."""
    if isinstance(found, Optimizer):
        return found
    return Optimizer(*adopted_optimizer(found, name))


OPTIMIZERS = Registry(
    "optimizer",
    {
        "adam": Optimizer(adam),
        "adamw": Optimizer(adamw),
        "sgd": Optimizer(sgd),
        "momentum": Optimizer(sgd_momentum, frozenset({"momentum"})),
    },
    _adopt,
)


def make_optimizer(name: str) -> optax.GradientTransformation:
    """The optimizer ``name``; `with_hyperparameters` sets a member's values.

    Raises:
      UserError: ``name`` is unknown; the message lists the known ones.
    """
    make = OPTIMIZERS.find(name).make
    # These numbers only create the state. Every member overwrites them.
    return optax.inject_hyperparams(make)(**dict.fromkeys(HYPERPARAMETERS, 0.0))


def with_hyperparameters(opt_state, values: dict[str, jax.Array]):
    """``opt_state`` with the scalars named in `HYPERPARAMETERS` set (float32)."""
    hyperparams = {k: jnp.asarray(values[k], jnp.float32) for k in HYPERPARAMETERS}
    return opt_state._replace(hyperparams=hyperparams)


def learning_rate(opt_state) -> jax.Array:
    """The learning rate that `with_hyperparameters` set, scalar."""
    return opt_state.hyperparams["lr"]


def rate_at(
    tx: optax.GradientTransformation, lr: jax.Array, step: jax.Array
) -> jax.Array:
    """The learning rate of the update after ``step`` earlier ones, scalar.

    It is ``lr``, unless the optimizer has a schedule of its own, made by optax. optax
    does not report the rate then. So this makes a first update at that step, of a
    parameter of 0 whose gradient is 1: it decreases by the rate. This holds for all of
    `OPTIMIZERS`; Adam adds a relative rounding error of 1e-5.

    Args:
      tx: an optimizer from `make_optimizer`.
    """
    parameter = jnp.zeros((), jnp.float32)
    state = tx.init(parameter)
    if not any(map(_is_schedule, jax.tree.leaves(state, is_leaf=_is_schedule))):
        return lr
    none = jnp.zeros((), jnp.float32)
    hyperparameters = {"lr": lr, "momentum": none, "weight_decay": none}
    state = with_hyperparameters(state, hyperparameters)
    state = jax.tree.map(
        lambda x: x._replace(count=step) if _is_schedule(x) else x,
        state,
        is_leaf=_is_schedule,
    )
    update, _ = tx.update(jnp.ones_like(parameter), state, parameter)
    return -jnp.asarray(update)


def _is_schedule(state) -> bool:
    """Whether a part of an optimizer's state counts the steps of a schedule."""
    return type(state).__name__ in _SCHEDULES
