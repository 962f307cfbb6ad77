"""A network whose norm layers can be observed and perturbed."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from normlab.norms import no_layer

Moves = tuple[dict[str, jax.Array], dict[str, jax.Array]]


@dataclasses.dataclass(eq=False)
class TappedNorm:
    """A norm that records the inputs and outputs of its layers.

    It replaces a `normlab.norms.Norm`. Make a new one for every application of the
    network, because it holds that application's arrays.

    Attributes:
      norm: the norm itself.
      moves: what to add to the input and the output of the layer with that name. The
        derivative by it is the derivative by the layer's input or output.
      before, after: the inputs and outputs of the layers, by name, in the order of the
        calls.
    """

    norm: Callable[..., Callable[..., jax.Array]]
    moves: Moves = ({}, {})
    before: dict[str, jax.Array] = dataclasses.field(default_factory=dict)
    after: dict[str, jax.Array] = dataclasses.field(default_factory=dict)

    def __call__(self, name: str, **place: Any) -> Callable[..., jax.Array]:
        layer = self.norm(name, **place)
        if layer is no_layer:
            return layer
        inputs, outputs = self.moves

        def tapped(x: jax.Array, **arguments: Any) -> jax.Array:
            y = x + inputs[name] if name in inputs else x
            z = layer(y, **arguments)
            z = z + outputs[name] if name in outputs else z
            self.before[name], self.after[name] = y, z
            return z

        return tapped
