"""The parameters of any pytree by name: their paths, layers, and subsets of them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    SequenceKey,
    tree_flatten_with_path,
)

from normlab.errors import UserError

# Which parameters to vary: a predicate on their paths, a tree of booleans, or layers.
Where = Callable[[str], bool] | Sequence[str] | Any


class Leaf(NamedTuple):
    """A leaf of the parameters, by name.

    Attributes:
      path: its path, such as ``conv1/kernel``.
      layer: its layer: the first word of the path, and the place in a list, such as
        ``blocks[0]``.
    """

    path: str
    layer: str


def leaves_of(params: Any) -> tuple[Leaf, ...]:
    """The leaves of a tree, in order.

    The ``params`` around all of Flax's parameters is left out, and so is the ``value``
    in which Flax NNX wraps a variable.
    """
    keys = [path for path, _ in tree_flatten_with_path(params)[0]]
    if keys and all(len(path) > 1 and _word(path[0]) == "params" for path in keys):
        keys = [path[1:] for path in keys]
    return tuple(map(_leaf, keys))


def _leaf(path: tuple) -> Leaf:
    match path:
        case (_, *_, GetAttrKey(name="value")):
            path = path[:-1]
    words = [_word(key) for key in path] or ["params"]
    layer = words[0]
    if len(path) > 1 and _is_index(path[1]):
        layer = f"{words[0]}[{words[1]}]"
    return Leaf("/".join(words), layer)


def _is_index(key: Any) -> bool:
    return isinstance(key, SequenceKey) or isinstance(getattr(key, "key", None), int)


def _word(key: Any) -> str:
    match key:
        case DictKey() | FlattenedIndexKey():
            return str(key.key)
        case GetAttrKey():
            return key.name
        case SequenceKey():
            return str(key.idx)
    return str(key)


def layers_of(
    leaves: Sequence[Leaf], order: Sequence[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Layer -> the positions of its leaves.

    Args:
      order: the layers in the order of the forward pass; by default in that of the
        leaves.

    Raises:
      UserError: ``order`` does not name exactly the layers that there are.
    """
    layers: dict[str, list[int]] = {}
    for place, leaf in enumerate(leaves):
        layers.setdefault(leaf.layer, []).append(place)
    if order is not None:
        if sorted(order) != sorted(layers):
            raise UserError(
                f"layers={list(order)}: the layers of the parameters are {list(layers)}"
            )
        layers = {name: layers[name] for name in order}
    return {name: tuple(places) for name, places in layers.items()}


def chosen(params: Any, where: Where | None) -> tuple[bool, ...]:
    """Whether each leaf is varied. Leaves that are not of a floating type never are.

    Raises:
      UserError: a leaf is not an array or is complex, or ``where`` names a layer that
        does not exist, has another structure, or selects nothing.
    """
    leaves = leaves_of(params)
    values = jax.tree.leaves(params)
    real = [_is_real(x, leaf.path) for x, leaf in zip(values, leaves, strict=True)]
    asked = _asked(params, leaves, where)
    both = tuple(a and b for a, b in zip(real, asked, strict=True))
    if not any(both):
        what = "params has" if where is None else "where= selects"
        raise UserError(f"{what} no parameters of a floating type")
    return both


def _is_real(leaf: Any, path: str) -> bool:
    if not hasattr(leaf, "dtype") and not isinstance(leaf, float | int):
        raise UserError(
            f"params has a {type(leaf).__name__} at {path}; give arrays only (in "
            "Equinox: eqx.partition(model, eqx.is_inexact_array))"
        )
    kind = jnp.result_type(leaf)
    if jnp.issubdtype(kind, jnp.complexfloating):
        raise UserError(f"{path} is complex; parameters must be real")
    return bool(jnp.issubdtype(kind, jnp.floating))


def _asked(params: Any, leaves: Sequence[Leaf], where: Where | None) -> list[bool]:
    if where is None:
        return [True] * len(leaves)
    if callable(where):
        return [bool(where(leaf.path)) for leaf in leaves]
    if isinstance(where, list | tuple) and all(isinstance(x, str) for x in where):
        known = list(layers_of(leaves))
        for name in where:
            if name not in known:
                raise UserError(f"where={name!r}: the layers are {known}")
        return [leaf.layer in where for leaf in leaves]
    if jax.tree.structure(where) != jax.tree.structure(params):
        raise UserError(
            "where= must be a function of a path, a list of layers, or a tree of "
            "booleans with the structure of params"
        )
    return [bool(x) for x in jax.tree.leaves(where)]
