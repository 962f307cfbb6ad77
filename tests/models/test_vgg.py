"""VGG: its sizes, its names, and a plain forward pass beside it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.models import make_model
from normlab.norms import make_norm

CHANNELS = {
    "vgg11": [64, 128, 256, 256, 512, 512, 512, 512],
    "vgg16": [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6,
}
# After which of those convolutions there is a pool.
POOLS = {"vgg11": {1, 2, 4, 6, 8}, "vgg16": {2, 4, 7, 10, 13}}


def build(name, norm="none", classes=10, **options) -> Any:
    made = make_norm(norm)
    return make_model(name, norm=made, init="glorot", classes=classes, **options)


def variables_of(model, x) -> Any:
    """Shapes and types alone: nothing is compiled."""
    return jax.eval_shape(
        lambda key: model.init(key, x, statistics="batch"), jax.random.key(0)
    )


def shapes_of(model, image_shape) -> Any:
    found = variables_of(model, jnp.zeros((1, *image_shape), "float32"))
    return jax.tree.map(lambda leaf: leaf.shape, found)


def size_of(tree) -> int:
    leaves = jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, tuple))
    return sum(int(np.prod(shape)) for shape in leaves)


# What the convolutions of torchvision's vgg11 and vgg16 have.
@pytest.mark.parametrize(
    "name, convolutions", [("vgg11", 9220480), ("vgg16", 14714688)]
)
def test_number_of_parameters(name, convolutions):
    for norm, extra in (("none", 0), ("batch", 2 * sum(CHANNELS[name]))):
        shapes = shapes_of(build(name, norm), (32, 32, 3))
        assert size_of(shapes["params"]) == convolutions + 512 * 10 + 10 + extra


@pytest.mark.parametrize("name", CHANNELS)
def test_names_shapes_and_width(name):
    half = [n // 2 for n in CHANNELS[name]]
    params = shapes_of(build(name, "batch", width=0.5), (32, 32, 3))["params"]
    wanted: dict = {"dense1": {"kernel": (half[-1], 10), "bias": (10,)}}
    for i, (inputs, outputs) in enumerate(zip([3, *half], half, strict=False), start=1):
        conv = {"kernel": (3, 3, inputs, outputs), "bias": (outputs,)}
        wanted |= {f"conv{i}": conv}
        wanted |= {f"norm{i}": {"scale": (outputs,), "bias": (outputs,)}}
    assert params == wanted


@pytest.mark.parametrize(
    "image_shape, pixels", [((8, 8, 1), 1), ((5, 1, 3), 1), ((64, 33, 3), 2 * 2)]
)
def test_any_image_size(image_shape, pixels):
    params = shapes_of(build("vgg11"), image_shape)["params"]
    assert params["dense1"]["kernel"] == (512 * pixels, 10)


def test_logits_are_float32_whatever_layers_compute_in():
    x = jnp.zeros((2, 8, 8, 3), "float32")
    model = build("vgg11", "batch", dtype=jnp.bfloat16)
    variables = variables_of(model, x)
    logits = jax.eval_shape(lambda v: model.apply(v, x, statistics="batch"), variables)
    assert logits.dtype == jnp.float32


def forward(name, params, x):
    """Logits under batch norm, in the order of the paper: ReLU before the pool."""
    for i in range(1, len(CHANNELS[name]) + 1):
        conv, norm = params[f"conv{i}"], params[f"norm{i}"]
        x = jax.lax.conv_general_dilated(
            x,
            conv["kernel"],
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        x = x + conv["bias"][None, None, None]
        mean, var = (f(x, (0, 1, 2), keepdims=True) for f in (jnp.mean, jnp.var))
        x = (x - mean) / jnp.sqrt(var + 1e-5)
        x = x * norm["scale"][None, None, None] + norm["bias"][None, None, None]
        x = jnp.maximum(x, 0)
        if i in POOLS[name]:
            window = (1, 2, 2, 1)
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "SAME")
    x = x.reshape(x.shape[0], -1)
    return x @ params["dense1"]["kernel"] + params["dense1"]["bias"][None]


# 12 pixels are 6, 3, 2, 1 after the pools: an odd side, and nothing left to pool.
@pytest.mark.parametrize(
    "name, side",
    [
        ("vgg11", 12),
        pytest.param("vgg11", 32, marks=pytest.mark.slow),
        pytest.param("vgg16", 12, marks=pytest.mark.slow),
    ],
)
def test_equals_a_plain_forward_pass(name, side):
    random = np.random.default_rng(0)
    real = random.normal(size=(6, side, side, 2)).astype("float32")
    padded = np.concatenate([real, np.full((1, side, side, 2), 50.0, "float32")])
    mask = np.array([1.0] * 6 + [0.0], "float32")[:, None, None, None]
    model = build(name, "batch", classes=3, width=1 / 32, conv="lax")

    def draw(leaf):  # about as large as Glorot's, and scales and biases to be seen
        size = np.sqrt(np.prod(leaf.shape[:-1]))
        return (random.normal(size=leaf.shape) / size).astype("float32")

    variables = jax.tree.map(draw, variables_of(model, real))

    def logits(variables, x, mask):
        return model.apply(variables, x, statistics="batch", mask=mask)

    # It pools otherwise than the forward pass beside it.
    assert "reduce_window" not in str(jax.make_jaxpr(logits)(variables, padded, mask))
    expected = jax.jit(forward, static_argnums=0)(name, variables["params"], real)
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(
        jax.jit(logits)(variables, padded, mask)[:6], expected, rtol=2e-3, atol=2e-3
    )
