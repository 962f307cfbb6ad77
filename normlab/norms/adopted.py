"""Norms from outside the package: a Linen module or a function becomes an `Entry`."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from normlab.errors import UserError
from normlab.norms.entry import Entry
from normlab.norms.options import NormOptions, Statistics
from normlab.plugins import accepted, calling, short
from normlab.registry import REGISTRIES
from normlab.settings import NormSettings, named

# What flax.linen's norms call the settings of `NormSettings`.
_OF_FLAX = {
    "use_scale": ("norm_scale",),
    "use_bias": ("norm_bias",),
    "scale_init": ("norm_init", "zero_last_scale"),
    "bias_init": ("norm_init",),
    "num_groups": ("groups",),
}
# Settings of the places of norms, which no norm needs to know.
_PLACES = frozenset({"norm_dense"})


def adopt(found: Any, name: str) -> Entry:
    """The entry of a plugin.

    Args:
      found: an `Entry`; or a Linen module's class, whose instances map x of shape
        (N, ..., C) to the same shape; or such a function of x. A class may have fields,
        and both may take arguments, called like the settings of norms (``epsilon``,
        ``groups``, ...) or like flax.linen's (``use_scale``, ``scale_init``, ...): they
        get the values of the sweep. They may also take ``statistics`` and ``mask``, and
        a function ``name``, if it makes a layer.
      name: the plugin's name.

    Raises:
      UserError: it is something else, or needs an argument that no norm gets.
    """
    says = f"--norm={name}"
    if short(name) in REGISTRIES["norm"]:
        raise UserError(
            f"{says}: normlab has a norm of its own called {short(name)}; rename yours"
        )
    if isinstance(found, Entry):
        return found._replace(apply=functools.partial(_safely, found.apply, name))
    is_module = inspect.isclass(found) and issubclass(found, nn.Module)
    if not is_module and (inspect.isclass(found) or not callable(found)):
        raise UserError(
            f"{says}: a norm is a class of flax.linen modules, a function of x or an "
            f"Entry, not {_kind(found)}"
        )
    offered = _offered(NormOptions(), "")
    if is_module:
        taken = accepted(found, offered, says)
        accepted(found.__call__, _called("batch", None), says, skip=2)
        apply: Callable[..., Array] = functools.partial(_module, found)
    else:
        taken = accepted(found, offered | _called("batch", None), says, skip=1)
        apply = functools.partial(_function, cast(Any, found))
    reads = {s for k in taken for s in _OF_FLAX.get(k, (k,))} & {*named(NormSettings)}
    return Entry(
        functools.partial(_safely, apply, name),
        frozenset(reads) | _PLACES,
        invariant=frozenset(),  # it may have any, but does not say so
    )


def _kind(found: Any) -> str:
    return f"a {type(found).__name__}"


def _offered(options: NormOptions, name: str) -> dict[str, Any]:
    """What a norm may take when it is made, by name."""
    settings = {k: getattr(options, k) for k in named(NormSettings)}
    flax = options.affine | {"num_groups": options.groups}
    return settings | flax | {"name": name}


def _called(statistics: Statistics, mask: Array | None) -> dict[str, Any]:
    """What a norm may take when it is called, besides x."""
    return {"statistics": statistics, "mask": mask}


def _module(
    kind: Any,
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    layer = kind(**accepted(kind, _offered(options, name), kind.__name__))
    call = _called(statistics, mask)
    return layer(x, **accepted(kind.__call__, call, kind.__name__, skip=2))


def _function(
    function: Callable[..., Array],
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    offered = _offered(options, name) | _called(statistics, mask)
    return function(x, **accepted(function, offered, "the norm", skip=1))


def _safely(apply: Callable[..., Array], plugin: str, *arguments: Any) -> Array:
    with calling("norm", plugin):
        y = apply(*arguments)
        if not hasattr(y, "shape"):
            raise UserError(f"it returns {_kind(y)}, not an array")
        return jnp.asarray(y)
