"""Members in chunks of equal size, so that every chunk runs the same program."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np


class MemberChunks:
    """``count`` members, ``size`` at a time.

    The last chunk is padded by repeating its last member; `join` drops the padding.
    """

    def __init__(self, count: int, size: int):
        self._count, self.size = count, size

    def __len__(self) -> int:
        return math.ceil(self._count / self.size)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The indices of each chunk's members, int (size,)."""
        for start in range(0, self._count, self.size):
            places = np.arange(start, start + self.size)
            yield np.minimum(places, self._count - 1)

    def alike(self, values: np.ndarray, parts: int = 1) -> int:
        """The most members in blocks of equal size, with one value in each block.

        Args:
          values: a value for each member.
          parts: each chunk is cut into so many equal parts, and a part into blocks.
        """
        part = self.size // parts
        sizes = (n for n in range(part, 0, -1) if part % n == 0)
        rows = [values[places] for places in self]

        def fits(size: int) -> bool:
            blocks = np.concatenate(rows).reshape(-1, size) if rows else values[:, None]
            return bool((blocks == blocks[:, :1]).all())

        return next(size for size in sizes if fits(size))

    def join(self, parts: Sequence[Any]) -> Any:
        """Joins the chunks' trees into one tree of numpy arrays over the members."""

        def whole(*leaves):
            return np.concatenate([np.asarray(leaf) for leaf in leaves])[: self._count]

        return jax.tree.map(whole, *parts)


def take(tree: Any, places: np.ndarray) -> Any:
    """The members at ``places`` of a tree of arrays with a leading member axis."""
    return jax.tree.map(lambda leaf: leaf[places], tree)
