"""The residual networks: sizes, names, blocks, and a plain forward pass beside them."""

from functools import partial
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.errors import UserError
from normlab.models import CONVS, INITS, MODELS, Entry, make_model
from normlab.models.resnet import ResNet
from normlab.norms import NORMS, make_norm
from normlab.norms.taps import Record, watching
from normlab.train.step import make_loss
from tests.tiny import QUICK, drawn

BLOCKS = {"resnet8": 1, "resnet14": 2, "resnet20": 3, "resnet56": 9}
# Scale and bias of a channel: what norms that are not "none" add.
AFFINE = 2


def norm_of(kind, **options):
    groups = 2 if "groups" in NORMS[kind].reads else None
    return make_norm(kind, groups=groups, **options)


def build(name, norm: Any = "none", classes=10, **options) -> Any:
    """A model; ``resnet8``, of one block a stage, is quick to compile."""
    made = norm_of(norm) if isinstance(norm, str) else norm
    short = {name: Entry(partial(ResNet, blocks=n), 64) for name, n in BLOCKS.items()}
    # So are its random numbers.
    with mock.patch.dict(MODELS, short), mock.patch.dict(INITS, quick=QUICK):
        return make_model(name, norm=made, init="quick", classes=classes, **options)


def variables_of(model, x) -> Any:
    """Shapes and types alone: nothing is compiled."""
    return jax.eval_shape(
        lambda key: model.init(key, x, statistics="batch"), jax.random.key(0)
    )


def inputs_of(model, image_shape) -> dict[str, Any]:
    """The norm layers' inputs for two images, by name: shapes and types alone."""
    seen: dict[str, Any] = {}

    def trace(key, x):
        with watching(Record()) as record:
            model.init(key, x, statistics="batch")
        seen.update(record.before)  # in their order, which a result would not keep

    x = jnp.zeros((2, *image_shape), "float32")
    jax.eval_shape(trace, jax.random.key(0), x)
    return seen


def shapes_of(model, image_shape) -> Any:
    found = variables_of(model, jnp.zeros((1, *image_shape), "float32"))
    return jax.tree.map(lambda leaf: leaf.shape, found)


def size_of(tree) -> int:
    leaves = jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, tuple))
    return sum(int(np.prod(shape)) for shape in leaves)


def images(count, height, width, channels=2, seed=1) -> np.ndarray:
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def convolutions(name) -> list[tuple[int, int]]:
    """(channels in, channels out) of every convolution, from the paper's table."""
    twice = 2 * BLOCKS[name]
    outputs = [16] + [16] * twice + [32] * twice + [64] * twice
    return list(zip([3, *outputs], outputs, strict=False))


@pytest.mark.parametrize(
    "name, layers, plain, normed",
    [("resnet20", 20, 269034, 270410), ("resnet56", 56, 850986, 855050)],
)
def test_number_of_parameters(name, layers, plain, normed):
    pairs = convolutions(name)
    assert len(pairs) + 1 == layers == 6 * BLOCKS[name] + 2
    kernels = sum(9 * a * b for a, b in pairs) + 64 * 10
    features = sum(b for _, b in pairs)
    assert kernels + features + 10 == plain
    assert plain + AFFINE * features == normed
    # The paper's table 6.
    assert f"{plain / 1e6:.2f}" == {"resnet20": "0.27", "resnet56": "0.85"}[name]
    for norm, expected in (("none", plain), ("batch", normed), ("group", normed)):
        found = shapes_of(build(name, norm), (32, 32, 3))
        assert size_of(found["params"]) == expected
        running = AFFINE * features if norm == "batch" else 0
        assert size_of(found.get("batch_stats", {})) == running


@pytest.mark.parametrize("name, width", [("resnet20", 0.5), ("resnet56", 2.0)])
def test_names_shapes_and_width(name, width):
    params = shapes_of(build(name, "batch", width=width), (32, 32, 3))["params"]
    wanted: dict = {"dense1": {"kernel": (int(64 * width), 10), "bias": (10,)}}
    for i, (inputs, outputs) in enumerate(convolutions(name), start=1):
        inputs = 3 if i == 1 else int(inputs * width)
        outputs = int(outputs * width)
        conv = {"kernel": (3, 3, inputs, outputs), "bias": (outputs,)}
        wanted |= {f"conv{i}": conv}
        wanted |= {f"norm{i}": {"scale": (outputs,), "bias": (outputs,)}}
    assert params == wanted


@pytest.mark.parametrize("norm", NORMS)
def test_norms_are_called_in_the_order_of_their_numbers(norm):
    """And see 32, 16 and 8 pixels: what figures call layers by is where they stand."""
    seen = inputs_of(build("resnet20", norm_of(norm)), (32, 32, 3))
    assert list(seen) == [f"norm{i}" for i in range(1, 20)]
    sides = [32] * 7 + [16] * 6 + [8] * 6
    channels = [16] * 7 + [32] * 6 + [64] * 6
    for x, side, features in zip(seen.values(), sides, channels, strict=True):
        assert x.shape == (2, side, side, features)


@pytest.mark.parametrize("image_shape", [(8, 8, 1), (5, 1, 3), (33, 64, 3)])
def test_any_image_size(image_shape):
    model = build("resnet8", "batch", classes=3)
    x = np.zeros((2, *image_shape), "float32")
    logits, variables = jax.eval_shape(
        lambda key: model.init_with_output(key, x, statistics="batch"),
        jax.random.key(0),
    )
    assert variables["params"]["dense1"]["kernel"].shape == (64, 3)
    assert logits.shape == (2, 3)


def test_logits_are_float32_whatever_layers_compute_in():
    x = jnp.zeros((2, 8, 8, 3), "float32")
    model = build("resnet8", norm_of("batch"), dtype=jnp.bfloat16)
    variables = variables_of(model, x)
    logits = jax.eval_shape(lambda v: model.apply(v, x, statistics="batch"), variables)
    assert logits.dtype == jnp.float32
    seen = inputs_of(model, (8, 8, 3))
    assert {x.dtype.name for x in seen.values()} == {"bfloat16"}


def test_groups_must_divide_the_first_stages_channels():
    x = jnp.zeros((1, 8, 8, 3), "float32")
    wide = make_norm("group", groups=32)
    with pytest.raises(UserError, match="32 groups do not divide 16 channels"):
        variables_of(build("resnet20", wide), x)
    variables_of(build("resnet20", wide, width=2.0), x)
    variables_of(build("resnet20", make_norm("group", groups=16)), x)


def forward(params, x, blocks):
    """Logits under batch norm, block by block as the paper draws them."""

    def layer(x, i, stride=1):
        conv, norm = params[f"conv{i}"], params[f"norm{i}"]
        # One pixel of zeros all around, and every pixel that a stride leaves.
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = jax.lax.conv_general_dilated(
            x,
            conv["kernel"],
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )[:, ::stride, ::stride]
        x = x + conv["bias"][None, None, None]
        mean, var = (f(x, (0, 1, 2), keepdims=True) for f in (jnp.mean, jnp.var))
        x = (x - mean) / jnp.sqrt(var + 1e-5)
        return x * norm["scale"][None, None, None] + norm["bias"][None, None, None]

    x = jnp.maximum(layer(x, 1), 0)
    for block in range(3 * blocks):
        first, stride = 2 + 2 * block, 2 if block in (blocks, 2 * blocks) else 1
        y = layer(jnp.maximum(layer(x, first, stride), 0), first + 1)
        if stride == 2:
            kept = x[:, ::2, ::2]
            more = jnp.zeros((*y.shape[:-1], y.shape[-1] - kept.shape[-1]))
            x = jnp.concatenate([kept, more], axis=-1)
        x = jnp.maximum(x + y, 0)
    pixels = x.shape[1] * x.shape[2]
    x = x.sum((1, 2)) / pixels
    return x @ params["dense1"]["kernel"] + params["dense1"]["bias"][None]


# Sides of 9 are 5 and 3 in the later stages, 10 are 5 and 3, 12 are 6 and 3.
@pytest.mark.parametrize(
    "name, sides",
    [
        ("resnet14", (9, 12)),
        pytest.param("resnet8", (9, 10), marks=pytest.mark.slow),
        pytest.param("resnet20", (12, 12), marks=pytest.mark.slow),
    ],
)
def test_equals_a_plain_forward_pass(name, sides):
    real = images(6, *sides)
    padded = np.concatenate([real, np.full((1, *sides, 2), 50.0, "float32")])
    mask = np.array([1.0] * 6 + [0.0], "float32")[:, None, None, None]
    model = build(name, "batch", classes=3, width=1 / 8, conv="lax")
    variables = drawn(model, real)

    @jax.jit
    def logits(variables, x, mask):
        return model.apply(variables, x, statistics="batch", mask=mask)

    expected = jax.jit(forward, static_argnums=2)(
        variables["params"], real, BLOCKS[name]
    )
    assert np.std(expected) > 0.1
    found = logits(variables, padded, mask)[:6]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)
    unmasked = logits(variables, padded, np.ones_like(mask))[:6]
    assert not np.allclose(unmasked, expected, atol=2e-2)


@pytest.mark.slow
def test_all_forms_of_the_convolution_agree():
    """In the stem, in thin and thick blocks, and where these have a stride of 2."""
    x, labels = images(4, 7, 8), jnp.asarray([0, 1, 2, 1])
    results, counts = {}, {}
    args = drawn(build("resnet8", classes=3), x)["params"], {}, x, labels
    for form in CONVS:
        loss = make_loss(build("resnet8", classes=3, conv=form))
        text = str(jax.make_jaxpr(loss)(*args))
        counts[form] = text.count("conv_general_dilated[")
        results[form] = jax.jit(jax.value_and_grad(loss, has_aux=True))(*args)
    # All seven; none; all of stride 1 after the stem.
    shared = {"shared": 0, "pallas": 0}
    assert counts == {"lax": 7, "patches": 0, "direct": 4} | shared

    def close(a, b):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)

    for form in CONVS:
        jax.tree.map(close, results[form], results["lax"])
    by_conv7 = results["lax"][1]["conv7"]["kernel"]
    assert float(jnp.abs(by_conv7).max()) > 1e-3


def starts(*norms) -> list[Any]:
    """The variables that training begins with, for each norm."""
    x = np.zeros((1, 8, 8, 2), "float32")

    @jax.jit
    def begun(key):
        models = [build("resnet8", norm, classes=3, width=0.25) for norm in norms]
        return [model.init(key, x, statistics="batch") for model in models]

    return begun(jax.random.key(3))


@pytest.mark.parametrize("kind", ["batch", "group"])
def test_zero_last_scale_makes_blocks_the_identity_at_the_start(kind):
    """What reaches the dense layer is what left the first: every fourth pixel of it."""
    x = images(3, 8, 8)
    zero, ordinary = (norm_of(kind, zero_last_scale=zero) for zero in (True, False))

    @jax.jit
    def run(variables):
        model = build("resnet8", ordinary, classes=3, width=0.25, conv="lax")
        with watching(Record()) as watch:
            return model.apply(variables, x, statistics="batch"), watch.after

    variables, usual = starts(zero, ordinary)
    params = variables["params"]
    last = {"norm3", "norm5", "norm7"}
    for i in range(1, 8):
        scale, expected = params[f"norm{i}"]["scale"], f"norm{i}" not in last
        assert (np.asarray(scale) == expected).all()
        assert (np.asarray(usual["params"][f"norm{i}"]["scale"]) == 1).all()
    for name in set(params) - last:  # nothing else starts otherwise
        own, other = params[name], usual["params"][name]
        jax.tree.map(np.testing.assert_array_equal, own, other)
    logits, after = run(variables)
    assert {k for k, v in after.items() if not np.asarray(v).any()} == last
    stem = np.maximum(after["norm1"], 0)[:, ::4, ::4]
    pooled = np.pad(stem.mean((1, 2)), ((0, 0), (0, 12)))
    dense = params["dense1"]
    expected = pooled @ dense["kernel"] + np.asarray(dense["bias"])[None]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(run(usual)[0], expected, atol=1e-2)


def test_zero_last_scale_is_nothing_to_a_norm_without_a_scale():
    for kind, options in (("none", {}), ("batch", {"norm_scale": False})):
        norms = [norm_of(kind, zero_last_scale=z, **options) for z in (True, False)]
        first, second = starts(*norms)
        jax.tree.map(np.testing.assert_array_equal, first, second)
        assert set(first["params"].get("norm3", {})) <= {"bias"}
