"""Directions along which a loss is evaluated: random ones, and those of a path.

After Li, Xu, Taylor, Studer & Goldstein 2018, "Visualizing the Loss Landscape of Neural
Nets" (arXiv 1712.09913), sections 4 and 7, and the authors' code: directions only move
kernels. Biases and the parameters of norms do not move (their ``ignore=biasbn``, which
covers everything with a single axis).
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

# The number of columns of a path's matrix that are converted to float64 at a time.
_BLOCK = 2**16
# A principal direction with a smaller share of the variance is only rounding.
_LEAST_SHARE = 1e-12


def moves(leaf: Any) -> bool:
    """Whether directions move a parameter: a kernel, not a bias or a norm's scale."""
    return np.ndim(leaf) > 1


def filter_norms(kernel: Array) -> Array:
    """l2 norms of a kernel's filters, shape (1, ..., 1, features).

    A filter computes one feature. It has one index of the last axis, in convolutions
    and dense layers alike.
    """
    axes = tuple(range(kernel.ndim - 1))
    return jnp.sqrt(jnp.square(kernel).sum(axes, keepdims=True))


def random_direction(key: Array, params: Any) -> Any:
    """A Gaussian direction, each filter as long as the same filter of ``params``.

    What is drawn for a layer depends only on the key and the layer's name. So networks
    that differ only in their norms get the same directions, up to lengths.

    Returns:
      A tree like ``params``; zero where nothing `moves`, and in filters that are zero.
    """

    def one(path: tuple, leaf: Array) -> Array:
        if not moves(leaf):
            return jnp.zeros_like(leaf)
        name = zlib.crc32(jax.tree_util.keystr(path).encode()) & 0x7FFFFFFF
        drawn = jax.random.normal(jax.random.fold_in(key, name), leaf.shape, leaf.dtype)
        return drawn * (filter_norms(leaf) / filter_norms(drawn))

    return jax.tree_util.tree_map_with_path(one, params)


def combine(
    params: Any, first: Any, second: Any, a: Array | float, b: Array | float
) -> Any:
    """params + a first + b second, for scalars a and b."""
    return jax.tree.map(lambda x, u, v: x + a * u + b * v, params, first, second)


class Principal(NamedTuple):
    """Principal directions of a path.

    Attributes:
      directions: K trees of one point's shapes, orthonormal as vectors; zero where
        nothing `moves`, and beyond the path's rank.
      shares: the share of the path's variance along each, float64 (K,).
    """

    directions: tuple[Any, ...]
    shares: np.ndarray


def principal_directions(points_T: Any, count: int = 2) -> Principal:
    """The directions along which the points of a path vary most.

    Uses the T x T Gram matrix of the centred points, because the covariance of all
    parameters would not fit in any memory. A direction points to the side where the
    path begins.

    Args:
      points_T: a tree of numpy arrays with a leading axis of T points.
      count: K, at most T.
    """
    count_T = len(jax.tree.leaves(points_T)[0])
    gram_TT = np.zeros((count_T, count_T))
    for leaf in _moved(points_T):
        for x in _blocks(leaf):
            gram_TT += x @ x.T
    centred = gram_TT - gram_TT.mean(0, keepdims=True)
    centred = centred - centred.mean(1, keepdims=True)
    values, vectors_TT = np.linalg.eigh((centred + centred.T) / 2)
    values = np.maximum(values, 0.0)
    total = values.sum()
    directions, shares = [], np.zeros(count)
    for k in range(count):
        value, u_T = values[-1 - k], vectors_TT[:, -1 - k]
        weights_T = np.zeros_like(u_T)
        if value > _LEAST_SHARE * total:
            begins = (gram_TT @ u_T)[0]
            weights_T = u_T / np.sqrt(value) * (1.0 if begins >= 0 else -1.0)
            shares[k] = value / total
        directions.append(_weighted(points_T, weights_T))
    return Principal(tuple(directions), shares)


def project(points_T: Any, directions: Sequence[Any]) -> np.ndarray:
    """Inner products of T points with K directions, float64 (T, K).

    Args:
      points_T: as for `principal_directions`; relative to the origin of the plane.
    """
    columns = []
    for direction in directions:
        column_T = np.zeros(len(jax.tree.leaves(points_T)[0]))
        along = jax.tree.map(lambda leaf: np.asarray(leaf)[None], direction)
        for leaf, other in zip(_moved(points_T), _moved(along), strict=True):
            for x, d in zip(_blocks(leaf), _blocks(other), strict=True):
                column_T += x @ d[0]
        columns.append(column_T)
    return np.stack(columns, axis=1)


def _moved(points_T: Any) -> list[np.ndarray]:
    return [leaf for leaf in jax.tree.leaves(points_T) if moves(leaf[0])]


def _blocks(leaf_T: np.ndarray) -> Iterator[np.ndarray]:
    """The leaf as T rows, a few columns at a time, in float64."""
    rows = leaf_T.reshape(len(leaf_T), -1)
    for start in range(0, rows.shape[1], _BLOCK):
        yield rows[:, start : start + _BLOCK].astype(np.float64)


def _weighted(points_T: Any, weights_T: np.ndarray) -> Any:
    """The sum of the points by their weights, of kernels; zero elsewhere."""

    def one(leaf: np.ndarray) -> np.ndarray:
        if not moves(leaf[0]):
            return np.zeros_like(leaf[0])
        return np.tensordot(weights_T.astype(leaf.dtype), leaf, 1)

    return jax.tree.map(one, points_T)
