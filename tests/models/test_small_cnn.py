"""The report's network: its size, its names, and a plain twin of it."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.errors import UserError
from normlab.models import CONVS, MODELS, Init, make_model
from normlab.norms import NORMS, make_norm
from normlab.norms.taps import Record, watching
from normlab.train.step import make_loss
from tests import tiny


def build(norm="none", init="standard", classes=10, conv="patches", **options) -> Any:
    groups = 4 if "groups" in NORMS[norm].reads else None
    made = make_norm(norm, groups=groups, **options)
    return make_model("small_cnn", norm=made, init=init, classes=classes, conv=conv)


def shapes_of(model, image_shape):
    def init(key):
        return model.init(key, jnp.zeros((1, *image_shape)), statistics="batch")

    return jax.tree.map(
        lambda leaf: leaf.shape, jax.eval_shape(init, jax.random.key(0))
    )


def size_of(shapes) -> int:
    leaves = jax.tree.leaves(shapes, is_leaf=lambda x: isinstance(x, tuple))
    return sum(int(np.prod(shape)) for shape in leaves)


@pytest.mark.parametrize(
    "norm, options, extra",
    [
        ("none", {}, 0),
        ("batch", {}, 96),
        ("group", {}, 96),
        ("layer", {}, 96),
        ("instance", {}, 96),
        ("batch", {"norm_scale": False}, 48),
        ("group", {"norm_scale": False}, 48),
        ("group", {"norm_scale": False, "norm_bias": False}, 0),
        ("none", {"norm_dense": True}, 0),
        ("group", {"norm_dense": True}, 96 + 512),
    ],
)
def test_number_of_parameters_of_the_report(norm, options, extra):
    shapes = shapes_of(build(norm, **options), (32, 32, 3))
    assert size_of(shapes["params"]) == 532202 + extra
    assert size_of(shapes.get("batch_stats", {})) == (96 if norm == "batch" else 0)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_norm_behind_the_dense_layer(norm):
    x = np.random.default_rng(1).normal(size=(5, 4, 4, 3)).astype("float32")
    mask = np.array([1, 1, 1, 0, 0], "float32").reshape(5, 1, 1, 1)
    groups = 4 if norm == "group" else None

    def taps(x, dense):
        """The parameters; and what goes into the norms, and comes out."""
        made = make_norm(norm, groups=groups, epsilon=1e-9, norm_dense=dense)
        model: Any = make_model("small_cnn", norm=made, init="standard", classes=10)
        model = model.clone(initializers=tiny.QUICK, conv=CONVS["lax"])
        with watching(Record()) as seen:
            variables = model.init(jax.random.key(0), x, statistics="batch", mask=mask)
        return variables["params"], seen.before, seen.after

    params, before, after = jax.jit(taps, static_argnums=1)(x, True)
    params_without, _, after_without = jax.eval_shape(lambda: taps(x, False))
    assert "norm3" in params and "norm3" in after
    assert "norm3" not in params_without and "norm3" not in after_without
    before, after = (np.asarray(side["norm3"]) for side in (before, after))
    assert before.shape == after.shape == (5, 256)
    after = after[:3]  # the images that count
    blocks = after if norm == "batch" else after.reshape(12, 64).T  # or each group
    np.testing.assert_allclose(blocks.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(blocks.std(0), 1, atol=2e-2)
    assert abs(before.std() - 1) > 0.1


def test_instance_norm_has_nothing_behind_a_dense_layer():
    with pytest.raises(UserError, match="--norm_dense"):
        shapes_of(build("instance", norm_dense=True), (8, 8, 3))


def test_names_and_shapes():
    found = shapes_of(build("batch"), (32, 32, 3))
    assert found["params"] == {
        "conv1": {"kernel": (3, 3, 3, 16), "bias": (16,)},
        "norm1": {"scale": (16,), "bias": (16,)},
        "conv2": {"kernel": (3, 3, 16, 32), "bias": (32,)},
        "norm2": {"scale": (32,), "bias": (32,)},
        "dense1": {"kernel": (8 * 8 * 32, 256), "bias": (256,)},
        "dense2": {"kernel": (256, 10), "bias": (10,)},
    }
    assert found["batch_stats"] == {
        "norm1": {"mean": (16,), "var": (16,)},
        "norm2": {"mean": (32,), "var": (32,)},
    }


@pytest.mark.parametrize(
    "image_shape, dense", [((8, 8, 1), 4), ((7, 9, 2), 6), ((5, 1, 3), 2)]
)
def test_any_image_size(image_shape, dense):
    model = build(classes=3)
    params = shapes_of(model, image_shape)["params"]
    assert params["dense1"]["kernel"] == (32 * dense, 256)
    x = jnp.zeros((2, *image_shape))
    logits, _ = jax.eval_shape(
        lambda key: model.init_with_output(key, x, statistics="batch"),
        jax.random.key(0),
    )
    assert logits.shape == (2, 3)


# Deep ones are their shallow ones again, and take seconds to trace.
_SHALLOW = {
    "resnet20": {"blocks": 1},
    "deep_linear": {"depth": 3},
    "vgg11": {"blocks": ((16,), (16, 32))},
}
_DEEP = ("vgg16", "resnet56")
_ONCE = [pytest.param(n, marks=pytest.mark.slow) if n in _DEEP else n for n in MODELS]


@pytest.mark.parametrize("name", _ONCE)
@pytest.mark.parametrize("norm", NORMS)
def test_every_model_takes_every_norm(name, norm):
    groups = 2 if "groups" in NORMS[norm].reads else None
    made = make_norm(norm, groups=groups)
    model: Any = make_model(name, norm=made, init="standard", classes=5)
    model = model.clone(initializers=tiny.QUICK, **_SHALLOW.get(name, {}))
    side = 4 if name == "deep_linear" else 32  # its layers are as wide as an image
    x = jnp.zeros((2, side, side, 3))

    def run(key):
        """Under batch statistics, under running ones, and the variables."""
        mask = np.ones((2, 1, 1, 1), "float32")
        y, variables = model.init_with_output(key, x, statistics="batch", mask=mask)
        running = model.apply(variables, x, statistics="running", mask=mask)
        return y, running, variables

    if name == "deep_linear" and NORMS[norm].by_channel:  # all its layers are dense
        with pytest.raises(UserError, match="nothing to normalise"):
            jax.eval_shape(run, jax.random.key(0))
        return
    *outputs, variables = jax.eval_shape(run, jax.random.key(0))
    for y in outputs:
        assert y.shape == (2, 5)
        assert y.dtype == x.dtype
    has_state = NORMS[norm].running or NORMS[norm].assigned
    assert ("batch_stats" in variables) == has_state


def test_the_norm_does_not_change_the_start():
    """Nor do its own parameters take the keys of others."""
    x = np.zeros((1, 6, 6, 1), "float32")
    drawn = Init(tiny.quick, tiny.quick, tiny.quick)

    @jax.jit
    def started(key):
        models = {norm: build(norm, classes=3) for norm in NORMS}
        return {
            norm: model.clone(initializers=drawn).init(key, x, statistics="batch")[
                "params"
            ]
            for norm, model in models.items()
        }

    starts = started(jax.random.key(5))
    plain = starts.pop("none")
    assert set(plain) == {"conv1", "conv2", "dense1", "dense2"}
    for other in starts.values():
        assert "norm1" in other
        jax.tree.map(np.testing.assert_array_equal, plain, {k: other[k] for k in plain})
    assert np.abs(plain["conv1"]["bias"]).min() > 0
    kernels = [leaves["kernel"].ravel()[:9] for leaves in plain.values()]
    assert len(np.unique(kernels, axis=0)) == 4


class Twin(nn.Module):
    """The same network from Linen's own layers, in the order of the report."""

    @nn.compact
    def __call__(self, x, *, statistics):
        for i, features in enumerate((16, 32), start=1):
            x = nn.Conv(features, (3, 3), padding="SAME", name=f"conv{i}")(x)
            x = nn.BatchNorm(
                use_running_average=statistics == "running", name=f"norm{i}"
            )(x)
            x = nn.max_pool(nn.relu(x), (2, 2), strides=(2, 2), padding="SAME")
        x = nn.relu(nn.Dense(256, name="dense1")(x.reshape(x.shape[0], -1)))
        return nn.Dense(3, name="dense2")(x)


def test_equals_a_twin_of_linens_layers():
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 7, 6, 2)).astype("float32")
    labels = np.array([0, 1, 2, 0, 1])
    model, twin = build("batch", classes=3, conv="lax"), Twin()
    # Scales and biases away from 1 and 0, so that leaving one out would show.
    start = tiny.drawn(model, x)
    params, stats = start["params"], start["batch_stats"]

    def jaxpr(network):
        return str(jax.make_jaxpr(make_loss(network))(params, stats, x, labels))

    assert "reduce_window" in jaxpr(twin) and "reduce_window" not in jaxpr(model)
    results = []
    for network in (model, twin):
        function = jax.jit(jax.value_and_grad(make_loss(network), has_aux=True))
        (loss, (logits, updated)), gradient = function(params, stats, x, labels)
        results.append((loss, logits, updated, gradient))

    def close(a, b):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)

    jax.tree.map(close, *results)
    assert all(
        np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(results[0][3]["dense1"])
    )


def test_mask_leaves_padding_out_of_batch_statistics():
    random = np.random.default_rng(2)
    real = random.normal(size=(3, 6, 6, 1)).astype("float32")
    padded = np.concatenate([real, np.full((2, 6, 6, 1), 50.0, "float32")])
    model = build("batch", classes=3, conv="lax")
    variables = tiny.drawn(model, real)

    @jax.jit
    def outputs(variables, x, mask):
        mask = mask.reshape(-1, 1, 1, 1)
        return model.apply(variables, x, statistics="batch", mask=mask)

    expected = outputs(variables, real, np.ones(3, "float32"))
    masked = outputs(variables, padded, np.array([1, 1, 1, 0, 0], "float32"))[:3]
    unmasked = outputs(variables, padded, np.ones(5, "float32"))[:3]
    assert not np.allclose(unmasked, expected, atol=1e-2)
    np.testing.assert_allclose(masked, expected, rtol=1e-4, atol=1e-5)


def test_unknown_model_lists_the_known():
    norm = make_norm("none")
    with pytest.raises(UserError, match="--model=vgg99: unknown; known: small_cnn"):
        make_model("vgg99", norm=norm, init="standard", classes=3)
