"""Optimizers by name, and what happens to a gradient before them.

The hyperparameters are arrays in the state. So the members of a sweep differ in data
and share one program, and a checkpoint contains their hyperparameters.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib

from normlab.cell import Member
from normlab.registry import Registry
from normlab.train.adopted import adopted_optimizer
from normlab.train.schedules import Rate

# What an optimizer is made of. The state may have more, which `make_update` uses.
_ARGUMENTS = ("lr", "momentum", "weight_decay")

# parameters -> for each whether it decays; None: all do.
Mask = Callable[[Any], Any] | None
Update = Callable[..., tuple[Any, Any, jax.Array]]


class Optimizer(NamedTuple):
    """An entry of `OPTIMIZERS`.

    Attributes:
      make: ``(lr, momentum, weight_decay, mask) -> optax's transformation``. The first
        three are scalars; ``mask`` selects the parameters that decay.
      reads: the settings that only some optimizers read, and this one does.
      decoupled: whether its weight decay is decoupled, and not a term of the loss (L2).
    """

    make: Callable[..., optax.GradientTransformation]
    reads: frozenset[str] = frozenset()
    decoupled: bool = False


def _l2(inner: optax.GradientTransformation, weight_decay, mask: Mask):
    """Adds ``weight_decay * params`` to the gradient, before ``inner``."""
    return optax.chain(optax.add_decayed_weights(weight_decay, mask), inner)


def adam(lr, momentum, weight_decay, mask: Mask):
    """Adam (Kingma & Ba 2015; 0.9, 0.999, 1e-8) on the L2-penalised loss."""
    del momentum
    return _l2(optax.adam(lr), weight_decay, mask)


def adamw(lr, momentum, weight_decay, mask: Mask):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
    del momentum
    return optax.adamw(lr, weight_decay=weight_decay, mask=mask)


def lion(lr, momentum, weight_decay, mask: Mask):
    """Lion (Chen et al. 2023; 0.9, 0.99), with decoupled weight decay."""
    del momentum
    return optax.lion(lr, weight_decay=weight_decay, mask=mask)


def rmsprop(lr, momentum, weight_decay, mask: Mask):
    """RMSprop (Hinton 2012; 0.9, 1e-8 under the root) on the L2-penalised loss."""
    del momentum
    return _l2(optax.rmsprop(lr), weight_decay, mask)


def _matrices(params: Any) -> Any:
    """How Muon sees each parameter; None if not as a matrix.

    A kernel is the matrix of its inputs (a convolution's window and channels) by its
    outputs, as in Jordan's code.
    """

    def one(x: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        if x.ndim < 2:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(x.ndim - 1)), -1)

    return jax.tree.map(one, params)


def muon(lr, momentum, weight_decay, mask: Mask):
    """Muon (Jordan et al. 2024; 0.95, Nesterov) on kernels, with decoupled decay.

    All other parameters follow Adam with Nesterov's momentum, at the same rate.
    """
    del momentum
    return optax.contrib.muon(
        lr,
        weight_decay=weight_decay,
        # All that is no kernel is Adam's, so the mask need not be applied again.
        adam_weight_decay=weight_decay if mask is None else 0.0,
        muon_weight_dimension_numbers=_matrices,
    )


def sgd(lr, momentum, weight_decay, mask: Mask):
    """Plain stochastic gradient descent on the L2-penalised loss."""
    del momentum
    return _l2(optax.sgd(lr), weight_decay, mask)


def sgd_momentum(lr, momentum, weight_decay, mask: Mask):
    """Heavy-ball momentum, ``v <- momentum v + g``, on the L2-penalised loss."""
    return _l2(optax.sgd(lr, momentum=momentum), weight_decay, mask)


def _adopt(found, name: str) -> Optimizer:
    """The entry of a plugin, which may be an `Optimizer`."""
    if isinstance(found, Optimizer):
        return found
    return Optimizer(*adopted_optimizer(found, name))


OPTIMIZERS = Registry(
    "optimizer",
    {
        "adam": Optimizer(adam),
        "adamw": Optimizer(adamw, decoupled=True),
        "sgd": Optimizer(sgd),
        "momentum": Optimizer(sgd_momentum, frozenset({"momentum"})),
        "lion": Optimizer(lion, decoupled=True),
        "rmsprop": Optimizer(rmsprop),
        "muon": Optimizer(muon, decoupled=True),
    },
    _adopt,
)


def kernels(params: Any) -> Any:
    """For each parameter whether it is a kernel: whether it has two axes or more."""
    return jax.tree.map(lambda x: jnp.ndim(x) > 1, params)


def make_optimizer(name: str, decay_mask: str = "all") -> optax.GradientTransformation:
    """The optimizer ``name``; `with_hyperparameters` sets a member's values.

    Args:
      decay_mask: the parameters that weight decay acts on: ``all`` or ``kernels``.

    Raises:
      UserError: ``name`` is unknown; the message lists the known ones.
    """
    make = OPTIMIZERS.find(name).make
    mask = kernels if decay_mask == "kernels" else None

    def made(lr, momentum, weight_decay):
        return make(lr, momentum, weight_decay, mask)

    # These numbers only create the state. Every member overwrites them.
    return optax.inject_hyperparams(made)(**dict.fromkeys(_ARGUMENTS, 0.0))


def values_of(members: Sequence[Member], names: Sequence[str]) -> dict[str, np.ndarray]:
    """The members' hyperparameters, each (members,): int32, or float32.

    Args:
      names: those of `normlab.cell.Cell.hyperparameters`.
    """
    return {
        name: np.array([getattr(member, name) for member in members], _dtype(name))
        for name in names
    }


def _dtype(name: str) -> Any:
    return np.int32 if Member.__dataclass_fields__[name].type is int else np.float32


def with_hyperparameters(opt_state, values: Mapping[str, Any]):
    """``opt_state`` with these scalars, in the types of `values_of`."""
    hyperparams = {k: jnp.asarray(v, _dtype(k)) for k, v in values.items()}
    return opt_state._replace(hyperparams=hyperparams)


def hyperparameters(opt_state) -> dict[str, jax.Array]:
    """The scalars that `with_hyperparameters` set."""
    return opt_state.hyperparams


def make_update(tx: optax.GradientTransformation, rate: Rate) -> Update:
    """``update(gradient, opt_state, params, step) -> (updates, opt_state, lr)``.

    First the gradient is clipped: by its norm, then adaptively, as far as the state has
    these hyperparameters. Then follows the optimizer, with its weight decay, at the
    learning rate of this step, which is returned.

    Args:
      tx: an optimizer from `make_optimizer`.
      rate: a schedule from `normlab.train.schedules.make_rate`.
    """

    def update(gradient, opt_state: Any, params, step: jax.Array):
        values = hyperparameters(opt_state)
        lr = rate(values, step)
        gradient = clipped(gradient, params, values)
        used = {name: values[name] for name in _ARGUMENTS} | {"lr": lr}
        before = opt_state._replace(hyperparams=used)
        updates, opt_state = tx.update(gradient, before, params)
        return updates, opt_state._replace(hyperparams=values), lr

    return update


# Hyperparameter -> how the gradient is clipped by its value, in this order.
_CLIPS = {
    "clip_norm": optax.clip_by_global_norm,
    "clip_adaptive": optax.adaptive_grad_clip,
}


def clipped(gradient, params, values: Mapping[str, jax.Array]):
    """The gradient, clipped as ``values`` say. A value of 0 changes nothing.

    ``clip_norm`` is the largest l2 norm over all parameters (Pascanu et al. 2013).
    ``clip_adaptive`` is the largest ratio of a unit's gradient norm to the norm of its
    parameters, which counts as 1e-3 at least (Brock et al. 2021); a unit is an output
    channel of a kernel, or a whole vector.
    """
    for name, clip in _CLIPS.items():
        if name not in values:
            continue
        value = values[name]
        tx = clip(jnp.where(value > 0, value, 1.0))
        less, _ = tx.update(gradient, tx.init(params), params)
        gradient = jax.tree.map(
            lambda new, old, on=value > 0: jnp.where(on, new, old), less, gradient
        )
    return gradient
