"""The identities at every norm layer of small_cnn, at initialisation and in training.

The gradients by a norm's input and output are those by zeros that are added there: the
norm that the model is given adds them, and notes what it saw.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.models import make_model
from normlab.norms import make_norm
from normlab.quantities import bounds, bounds_batch, bounds_consequences
from normlab.quantities.bounds import Layer

NORMS = {"batch": None, "group": 4, "layer": 1, "instance": None}
LAYERS = {"norm1": (4, 8, 8, 16), "norm2": (4, 4, 4, 32)}
EPSILONS = (0.0, 1e-5)
STEPS = 5
BEFORE, AFTER = 0, 1  # in `zeros`


@dataclasses.dataclass(eq=False)
class Tapped:
    """A norm with ``moves`` added before and after each layer; ``seen`` its inputs."""

    norm: Any
    moves: tuple[dict, dict]
    seen: dict

    def __call__(self, name):
        normalise = self.norm(name)

        def tapped(x, **how):
            self.seen[name] = x = x + self.moves[BEFORE][name]
            return normalise(x, **how) + self.moves[AFTER][name]

        return tapped


def zeros():
    return tuple({k: jnp.zeros(shape) for k, shape in LAYERS.items()} for _ in range(2))


def network(kind, epsilon, moves, seen):
    norm = make_norm(kind, groups=NORMS[kind], epsilon=epsilon)
    tapped = Tapped(norm, moves, seen)
    return make_model("small_cnn", norm=tapped, init="standard", classes=3)


def batch():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 8, 8, 3))
    return jnp.asarray(images), jnp.asarray([0, 1, 2, 1])


def loss(params, moves, epsilon, kind):
    """The cross-entropy, and the norms' inputs."""
    images, labels = batch()
    seen = {}
    model = network(kind, epsilon, moves, seen)
    logits, _ = model.apply(
        {"params": params}, images, statistics="batch", mutable=["batch_stats"]
    )
    chosen = jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]
    return -chosen.mean(), seen


@functools.partial(jax.jit, static_argnames="kind")
def derivatives(params, moves, epsilon, tangent, kind):
    """Gradients by parameters and moves, the norms' inputs; and along ``tangent`` the
    derivative of the gradient by moves, that is the Hessian's product with it."""

    def gradients(moves):
        by = jax.grad(loss, argnums=(0, 1), has_aux=True)
        (params_, moves_), seen = by(params, moves, epsilon, kind)
        return moves_, (params_, seen)

    moved, product, (by_params, seen) = jax.jvp(
        gradients, (moves,), (tangent,), has_aux=True
    )
    return by_params, moved, seen, product


@functools.cache
def parameters(kind):
    """Of float64 and the model's shapes, with the scale of the usual draws.

    Drawn with numpy, which needs no compiling.
    """
    images, _ = batch()
    init = network(kind, 1e-5, zeros(), {}).init
    shapes = jax.eval_shape(
        lambda key: init(key, images, statistics="batch"), jax.random.key(0)
    )["params"]
    rng = np.random.default_rng(2)

    def draw(where, leaf):
        name = where[-1].key
        if name == "kernel":
            fan = np.prod(leaf.shape[:-1])
            return jnp.asarray(rng.normal(size=leaf.shape) / np.sqrt(fan))
        return jnp.full(leaf.shape, 1.0 if name == "scale" else 0.0)

    return jax.tree_util.tree_map_with_path(draw, shapes)


@pytest.fixture(params=[(kind, epsilon) for kind in NORMS for epsilon in EPSILONS])
def path(request, x64):
    """The norm, epsilon, and parameters at initialisation and after a few steps."""
    kind, epsilon = request.param
    start = params = parameters(kind)
    for _ in range(STEPS):
        by_params, *_ = derivatives(params, zeros(), epsilon, zeros(), kind)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, by_params)
    return kind, epsilon, (start, params)


def layers(params, kind, epsilon):
    """name -> the layer, dL/dz, dL/dy; and the gradient by the parameters."""
    by_params, moved, seen, _ = derivatives(params, zeros(), epsilon, zeros(), kind)
    found = {}
    for name, shape in LAYERS.items():
        groups = {"batch": None, "instance": shape[-1]}.get(kind, NORMS[kind])
        layer = Layer(seen[name], params[name]["scale"], epsilon, groups)
        found[name] = layer, moved[AFTER][name], moved[BEFORE][name]
    return found, by_params


@jax.jit
def relations(layer, g, v):
    return (
        bounds.first_order(layer, g, v),
        bounds_consequences.invariance(layer, g, v),
        bounds.pull_back(layer, g),
    )


def assert_small(slack, against, rtol=1e-9):
    slack, against = np.asarray(slack), np.asarray(against)
    assert np.isfinite(slack).all() and (against > 0).all()
    assert (abs(slack) <= rtol * against).all(), (abs(slack) / against).max()


def test_the_path_moves(path):
    kind, _, (start, end) = path
    for name in LAYERS:
        change = abs(end[name]["scale"] - start[name]["scale"])
        assert change.max() > 1e-4, (kind, name)


def test_first_order_at_every_layer(path):
    kind, epsilon, stations = path
    for params in stations:
        for name, (layer, g, v) in layers(params, kind, epsilon)[0].items():
            shape = LAYERS[name]
            found, _, pulled = relations(layer, g, v)
            blocks = shape[-1:] if kind == "batch" else (shape[0], layer.groups)
            assert found.left.shape == blocks
            assert_small(found.slack, found.left)
            atol = 1e-9 * float(abs(v).max())
            np.testing.assert_allclose(pulled, v, rtol=1e-9, atol=atol)
            if epsilon == 0:
                assert_small(found.bound - found.left, found.left)
            else:
                # Dropping the term of epsilon shows, small as epsilon is.
                off = np.asarray((found.bound - found.left) / found.left)
                assert off.max() > 1e-7


def test_second_order_at_every_layer(path):
    """Rows of a random direction, and one block's own Hessian along its gradient."""
    kind, epsilon, stations = path
    params = stations[-1]
    for name, (layer, g, v) in layers(params, kind, epsilon)[0].items():

        def product(side, v, name=name):
            tangent = zeros()
            tangent[side][name] = v
            found = derivatives(params, zeros(), epsilon, tangent, kind)[-1]
            return found[side][name]

        products = functools.partial(product, BEFORE), functools.partial(product, AFTER)
        random = np.random.default_rng(3).normal(size=LAYERS[name])
        blocks = layer.cut(v)
        chosen = np.zeros((*blocks.shape[:-1], 1))
        chosen.flat[1] = 1
        own = layer.join(blocks * chosen)
        for direction in (jnp.asarray(random), own):
            found = bounds.second_order(layer, g, direction, *products)
            moving = np.asarray(found.size) > 0
            assert moving.any()
            for field in (found.left, found.bent):
                assert abs(np.asarray(field)[moving]).max() > 0
            slack = np.asarray(found.slack)
            assert_small(slack[moving], np.asarray(found.size)[moving])
            # Also relative to the sum, the second derivative of the loss itself.
            assert abs(slack.sum()) <= 1e-9 * abs(np.asarray(found.left).sum())


def test_the_printed_theorem_4_1_fails_at_every_channel_of_batch_norm(x64):
    for epsilon in EPSILONS:
        found, _ = layers(parameters("batch"), "batch", epsilon)
        for layer, g, v in found.values():
            theorem = bounds_batch.theorem_4_1(layer, g, v)
            assert_small(theorem.slack, theorem.left)
            assert (np.asarray(theorem.printed_slack) < 0).all()
            assert (np.asarray(theorem.bound) >= np.asarray(theorem.left)).all() or (
                epsilon == 0
            )


def test_invariances_of_weights(path):
    """Batch norm: each channel's weights; the others: each group's, with its biases.

    The derivative of the loss along a rescaling of the weights behind the first norm,
    found without the norm's gradients, is what the blocks of its input say.
    """
    kind, epsilon, stations = path
    for params in stations:
        found, by_params = layers(params, kind, epsilon)
        layer, g, v = found["norm1"]
        _, blocks, _ = relations(layer, g, v)
        assert_small(blocks.slack, blocks.size)
        conv, by_conv = params["conv1"], by_params["conv1"]
        radial_C = (conv["kernel"] * by_conv["kernel"]).sum((0, 1, 2))
        radial_C = radial_C + conv["bias"] * by_conv["bias"]
        size = float(abs(conv["kernel"] * by_conv["kernel"]).sum())
        if kind == "batch":
            expected, measured = blocks.right, radial_C
            assert float(abs(by_conv["bias"]).max()) < 1e-12 * size
        else:
            expected = blocks.right.sum(0)
            measured = radial_C.reshape(layer.groups, -1).sum(1)
        np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-11 * size)
        if kind in ("group", "layer"):  # a channel alone is not free
            assert abs(radial_C).max() > 1e-3 * size / 16
