"""What a measurement found: arrays, and what their axes mean."""

from collections.abc import Mapping
from typing import Any

import jax
from jax import Array

Labels = tuple[tuple[str, tuple], ...]


@jax.tree_util.register_pytree_with_keys_class
class Found(dict[str, dict[str, Array]]):
    """{quantity: {field: array}}, a pytree.

    It keeps its labels through ``jit``, ``scan``, ``vmap`` and ``jax.tree.map``. The
    last axes of an array are those of the quantity; transformations add axes in front.

    Attributes:
      labels: axis -> the labels of the entries along it (``eta`` -> the etas).
    """

    def __init__(
        self, found: Mapping[str, dict[str, Array]], labels: Mapping[str, tuple]
    ):
        super().__init__(found)
        self.labels = dict(labels)

    def __reduce__(self) -> Any:
        return Found, (dict(self), self.labels)

    def tree_flatten_with_keys(self) -> tuple[Any, Any]:
        children = tuple((jax.tree_util.DictKey(name), self[name]) for name in self)
        return children, (tuple(self), tuple(self.labels.items()))

    @classmethod
    def tree_unflatten(cls, names_and_labels: Any, children: Any) -> "Found":
        names, labels = names_and_labels
        return cls(dict(zip(names, children, strict=True)), dict(labels))
