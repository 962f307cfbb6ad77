"""The deep linear network against matrix products."""

from functools import partial
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.models import MODELS, Entry, make_model
from normlab.models.deep_linear import DeepLinear
from normlab.norms import make_norm
from normlab.train.losses import LOSSES
from normlab.train.step import make_loss


def build(norm="none", classes=3, width=1.0, depth: int | None = None) -> Any:
    own = DeepLinear if depth is None else partial(DeepLinear, depth=depth)
    with mock.patch.dict(MODELS, deep_linear=Entry(own, widest=0)):
        return make_model(
            "deep_linear",
            norm=make_norm(norm),
            init="glorot",
            classes=classes,
            width=width,
        )


def shapes_of(model, image_shape) -> Any:
    x = jnp.zeros((1, *image_shape), "float32")
    found = jax.eval_shape(
        lambda key: model.init(key, x, statistics="batch"), jax.random.key(0)
    )
    return jax.tree.map(lambda leaf: leaf.shape, found)


def test_the_papers_network():
    params = shapes_of(build("batch", classes=10), (1, 1, 10))["params"]
    assert {f"dense{i}" for i in range(1, 26)} | {
        f"norm{i}" for i in range(1, 25)
    } == set(params)
    for name, leaves in params.items():
        square = {"kernel": (10, 10)}
        assert leaves == (
            square if "dense" in name else {"scale": (10,), "bias": (10,)}
        )


def test_width_is_that_of_the_hidden_layers():
    params = shapes_of(build(classes=3, width=1.5, depth=3), (2, 1, 2))["params"]
    assert {k: v["kernel"] for k, v in params.items()} == {
        "dense1": (4, 6),
        "dense2": (6, 6),
        "dense3": (6, 3),
    }


@pytest.fixture
def data():
    """x (N, 2, 1, 2), y (N, 3), and three kernels."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(7, 2, 1, 2)), random.normal(size=(7, 3))
    kernels = [random.normal(size=shape) for shape in ((4, 4), (4, 4), (4, 3))]
    return x, y, kernels


def params_of(kernels):
    return {
        f"dense{i}": {"kernel": kernel.astype("float32")}
        for i, kernel in enumerate(kernels, start=1)
    }


def test_without_a_norm_it_is_the_product_and_its_gradient(data):
    x, y, kernels = data
    rows, product = x.reshape(7, 4), kernels[0] @ kernels[1] @ kernels[2]
    residual = rows @ product - y
    loss = jax.jit(
        jax.value_and_grad(
            make_loss(build(depth=3), LOSSES["regression"]), has_aux=True
        )
    )
    found, gradient = loss(
        params_of(kernels), {}, x.astype("float32"), y.astype("float32")
    )
    np.testing.assert_allclose(found[1][0], rows @ product, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[0], np.square(residual).sum(), rtol=1e-5)
    for i in range(3):
        before, after = rows, np.eye(3)
        for kernel in kernels[:i]:
            before = before @ kernel
        for kernel in reversed(kernels[i + 1 :]):
            after = kernel @ after
        closed_form = 2 * before.T @ residual @ after.T
        np.testing.assert_allclose(
            gradient[f"dense{i + 1}"]["kernel"], closed_form, rtol=1e-4, atol=1e-4
        )


def test_a_norm_stands_after_every_layer_but_the_last(data):
    x, _, kernels = data
    random = np.random.default_rng(1)
    params: dict = params_of(kernels)
    h = x.reshape(7, 4)
    for i, kernel in enumerate(kernels[:-1], start=1):
        scale, bias = random.normal(size=(2, 4))
        params[f"norm{i}"] = {
            "scale": scale.astype("float32"),
            "bias": bias.astype("float32"),
        }
        h = h @ kernel
        h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5) * scale + bias
    stats = {
        f"norm{i}": {"mean": np.zeros(4, "f4"), "var": np.ones(4, "f4")} for i in (1, 2)
    }
    # Two rows of padding, which statistics must leave out.
    padded = np.concatenate([x, np.full((2, 2, 1, 2), 50.0)])
    model = build("batch", depth=3)
    found = jax.jit(partial(model.apply, statistics="batch"))(
        {"params": params, "batch_stats": stats},
        padded.astype("float32"),
        mask=np.array([1.0] * 7 + [0.0] * 2, "f4")[:, None, None, None],
    )
    np.testing.assert_allclose(found[:7], h @ kernels[-1], rtol=1e-4, atol=1e-4)
