"""Taps the norm layers of Flax Linen, without a change of the network."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from flax import linen as nn

from normlab.norms.layers.batch_lp import LpBatchNorm
from normlab.norms.layers.batch_noisy import NoisyBatchNorm
from normlab.norms.layers.batch_norm import BatchNorm
from normlab.norms.layers.group_correlated import AssignedGroupNorm
from normlab.norms.layers.group_norm import GroupNorm
from normlab.norms.taps import Record, tap


def intercepting(record: Record) -> AbstractContextManager[None]:
    """Inside of this context the norm layers of Linen modules are tapped.

    A layer that `normlab.norms.taps.tap` already runs is not tapped again.
    """

    def call(method: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        module = context.module
        if context.method_name != "__call__":
            return method(*args, **kwargs)
        path = "/".join(module.path)
        kind = _KINDS.get(type(module))
        if record.running or kind is None or not args:
            if record.running:
                record.path = path
            outputs = method(*args, **kwargs)
            if module.has_variable("params", "kernel"):
                record.kernels.append(path)
            return outputs
        described = {"epsilon": module.epsilon} | kind(module, args, kwargs)
        if kwargs.get("mask") is not None:
            described["standardizes"] = False

        def layer(y: Any) -> Any:
            return method(y, *args[1:], **kwargs)

        return tap(path, layer, args[0], **described)

    return nn.intercept_methods(call)


def _batch(module: Any, args: tuple, kwargs: dict) -> dict:
    running = kwargs.get("use_running_average", module.use_running_average)
    running = args[1] if len(args) > 1 else running
    last = module.axis in (-1, (-1,))
    return {"standardizes": last and not running and module.axis_name is None}


def _group(module: Any, args: tuple, kwargs: dict) -> dict:
    channels = args[0].shape[-1]
    groups = module.num_groups
    if module.group_size is not None and groups is None:
        groups = channels // module.group_size
    plain = module.reduction_axes is None and module.axis_name is None
    return {"groups": groups, "standardizes": plain}


def _layer(module: Any, args: tuple, kwargs: dict) -> dict:
    """Linen's layer norm normalizes every position for itself."""
    last = module.reduction_axes in (-1, (-1,)) and module.feature_axes in (-1, (-1,))
    return {"groups": 1, "standardizes": last, "per_position": True}


def _instance(module: Any, args: tuple, kwargs: dict) -> dict:
    last = module.feature_axes in (-1, (-1,))
    return {"groups": args[0].shape[-1], "standardizes": last}


def _unknown(module: Any, args: tuple, kwargs: dict) -> dict:
    return {"standardizes": False}


_KINDS: dict[type, Callable[[Any, tuple, dict], dict]] = {
    nn.BatchNorm: _batch,
    nn.GroupNorm: _group,
    nn.LayerNorm: _layer,
    nn.InstanceNorm: _instance,
    nn.RMSNorm: _unknown,
    BatchNorm: _batch,
    GroupNorm: _group,
    LpBatchNorm: _unknown,
    NoisyBatchNorm: _unknown,
    AssignedGroupNorm: _unknown,
}
