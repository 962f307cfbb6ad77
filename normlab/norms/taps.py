"""Norm layers that a measurement can watch, in any framework.

A measurement applies a network under `watching`. Every norm layer that runs meanwhile
reports its input and its output, and adds what the measurement asks it to add to them.
The derivative by what is added is the derivative by the layer's input or output. At
any other time a layer that is tapped is the layer itself.

The layers of `normlab.norms` are tapped, and so are the norm layers of Flax Linen. Any
other network calls its norm layers through `tap`.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from jax import Array
from jax.extend.core import get_opaque_trace_state

from normlab.errors import UserError

# What to add before and after each norm layer, by the layer's name.
Moves = tuple[dict[str, Array], dict[str, Array]]


class Place(NamedTuple):
    """A place where a network normalizes: what is known of the layer before it runs.

    Attributes:
      name: the layer's name. Places have different names.
      channels: the size of the last axis of its input.
      path: the path of its parameters, such as ``block1/norm2``.
      groups: the number of groups that an example's channels are cut into, or None if a
        block is one channel of the whole batch (`normlab.quantities.bounds.Layer`).
      epsilon: what it adds to the variance.
      standardizes: whether it standardizes these blocks, and scales and shifts the
        result, and nothing else.
      per_position: whether every position of an example is normalized for itself.
      weights: the path of the layer whose output is normalized, or "".
    """

    name: str
    channels: int
    path: str = ""
    groups: int | None = None
    epsilon: float = 1e-5
    standardizes: bool = True
    per_position: bool = False
    weights: str = ""


@dataclasses.dataclass(eq=False)
class Record:
    """What the norm layers report during one application of a network.

    Make a new one for every application, because it holds that application's arrays.

    Attributes:
      moves: what to add to the input and the output of the layer with that name.
      places: the layers by name, in the order of their calls.
      before, after: their inputs and outputs, (N, ..., C).
      kernels: the paths of the layers with kernels, in the order of their calls, if the
        framework tells.
      running: the name of the tapped layer that is running, or "".
      path: the path of the parameters of that layer, if the framework tells.
      trace: JAX's trace in which the network is applied.
    """

    moves: Moves = ({}, {})
    places: dict[str, Place] = dataclasses.field(default_factory=dict)
    before: dict[str, Array] = dataclasses.field(default_factory=dict)
    after: dict[str, Array] = dataclasses.field(default_factory=dict)
    kernels: list[str] = dataclasses.field(default_factory=list)
    running: str = ""
    path: str = ""
    trace: Any = dataclasses.field(default_factory=lambda: _trace())


def _trace() -> Any:
    return get_opaque_trace_state(convention="nnx")


_RECORD: ContextVar[Record | None] = ContextVar("record", default=None)


@contextlib.contextmanager
def watching(record: Record) -> Iterator[Record]:
    """Norm layers report to ``record`` inside of this context."""
    token = _RECORD.set(record)
    try:
        with contextlib.ExitStack() as stack:
            if "flax.linen" in sys.modules:  # else no layer is Linen's
                from normlab.norms.linen_taps import intercepting

                stack.enter_context(intercepting(record))
            yield record
    finally:
        _RECORD.reset(token)


def tap(
    name: str,
    layer: Callable[[Array], Array],
    y: Array,
    *,
    groups: int | None = None,
    epsilon: float = 1e-5,
    standardizes: bool = True,
    per_position: bool = False,
    weights: str = "",
) -> Array:
    """``layer(y)``, of a norm layer that a measurement can watch.

    Args:
      name: the path of the layer's parameters, such as ``block1/norm2``. Its scale, if
        it has one, is the parameter ``<name>/scale`` or ``<name>/weight``.
      layer: the layer, a function of its input.
      y: the input, (N, ..., C).
      groups, epsilon, standardizes, per_position, weights: as in `Place`.

    Raises:
      UserError: a measurement watches, and the layer runs inside of a transformation
        of JAX, out of which its input cannot be handed.
    """
    record = _RECORD.get()
    if record is None or record.running:
        return layer(y)
    if _trace() != record.trace:
        raise UserError(
            f"the norm layer {name} runs inside of jit, scan, vmap or remat in the "
            "loss, where its input and output cannot be seen; quantities of norm "
            "layers need it outside"
        )
    path, name = name, _free(name, record)
    weights = weights or (record.kernels[-1] if record.kernels else "")
    inputs, outputs = record.moves
    y = y + inputs[name] if name in inputs else y
    record.running, record.path = name, path
    try:
        z = layer(y)
    finally:
        record.running = ""
    z = z + outputs[name] if name in outputs else z
    record.places[name] = Place(
        name,
        y.shape[-1],
        record.path,
        groups,
        epsilon,
        standardizes,
        per_position,
        weights,
    )
    record.before[name], record.after[name] = y, z
    return z


def _free(name: str, record: Record) -> str:
    """The name, with a number if the layer is called again."""
    number, free = 1, name
    while free in record.places:
        number += 1
        free = f"{name}#{number}"
    return free
