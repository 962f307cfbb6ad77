"""A batch that is computed in parts, so that a part stays in a CPU's cache."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from normlab import plugins
from normlab.models import backend
from normlab.models.parts import OF_PATCHES, parts_of
from normlab.train import program
from normlab.train.cut import by_example, cut_of
from normlab.train.program import build_program, data_arrays
from tests import tiny
from tests.marks import slow

CUTS = [
    ("none", "direct", 100, 1, 2),
    ("group", "direct", 128, 1, 2),
    ("group", "direct", 256, 1, 4),
    ("none", "direct", 64, 1, 1),  # of the size of a part
    ("none", "direct", 106, 1, 1),  # no divisor
    ("none", "direct", 98, 1, 1),  # no even divisor
    ("none", "direct", 200, 2, 2),  # of each part that the user asked for
    ("batch", "direct", 100, 1, 1),
    ("batch_noisy", "direct", 100, 1, 1),
    ("none", "patches", 100, 1, 1),  # all members at once
    ("none", "lax", 100, 1, 1),
]


def config_of(norm, batch_size, accumulate=1, **changes):
    settings = {
        "model": "small_cnn",
        "init": "standard",
        "norm": norm,
        "groups": 4,
        "batch_size": batch_size,
        "accumulate": accumulate,
    }
    return tiny.cell_config(**settings | changes)


@pytest.mark.parametrize("norm, conv, batch_size, accumulate, parts", CUTS)
def test_parts(norm, conv, batch_size, accumulate, parts):
    assert cut_of(config_of(norm, batch_size, accumulate), conv) == parts


def test_only_a_cpu_cuts(monkeypatch):
    monkeypatch.setattr(backend, "is_cpu", lambda: False)
    for norm, conv, batch_size, accumulate, _ in CUTS:
        assert cut_of(config_of(norm, batch_size, accumulate), conv) == 1
    assert parts_of(128, OF_PATCHES) == 1


def test_a_network_of_ones_own_may_read_the_batch():
    assert cut_of(config_of("none", 100, model="tiny"), "direct") == 1


@pytest.mark.parametrize("norm", ["group", slow("none")])
def test_a_step_in_parts_is_the_step(norm, monkeypatch):
    """Loss, accuracy, norm of the gradient and parameters, up to rounding."""
    dataset = tiny.dataset(train=64, side=8)
    config = config_of(norm, 96, optimizer="sgd")
    values = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    values = {k: jnp.float32(v) for k, v in values.items()}
    indices = np.arange(192, dtype="int32").reshape(2, 96) % 64
    data = {k: jnp.asarray(v) for k, v in data_arrays(dataset).items()}

    def trained():
        made = build_program(config, dataset, conv="direct")
        state = made.init(jnp.int32(0), values)
        text = str(jax.make_jaxpr(made.call)(state, indices, jnp.int32(2), data))
        return text, jax.jit(made.call)(state, indices, jnp.int32(2), data)

    assert cut_of(config, "direct") == 2
    cut, (state, metrics) = trained()
    monkeypatch.setattr(program, "cut_of", lambda config, conv: 1)
    whole, (expected, other) = trained()
    assert "[48,8,8,1]" in cut and "[48,8,8,1]" not in whole
    for name in metrics:
        np.testing.assert_allclose(metrics[name], other[name], rtol=2e-6, err_msg=name)
    pairs = zip(
        jax.tree.leaves(state.params), jax.tree.leaves(expected.params), strict=True
    )
    for found, whole_leaf in pairs:
        np.testing.assert_allclose(found, whole_leaf, atol=1e-6)


# (norm, statistics, changes) -> whether the output for an image depends on it alone.
ALONE = [
    ("none", "batch", {}, True),
    ("group", "running", {}, True),
    ("batch", "running", {}, True),
    ("batch", "batch", {}, False),
    ("batch_noisy", "running", {}, True),
    ("batch_noisy", "running", {"noise_eval": True}, False),
    ("none", "running", {"model": "tiny"}, False),
    (f"{__name__}:Centred", "running", {}, False),
]


class Centred(nn.Module):
    """A norm of one's own that has running averages, and does not use them."""

    norm_momentum: float = 0.9

    def __call__(self, x, *, statistics="batch"):
        return x - x.mean(0)


@pytest.mark.parametrize("norm, statistics, changes, expected", ALONE)
def test_who_depends_on_one_image_alone(norm, statistics, changes, expected):
    plugins.allow([norm])
    assert by_example(config_of(norm, 50, **changes), statistics) is expected


@pytest.mark.parametrize("cpu", [True, False], ids=["cpu", "gpu"])
@pytest.mark.parametrize("norm, statistics", [("batch", "running"), ("batch", "batch")])
def test_an_evaluation_in_small_batches_is_the_evaluation(
    norm, statistics, cpu, monkeypatch
):
    """Only where batches do not matter, only on a CPU, also with padding."""
    monkeypatch.setattr(backend, "is_cpu", lambda: cpu)
    dataset = tiny.dataset(train=64, test=61, side=8)
    config = config_of(norm, 32, eval_batch_size=40, eval_statistics=(statistics,))
    values = {"lr": jnp.float32(0.1), "weight_decay": jnp.float32(0.0)}
    indices = jnp.arange(45)
    data = {k: jnp.asarray(v) for k, v in data_arrays(dataset).items()}

    def evaluated():
        made = build_program(config, dataset, conv="direct")
        state = made.init(jnp.int32(0), values)
        text = str(jax.make_jaxpr(made.evaluate)(state, indices, data))
        return text, made.evaluate(state, indices, data)

    small, metrics = evaluated()
    monkeypatch.setattr(program, "by_example", lambda config, statistics: False)
    whole, expected = evaluated()
    cut = cpu and statistics == "running"
    assert ("f32[25,8,8,1]" in small) is cut and ("f32[40,8,8,1]" in small) is not cut
    assert "f32[40,8,8,1]" in whole and "f32[25,8,8,1]" not in whole
    # Only the first layer makes patches.
    assert "conv_general_dilated" in small
    for name in expected:
        np.testing.assert_allclose(metrics[name], expected[name], rtol=2e-6)


def test_a_smaller_evaluation_batch_than_fits_the_cache_is_kept():
    dataset = tiny.dataset(train=64, test=61, side=8)
    made = build_program(config_of("none", 32, eval_batch_size=7), dataset)
    state = made.init(
        jnp.int32(0), {"lr": jnp.float32(0), "weight_decay": jnp.float32(0)}
    )
    data = {k: jnp.asarray(v) for k, v in data_arrays(dataset).items()}
    text = str(jax.make_jaxpr(made.evaluate)(state, jnp.arange(45), data))
    assert "f32[7,8,8,1]" in text


def test_a_measurement_in_parts_is_the_measurement(monkeypatch):
    """Of the whole batch: its parts are not those that a step accumulates."""
    names = "effective_smoothness", "gradient_lipschitz", "internal_covariate_shift"
    dataset = tiny.dataset(train=64, side=8)
    config = config_of("group", 96, 3, optimizer="sgd", quantities=names)
    values = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    values = {k: jnp.float32(v) for k, v in values.items()}
    data = {k: jnp.asarray(v) for k, v in data_arrays(dataset).items()}

    def measured():
        made = build_program(config, dataset, conv="direct")
        assert made.probe is not None
        state = made.init(jnp.int32(0), values)
        text = str(jax.make_jaxpr(made.probe.measure)(state, jnp.arange(96) % 64, data))
        return text, jax.jit(made.probe.measure)(state, jnp.arange(96) % 64, data)

    assert cut_of(config, "direct") == 1
    cut, found = measured()
    monkeypatch.setattr(program, "cut_of", lambda config, conv: 1)
    whole, expected = measured()
    assert "[48,8,8,1]" in cut and "[48,8,8,1]" not in whole
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)
