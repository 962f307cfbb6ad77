"""Checks a network from outside the package, before anything is trained."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from normlab.errors import UserError
from normlab.models import MODELS
from normlab.norms import NORMS, no_layer
from normlab.quantities import needs
from normlab.train.network import Network

_IMAGES = 2


def check_network(network: Network, classes: int, quantities: Sequence[str]) -> None:
    """Checks the outputs of a network, if its model or its norm is a plugin.

    The network is traced for two images, not run.

    Args:
      quantities: what will be measured on it.

    Raises:
      UserError: the outputs have another shape or type than logits, the network has no
        place for its norm, two places have one name, or the plugin's code fails. Or a
        quantity is of norm layers, and one is inside another module of the network.
    """
    kind = network.norm.kind
    if network.name in MODELS and kind in NORMS:
        return
    says = f"--model={network.name}"
    places = _Places(network.norm)
    x = jax.ShapeDtypeStruct((_IMAGES, *network.image_shape), jnp.float32)
    watched: Any = network.with_norm(places)
    paths: list[tuple[str, ...]] = []

    def trace(x: jax.Array) -> jax.Array:
        variables = network.initial(jnp.zeros((), jnp.uint32))
        if "params" not in variables:
            raise UserError(f"{says}: the network has no parameters")
        paths.extend(flatten_dict(variables["params"]))
        odd = sorted({*variables} - {"params", "batch_stats"})
        if odd:
            raise UserError(
                f"{says}: the network has variables called {odd[0]}; normlab keeps "
                "params and batch_stats"
            )
        y, _ = watched.apply(variables, x, statistics="batch", mutable=["batch_stats"])
        return y

    outputs = jax.eval_shape(trace, x)
    if outputs.shape != (_IMAGES, classes):
        raise UserError(
            f"{says}: for {_IMAGES} images it returns the shape {outputs.shape}, and "
            f"must return {(_IMAGES, classes)}: (images, classes)"
        )
    _check_places(says, kind, places.names)
    if needs(quantities, "norm"):
        _check_outermost(says, places.names, paths)


def _check_places(says: str, norm: str, names: Sequence[str]) -> None:
    if norm != "none" and not names:
        raise UserError(
            f"{says}: it never calls self.norm, so --norm={norm} would change nothing; "
            "use --norm=none"
        )
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"{says}: two norms are called {name!r}; give each one its own name, "
                f'in a block for example self.norm(f"{{self.name}}_{name}")'
            )


def _check_outermost(
    says: str, names: Sequence[str], paths: Sequence[tuple[str, ...]]
) -> None:
    """Checks that the norms' parameters lie under their names alone."""
    for name in names:
        inside = [path for path in paths if name in path[1:]]
        if inside:
            raise UserError(
                f"{says}: the norm {name!r} is inside {inside[0][0]!r}. Quantities of "
                "norm layers need norms that the network itself calls"
            )


class _Places:
    """A norm that notes the names of its layers, in the order of the calls."""

    def __init__(self, norm: Any):
        self.norm = norm
        self.names: list[str] = []

    def __call__(self, name: str, **place: Any) -> Any:
        layer = self.norm(name, **place)
        if layer is no_layer:
            return layer

        def noted(x: jax.Array, **arguments: Any) -> jax.Array:
            self.names.append(name)
            return layer(x, **arguments)

        return noted
