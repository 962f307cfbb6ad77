"""Optimizers from outside the package, like ``optax.contrib:muon``."""

from collections.abc import Callable
from typing import Any

import optax

from normlab.errors import UserError
from normlab.plugins import accepted, calling

_RATES = ("learning_rate", "lr")
# What optax's optimizers call the mask of the parameters that decay.
_MASKS = ("mask", "weight_decay_mask")
_DECAY = ("weight_decay", *_MASKS)


def adopted_optimizer(
    found: Any, name: str
) -> tuple[Callable[..., optax.GradientTransformation], frozenset[str]]:
    """``(make, reads)`` of an `Optimizer`, from a plugin.

    Args:
      found: a function like optax's: it takes ``learning_rate`` (or ``lr``), and
        perhaps ``momentum``, ``weight_decay`` and ``mask`` (or ``weight_decay_mask``),
        and returns an optax transformation. Under vmap and jit these are arrays. If it
        takes no ``weight_decay``, that is added to the gradient (L2).
      name: the plugin's name.

    Raises:
      UserError: it is something else, or needs an argument that no optimizer gets.
    """
    says = f"--optimizer={name}"
    if not callable(found) or isinstance(found, optax.GradientTransformation):
        raise UserError(
            f"{says}: an optimizer is a function of learning_rate that returns an "
            f"optax transformation, not a {type(found).__name__}"
        )
    offered: dict[str, Any] = dict.fromkeys((*_RATES, "momentum", *_DECAY))
    takes = accepted(found, offered, says)
    if not any(rate in takes for rate in _RATES):
        raise UserError(f"{says}: it takes no learning_rate")

    def make(lr, momentum, weight_decay, mask) -> optax.GradientTransformation:
        if mask and "weight_decay" in takes and not {*_MASKS} & {*takes}:
            raise UserError(
                f"{says}: it takes weight_decay and no mask of the parameters that "
                "decay; use --decay_mask=all"
            )
        values = {
            "learning_rate": lr,
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            **dict.fromkeys(_MASKS, mask),
        }
        with calling("optimizer", name):
            inner = found(**{k: values[k] for k in takes})
        if not isinstance(inner, optax.GradientTransformation):
            kind = type(inner).__name__
            raise UserError(f"{says}: it returns a {kind}, not an optax transformation")
        inner = _named(optax.with_extra_args_support(inner), name)
        if "weight_decay" in takes:
            return inner
        return optax.chain(optax.add_decayed_weights(weight_decay, mask), inner)

    return make, frozenset({"momentum"} & set(takes))


def _named(
    inner: optax.GradientTransformationExtraArgs, name: str
) -> optax.GradientTransformationExtraArgs:
    """``inner``, whose errors name the plugin."""

    def init(params):
        with calling("optimizer", name):
            return inner.init(params)

    def update(updates, state, params=None, **more):
        with calling("optimizer", name):
            return inner.update(updates, state, params, **more)

    return optax.GradientTransformationExtraArgs(init, update)
