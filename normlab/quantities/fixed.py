"""The loss over images that stay the same, in chunks if they do not fit in memory."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from normlab.errors import UserError


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Chunks:
    """A data set that is read in chunks, for losses over more than fits in memory.

    Attributes:
      load: the number of a chunk -> the chunk, a pytree of numpy arrays whose first
        axis counts examples. It is called on the host while a compiled program runs,
        again for every product with a Hessian. It must return the same arrays each
        time, and must not call JAX.
      count: the number of chunks. All have the same size, but the last may be smaller.
    """

    load: Callable[[int], Any]
    count: int


class FixedLoss(NamedTuple):
    """A mean loss over fixed examples: params -> loss, or the sum of its parts.

    Attributes:
      of: (params, batch) -> the mean loss over a batch, scalar.
      batch: all examples, or `Chunks` of them.
      chunk: the examples in a chunk; None if all are one batch.
    """

    of: Callable[[Any, Any], Array]
    batch: Any
    chunk: int | None = None

    def __call__(self, params: Any) -> Array:
        return self.total(lambda batch: self.of(params, batch))

    @property
    def in_parts(self) -> bool:
        return self.chunk is not None or isinstance(self.batch, Chunks)

    def total(self, value: Callable[[Any], Any]) -> Any:
        """The mean over examples of ``value(chunk)``, a tree that is a mean itself.

        One chunk is in memory at a time.
        """
        if not self.in_parts:
            return value(self.batch)
        if isinstance(self.batch, Chunks):
            return _of_chunks(value, self.batch)
        return _of_array(value, self.batch, self.chunk or 1)


def _of_array(value: Callable[[Any], Any], batch: Any, chunk: int) -> Any:
    examples = _examples(batch)
    full = examples // chunk
    parts: list[tuple[int, Any]] = []
    if full:

        def part(i: Array) -> Any:
            return jax.tree.map(
                lambda x: jax.lax.dynamic_slice_in_dim(x, i * chunk, chunk), batch
            )

        parts.append((full * chunk, _mean(lambda i: value(part(i)), full)))
    if examples % chunk:
        rest = jax.tree.map(lambda x: x[full * chunk :], batch)
        parts.append((examples % chunk, value(rest)))
    return _weighted(parts)


def _of_chunks(value: Callable[[Any], Any], chunks: Chunks) -> Any:
    shapes = [_shapes(chunks, i) for i in (0, chunks.count - 1)]
    sizes = [_examples(shape) for shape in shapes]

    def read(i: Array, shape: Any) -> Any:
        return jax.pure_callback(
            lambda i: _loaded(chunks, int(i), shape), shape, i, vmap_method="sequential"
        )

    alike = shapes[0] == shapes[1]
    full = chunks.count if alike else chunks.count - 1
    parts = [(full * sizes[0], _mean(lambda i: value(read(i, shapes[0])), full))]
    if not alike:
        parts.append((sizes[1], value(read(jnp.asarray(full), shapes[1]))))
    return _weighted(parts)


def _shapes(chunks: Chunks, i: int) -> Any:
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, jax.dtypes.canonicalize_dtype(x.dtype)),
        jax.tree.map(np.asarray, chunks.load(i)),
    )


def _loaded(chunks: Chunks, i: int, shape: Any) -> Any:
    batch = chunks.load(i)
    arrays = jax.tree.map(lambda x, s: np.asarray(x, s.dtype), batch, shape)
    if jax.tree.map(np.shape, arrays) != jax.tree.map(lambda s: s.shape, shape):
        raise UserError(f"chunk {i} has other shapes than those before it")
    return arrays


def _examples(batch: Any) -> int:
    sizes = {np.shape(x)[:1] for x in jax.tree.leaves(batch)}
    if len(sizes) != 1 or () in sizes:
        raise UserError(
            "chunks need a batch whose arrays all have the examples as their first axis"
        )
    return sizes.pop()[0]


def _mean(value: Callable[[Array], Any], count: int) -> Any:
    """The mean of ``value(i)`` over i < count, one after another."""
    zero = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(value, jnp.asarray(0))
    )

    def add(total: Any, i: Array) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, value(i)), None

    total, _ = jax.lax.scan(add, zero, jnp.arange(count))
    return jax.tree.map(lambda x: x / count, total)


def _weighted(parts: list[tuple[int, Any]]) -> Any:
    total = sum(size for size, _ in parts)
    scaled = [jax.tree.map(lambda x, n=n: x * (n / total), tree) for n, tree in parts]
    return jax.tree.map(lambda *each: sum(each[1:], each[0]), *scaled)
