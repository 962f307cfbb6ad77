"""What holds for every entry of NORMS, and how a model meets them."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.errors import UserError
from normlab.norms import NORMS, make_norm

NORMALIZING = [kind for kind, entry in NORMS.items() if entry.invariant]


def build(kind, **options):
    groups = 2 if "groups" in NORMS[kind].reads else None
    return make_norm(kind, groups=groups, **options)


class Model(nn.Module):
    """The least model that takes a norm: it never asks which."""

    norm: Any

    @nn.compact
    def __call__(self, x, *, statistics, mask=None):
        return self.norm("norm1")(x, statistics=statistics, mask=mask)


def model_of(norm) -> Any:  # Linen declares wider types than array functions take
    return Model(norm)


@partial(jax.jit, static_argnames=("model", "statistics", "mutable"))
def applied(model, variables, x, statistics="batch", mask=None, mutable=False) -> Any:
    """Output; with the variables of the collections that are mutable."""
    mutable = ["batch_stats"] if mutable else False
    return model.apply(variables, x, statistics=statistics, mask=mask, mutable=mutable)


@partial(jax.jit, static_argnums=0)
def begun(model, x) -> Any:
    """Output and variables at the start."""
    return model.init_with_output(jax.random.key(0), x, statistics="batch")


def draw():
    """(N, H, W, C), every example and channel of a mean of its own."""
    x = np.random.default_rng(0).normal(3, 2, (5, 4, 4, 6))
    return (x + np.arange(6) + np.arange(5).reshape(5, 1, 1, 1)).astype("float32")


x_NHWC = pytest.fixture(draw, name="x_NHWC")


@pytest.mark.parametrize("kind", NORMS)
def test_variables_lie_under_the_layers_name(kind, x_NHWC):
    model = model_of(build(kind))
    y, variables = jax.eval_shape(lambda: begun(model, x_NHWC))
    assert y.shape == x_NHWC.shape and y.dtype == x_NHWC.dtype
    shapes, entry = jax.tree.map(jnp.shape, variables), NORMS[kind]
    learned = {name for name in ("scale", "bias") if f"norm_{name}" in entry.reads}
    stored = shapes.pop("batch_stats", {}).pop("norm1", {})
    assert bool(stored) == (entry.running or entry.assigned)
    assert set(stored.values()) <= {(6,)}
    assert ("assignment" in stored) == entry.assigned
    params = {"norm1": dict.fromkeys(learned, (6,))}
    assert shapes == ({"params": params} if learned else {})


@pytest.mark.parametrize("kind", NORMS)
def test_scale_and_bias_can_be_left_out_or_initialized(kind, x_NHWC):
    bare = model_of(build(kind, norm_scale=False, norm_bias=False))
    plain, variables = begun(bare, x_NHWC)
    assert "params" not in variables
    twos = nn.initializers.constant(2.0)
    full = model_of(
        build(kind, scale_init=twos, bias_init=nn.initializers.constant(5.0))
    )
    y, _ = begun(full, x_NHWC)
    reads, expected = NORMS[kind].reads, np.asarray(plain)
    expected = (2 if "norm_scale" in reads else 1) * expected
    expected = expected + (5 if "norm_bias" in reads else 0)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_none_returns_its_input_untouched(x_NHWC):
    y = applied(model_of(make_norm("none")), {}, x_NHWC, "running")
    np.testing.assert_array_equal(y, x_NHWC)


@pytest.mark.parametrize("kind", NORMS)
def test_invariance_to_a_positive_scale_and_to_a_shift(kind, x64):
    model = model_of(build(kind, epsilon=0.0))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(4, 3, 3, 6))
        a, b = 10.0 ** rng.uniform(-3, 3), rng.normal(0, 10)
        y, _ = begun(model, x)
        for change, other in (("scale", a * x), ("shift", x + b)):
            z, _ = begun(model, other)
            if change in NORMS[kind].invariant:
                np.testing.assert_allclose(z, y, atol=1e-8)
            else:
                assert np.abs(np.asarray(z) - y).max() > 0.01


@pytest.mark.parametrize("kind", NORMALIZING)
def test_offset_of_1e4_comes_out_with_mean_0_and_variance_1(kind):
    """Where a shift does not matter; else no digit of what is left is lost."""
    x = np.random.default_rng(0).normal(1e4, 1.0, (50, 16, 16, 8)).astype("float32")
    model = model_of(build(kind))
    y = np.asarray(begun(model, x)[0], "float64")
    if "shift" in NORMS[kind].invariant:
        blocks = blocks_of(kind, y)
        np.testing.assert_allclose(blocks.mean(-1), 0.0, atol=1e-6)
        np.testing.assert_allclose(blocks.var(-1), 1.0, atol=5e-5)
        return
    with jax.enable_x64(True):
        wide = np.asarray(begun(model, x.astype("float64"))[0])
    rounding = np.finfo("float32").eps * np.abs(wide).max()
    np.testing.assert_allclose(y, wide, rtol=0, atol=2 * rounding)


def blocks_of(kind, y):
    """What the norm standardizes at once, as rows."""
    entry, channels = NORMS[kind], y.shape[-1]
    groups = 2 if "groups" in entry.reads else None
    if entry.blocks:
        groups = entry.blocks(build(kind).options, channels)
    if groups is None:
        return y.reshape(-1, channels).T
    parts = y.reshape(len(y), -1, groups, channels // groups)
    return parts.swapaxes(1, 2).reshape(len(y) * groups, -1)


@pytest.mark.parametrize("kind", [k for k in NORMS if "epsilon" in NORMS[k].reads])
def test_every_norm_has_the_same_epsilon(kind):
    """Blocks of variance 1e-5 come out with variance 1/2: epsilon is 1e-5."""
    sign = np.where(np.indices((4, 4, 4, 4)).sum(0) % 2 == 0, 1.0, -1.0)
    x = (np.sqrt(1e-5) * sign).astype("float32")
    y, _ = begun(model_of(build(kind)), x)
    np.testing.assert_allclose(y, sign / np.sqrt(2), rtol=1e-5)


@pytest.mark.parametrize("kind", NORMS)
def test_mask_keeps_padding_from_the_real_examples(kind, x_NHWC):
    model = model_of(build(kind))
    y, variables = begun(model, x_NHWC)
    padded = np.pad(x_NHWC, ((0, 3), (0, 0), (0, 0), (0, 0)))
    mask = (np.arange(8) < 5).astype("float32").reshape(8, 1, 1, 1)
    z = np.asarray(applied(model, variables, padded, mask=mask))
    np.testing.assert_allclose(z[:5], y, atol=1e-5)
    assert np.isfinite(z).all()


@pytest.mark.parametrize("kind", NORMS)
def test_only_batch_norms_keep_running_statistics(kind, x_NHWC):
    model = model_of(build(kind))
    by_batch, variables = begun(model, x_NHWC)
    by_running, after = applied(model, variables, x_NHWC, "running", mutable=True)
    assert (np.abs(np.asarray(by_running) - by_batch).max() > 0.1) == NORMS[
        kind
    ].running
    same = jax.tree.map(
        np.array_equal, after, {k: variables[k] for k in after if k in variables}
    )
    assert jax.tree.all(same)


@pytest.mark.parametrize("kind", NORMS)
def test_equal_norms_do_not_retrace(kind, x_NHWC):
    traces = []

    def init(model, x):
        traces.append(model)
        return model.init_with_output(jax.random.key(0), x, statistics="batch")[0]

    compiled = jax.jit(init, static_argnums=0)
    compiled.trace(model_of(build(kind)), x_NHWC)
    compiled.trace(model_of(build(kind)), x_NHWC)
    assert len(traces) == 1
    compiled.trace(model_of(build(kind, epsilon=1e-3)), x_NHWC)
    assert len(traces) == 2


def test_unknown_norm_names_the_known_ones():
    with pytest.raises(UserError, match="--norm=btach: unknown; known: none, bat"):
        make_norm("btach")


GROUPED = [kind for kind, entry in NORMS.items() if "groups" in entry.reads]


@pytest.mark.parametrize("groups", [None, 0, -1])
@pytest.mark.parametrize("kind", GROUPED)
def test_group_norm_needs_groups(kind, groups):
    with pytest.raises(UserError, match=f"groups.*{groups}"):
        make_norm(kind, groups=groups)


@pytest.mark.parametrize("kind", GROUPED)
def test_groups_must_divide_the_channels(kind):
    model = model_of(make_norm(kind, groups=5))
    with pytest.raises(UserError, match="5 groups do not divide 16 channels"):
        model.init(jax.random.key(0), jnp.ones((2, 4, 4, 16)), statistics="batch")


@pytest.mark.parametrize("kind", NORMS)
def test_misspelt_statistics_are_refused(kind, x_NHWC):
    with pytest.raises(ValueError, match="'batch' or 'running', not 'train'"):
        model_of(build(kind)).init(jax.random.key(0), x_NHWC, statistics="train")


@pytest.mark.parametrize("statistics", ["batch", "running"])
@pytest.mark.parametrize("kind", NORMS)
def test_which_norms_read_other_examples(kind, statistics):
    """`normlab.train.cut` relies on it: no norm does under running averages."""
    x = np.random.default_rng(0).normal(size=(4, 3, 3, 4)).astype("float32")
    other = np.concatenate([x[:1], 2 * x[1:] + 1])
    model = model_of(build(kind))
    variables = model.init(jax.random.key(0), x, statistics="batch")
    first, second = (
        applied(model, variables, one, statistics)[0] for one in (x, other)
    )
    alone = NORMS[kind].by_example or statistics == "running"
    assert np.allclose(first, second, atol=1e-5) == alone
