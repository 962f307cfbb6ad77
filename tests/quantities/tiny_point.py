"""`tests.tiny.TinyNet` with batch norm by the book, and a point of its path.

The network here shares nothing with normlab: what is measured there by the one is
compared with what is worked out from the other. All in float64.
"""

import functools
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from normlab.quantities import QUANTITIES, Point
from normlab.train.measure import Snapshot, make_measure, site_of
from tests import tiny
from tests.quick import quick

EPSILON, LR, SEED, STEP = 1e-2, 0.3, 3, 7
LAYERS = ("conv1", "norm1", "dense1")
SETTINGS: dict[str, Any] = {
    "probe_etas": (0.5, 1.0, 3.0),
    "probe_channels": (0, 2, 3),
    "probe_bins": 5,
    "probe_images": 20,
    "probe_iterations": 8,
    "probe_samples": 4,
}
CONFIG = tiny.cell_config(norm="batch", epsilon=EPSILON, **SETTINGS)
DATA = tiny.dataset()
BATCH = np.array([23, 1, 20, 22, 14])  # not the images that Hessians are of


def _tree(random, spread: float, around: Any = None) -> dict[str, dict]:
    """Parameters: normal numbers of that spread, around others."""
    shapes = {
        "conv1": {"bias": (4,), "kernel": (3, 3, 1, 4)},
        "norm1": {"bias": (4,), "scale": (4,)},
        "dense1": {"bias": (3,), "kernel": (36, 3)},
    }
    drawn = {
        layer: {name: spread * random.normal(size=s) for name, s in leaves.items()}
        for layer, leaves in shapes.items()
    }
    return drawn if around is None else jax.tree.map(np.add, around, drawn)


_RANDOM = np.random.default_rng(2)
PARAMS = _tree(_RANDOM, 0.5)
NEXT = _tree(_RANDOM, 0.05, around=PARAMS)
START = jax.tree.map(np.float32, _tree(_RANDOM, 0.5))  # as networks begin
STATS = {"mean": _RANDOM.normal(size=4), "var": 1 + _RANDOM.random(4)}
# What is added to the gradients by the norm layer's input and output. With the true
# ones the identities hold, and their errors are 0 whatever they are multiplied by.
_SHAPE = (len(BATCH), 6, 6, 4)
OFF = {
    "by_input": 1e-3 * _RANDOM.normal(1.0, 1.0, _SHAPE),
    "by_output": 1e-3 * _RANDOM.normal(size=_SHAPE),
}


def images(indices) -> np.ndarray:
    """Training images as the network sees them."""
    with jax.ensure_compile_time_eval():  # in a trace, too
        x = jnp.asarray(DATA.train_x[indices])
        return np.asarray(network().scale(x), np.float64)


def standardized(y, mean, var):
    """y without scale and bias."""
    return (y - mean) / jnp.sqrt(var + EPSILON)


def norm(y, params, statistics="batch"):
    """The norm layer: y (N, H, W, C) to z."""
    mean, var = STATS["mean"], STATS["var"]
    if statistics == "batch":
        mean = y.mean((0, 1, 2))
        var = ((y - mean[None, None, None]) ** 2).mean((0, 1, 2))
    mean, var = (jnp.asarray(v)[None, None, None] for v in (mean, var))
    own = {k: jnp.asarray(v)[None, None, None] for k, v in params["norm1"].items()}
    return standardized(y, mean, var) * own["scale"] + own["bias"]


def before(params, x):
    """The norm layer's input: a convolution of 3x3 with zeros around."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel, bias = params["conv1"]["kernel"], params["conv1"]["bias"]
    total = 0.0
    for i in range(3):
        for j in range(3):
            total = total + padded[:, i : i + 6, j : j + 6] @ kernel[i, j]
    return total + bias[None, None, None]


def behind(params, z, labels):
    """The loss of the norm layer's output z."""
    n = len(z)
    pooled = z.reshape(n, 3, 2, 3, 2, 4).max((2, 4))
    hidden = jnp.maximum(pooled, 0).reshape(n, -1)
    dense = params["dense1"]
    logits = hidden @ dense["kernel"] + dense["bias"][None]
    own = logits[np.arange(n), labels]
    return (jnp.log(jnp.exp(logits).sum(-1)) - own).mean()


FLAT, tree_of = ravel_pytree(PARAMS)
FLAT = np.asarray(FLAT)


def vector(tree) -> np.ndarray:
    """Parameters as one vector, in the order in which a Hessian has them."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def loss(params, indices=BATCH, statistics="batch"):
    """Cross-entropy, the mean over images."""
    z = norm(before(params, images(indices)), params, statistics)
    return behind(params, z, DATA.train_y[indices].astype(int))


@functools.cache
def _jitted(statistics):
    """(loss and gradient on the batch, Hessian over the first images)."""
    first = np.arange(SETTINGS["probe_images"])

    def dense(flat):
        return jax.hessian(lambda v: loss(tree_of(v), first, statistics))(flat)

    return quick(jax.value_and_grad(loss)), quick(dense)


def loss_and_gradient(params) -> tuple[float, dict]:
    value, gradient = _jitted("batch")[0](jax.tree.map(jnp.asarray, params))
    return float(value), jax.tree.map(np.asarray, gradient)


@functools.cache
def hessian(statistics: str) -> np.ndarray:
    """Every entry of it, (P, P)."""
    return np.asarray(_jitted(statistics)[1](FLAT))


def key():
    """Of the random vectors that are drawn at the point."""
    whole = jax.random.fold_in(jax.random.key(SEED), 3)
    return jax.random.fold_in(whole, STEP)


@functools.cache
def network():
    """The cell's own; it begins at `START`."""

    def known(key, shape, dtype=jnp.float32):
        (kernel,) = (k for k in map(_kernel, START.values()) if np.shape(k) == shape)
        return jnp.asarray(kernel, dtype)

    begin = tiny.QUICK._replace(kernel=known, last_kernel=known)
    with mock.patch.object(tiny, "QUICK", begin):
        return tiny.network(CONFIG)


def _kernel(layer: dict) -> Any:
    return layer.get("kernel")


def off(point: Point):
    """`Point.taps` with `OFF` added."""
    true = _TAPS(point)
    return true._replace(
        by_before={k: v + OFF["by_input"] for k, v in true.by_before.items()},
        by_after={k: v + OFF["by_output"] for k, v in true.by_after.items()},
    )


_TAPS = Point.__dict__["taps"].func


def measured(names=None) -> dict[str, dict[str, np.ndarray]]:
    """Quantity -> field -> values at the point, as a run would measure them."""
    names = tuple(QUANTITIES if names is None else names)
    lying = functools.cached_property(off)
    lying.__set_name__(Point, "taps")
    with jax.enable_x64(True), mock.patch.object(Point, "taps", lying):
        site = site_of(network(), CONFIG)
        measure = make_measure(names, site, network())
        stats = {"norm1": STATS}
        point = Snapshot(PARAMS, stats, NEXT, LR, SEED, STEP)
        point = jax.tree.map(jnp.asarray, point)
        data = {"train_x": DATA.train_x, "train_y": DATA.train_y}
        found = quick(measure)(point, BATCH, jax.tree.map(jnp.asarray, data))
        return jax.tree.map(np.asarray, found)
