"""One step: its loss, its gradient, its numbers."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from normlab.metrics import STEP_METRICS
from normlab.models import CONVS
from normlab.norms import NORMS, make_norm
from normlab.train.optimizers import make_optimizer
from normlab.train.program import build_program, data_arrays
from normlab.train.state import augment_key, init_state
from normlab.train.step import make_loss, make_step
from tests import tiny


def network(norm) -> Any:
    groups = 2 if "groups" in NORMS[norm].reads else None
    made = make_norm(norm, groups=groups, norm_momentum=0.9)
    return tiny.TinyNet(made, tiny.QUICK, 3, conv=CONVS["lax"])


def images(count=6, dtype="float32") -> Any:
    x = np.random.default_rng(0).normal(size=(count, 6, 6, 1))
    return x.astype(dtype), np.arange(count, dtype="int32") % 3


def start(model, x):
    variables = tiny.drawn(model, x[:1])
    return variables["params"], variables.get("batch_stats", {})


@partial(jax.jit, static_argnums=0)
def begun(model, seed, lr, momentum=0.0, weight_decay=0.0) -> Any:
    """The state of SGD before the first step."""
    values = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    return init_state(model, make_optimizer("sgd"), (6, 6, 1), seed, values)


@pytest.mark.parametrize("norm", NORMS)
def test_every_parameter_has_a_gradient(norm):
    """A norm of single channels takes away what the bias before it adds."""
    model = network(norm)
    x, labels = images()
    params, stats = start(model, x)
    gradient = jax.jit(jax.grad(make_loss(model), has_aux=True))(
        params, stats, x, labels
    )[0]
    sizes = jax.tree.map(lambda g: np.abs(g).max(), gradient)
    entry = NORMS[norm]
    if "shift" in entry.invariant and (entry.running or entry.by_channel):
        assert sizes["conv1"].pop("bias") < 1e-6
    assert min(jax.tree.leaves(sizes)) > 1e-4, sizes


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_gradient_of_the_loss_is_numerically_right(norm, x64):
    model = network(norm)
    x, labels = images(4, "float64")
    params, stats = start(model, x)
    params = jax.tree.map(np.float64, params)

    @jax.jit
    def loss(params):
        return make_loss(model)(params, stats, x, labels)[0]

    assert loss(params).dtype == jnp.float64
    check_grads(loss, (params,), order=1, modes=["rev"], eps=1e-6, atol=1e-6, rtol=1e-6)


def test_loss_is_the_mean_cross_entropy_in_nats():
    model = network("none")
    x, labels = images()
    params, _ = start(model, x)
    loss, (logits, _) = jax.jit(make_loss(model))(params, {}, x, labels)
    z = np.asarray(logits, np.float64)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    np.testing.assert_allclose(loss, -log_p[np.arange(6), labels].mean(), rtol=1e-6)


# Two steps of small_cnn from seed 3. If a change was meant to change these numbers,
# run `pytest tests/train/test_step.py -k golden`, check that every difference is what
# the change should make, and copy the values that the failure prints.
GOLDEN = {
    "batch_loss": 1.011985,
    "batch_accuracy": 0.4,
    "gradient_norm": 7.121064,
    "second_batch_loss": 0.880707,
    "conv1_kernel": 1.351418,
    "conv2_bias": 1.018179,
    "norm2_scale": 5.653377,
    "dense1_kernel": 13.06271,
    "all_parameters": 15.83965,
    "running_mean": 0.1859843,
    "running_variance": 4.930741,
}


def size(tree) -> float:
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
    return float(np.linalg.norm(np.concatenate(leaves)))


def test_golden_step():
    config = tiny.cell_config(model="small_cnn", init="report", optimizer="momentum")
    data = tiny.dataset()
    program = build_program(config, data)
    values = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.01}
    arrays = {name: jnp.float32(value) for name, value in values.items()}
    state = jax.jit(program.init)(jnp.int32(3), arrays)
    call = jax.jit(program.call)
    picks = np.arange(10, dtype="int32").reshape(2, 5)
    state, metrics = call(state, picks, np.int32(2), data_arrays(data))
    metrics = jax.tree.map(np.asarray, metrics)
    found = {
        "batch_loss": metrics["batch_loss"][0],
        "batch_accuracy": metrics["batch_accuracy"][0],
        "gradient_norm": metrics["gradient_norm"][0],
        "second_batch_loss": metrics["batch_loss"][1],
        "conv1_kernel": size(state.params["conv1"]["kernel"]),
        "conv2_bias": size(state.params["conv2"]["bias"]),
        "norm2_scale": size(state.params["norm2"]["scale"]),
        "dense1_kernel": size(state.params["dense1"]["kernel"]),
        "all_parameters": size(state.params),
        "running_mean": size(state.batch_stats["norm1"]["mean"]),
        "running_variance": size(state.batch_stats["norm2"]["var"]),
    }
    found = {name: float(value) for name, value in found.items()}
    lines = "\n".join(f'    "{name}": {value:.7g},' for name, value in found.items())
    message = (
        "the numbers of a step have changed. If that was meant, say why in the commit "
        f"and replace GOLDEN in this file by:\nGOLDEN = {{\n{lines}\n}}"
    )
    same = found.keys() == GOLDEN.keys() and all(
        np.isclose(found[name], GOLDEN[name], rtol=1e-4, atol=0) for name in GOLDEN
    )
    assert same, message


def test_metrics_are_at_the_parameters_before_the_update():
    model, tx = network("batch"), make_optimizer("sgd")
    x, labels = images()
    state = begun(model, np.uint32(1), np.float32(0.5))
    loss = jax.jit(jax.value_and_grad(make_loss(model), has_aux=True))
    step = jax.jit(make_step(model, tx, lambda key, x: x))
    after, metrics = step(state, (x, labels))
    assert set(metrics) == set(STEP_METRICS)
    (before, (logits, stats)), gradient = loss(
        state.params, state.batch_stats, x, labels
    )
    (later, _), _ = loss(after.params, after.batch_stats, x, labels)
    assert abs(later - before) > 0.01
    np.testing.assert_allclose(metrics["batch_loss"], before, rtol=1e-5)
    hits = np.mean(np.argmax(logits, -1) == labels)
    np.testing.assert_allclose(metrics["batch_accuracy"], hits)
    np.testing.assert_allclose(metrics["gradient_norm"], size(gradient), rtol=1e-5)
    # The update itself: lr times that gradient; and the statistics of that batch.
    jax.tree.map(
        lambda new, old, g: np.testing.assert_allclose(
            new, np.asarray(old) - 0.5 * np.asarray(g), rtol=1e-4, atol=1e-6
        ),
        after.params,
        state.params,
        gradient,
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        after.batch_stats,
        stats,
    )
    assert int(after.step) == 1 and int(after.seed) == 1


@pytest.mark.faults
def test_the_accuracy_of_a_batch_that_gives_no_numbers_is_nan():
    model, tx = network("none"), make_optimizer("sgd")
    x, labels = images()
    state = begun(model, np.uint32(1), np.float32(0.5))
    step = jax.jit(make_step(model, tx, lambda key, x: x))
    for bad in (np.nan, np.inf):
        spoiled = np.concatenate([np.full_like(x[:1], bad), x[1:]])
        _, metrics = step(state, (spoiled, np.zeros_like(labels)))
        assert not np.isfinite(metrics["batch_loss"])
        assert np.isnan(metrics["batch_accuracy"])
    _, metrics = step(state, (x, np.zeros_like(labels)))
    assert 0 <= metrics["batch_accuracy"] <= 1


def test_initialisation_depends_on_the_seed_alone():
    model, tx = network("batch"), make_optimizer("adam")

    @jax.jit
    def init(seed, lr):
        values = {"lr": lr, "momentum": 0.3, "weight_decay": 0.2}
        return init_state(model, tx, (6, 6, 1), seed, values)

    one, two, other = (
        init(np.uint32(seed), lr) for seed, lr in ((4, 0.1), (4, 0.2), (5, 0.1))
    )
    jax.tree.map(np.testing.assert_array_equal, one.params, two.params)
    kernel, another = (np.asarray(s.params["conv1"]["kernel"]) for s in (one, other))
    assert np.all(kernel != another)
    opt_state: Any = two.opt_state
    found = {k: float(v) for k, v in opt_state.hyperparams.items()}
    assert found == pytest.approx({"lr": 0.2, "momentum": 0.3, "weight_decay": 0.2})


def test_augmentation_is_drawn_by_seed_and_step_alone():
    """The key that `prepare` is handed, whatever the parameters and the images."""
    model, tx = network("none"), make_optimizer("sgd")
    x, labels = images()

    @jax.jit
    def key_of(state, x):
        keys = []

        def prepare(key, x):
            keys.append(jax.random.key_data(key))
            return x

        make_step(model, tx, prepare)(state, (x, labels))
        return keys

    def key_at(seed, at, lr, x=x):
        state = begun(model, np.uint32(seed), np.float32(lr))
        (key,) = key_of(dataclasses.replace(state, step=np.int32(at)), x)
        return tuple(np.asarray(key).tolist())

    base = key_at(0, 3, 0.1)
    assert key_at(0, 3, 0.9, x=2 * x) == base
    assert len({base, key_at(0, 4, 0.1), key_at(1, 3, 0.1)}) == 3
    expected = jax.random.key_data(augment_key(jnp.uint32(0), jnp.int32(3)))
    assert base == tuple(np.asarray(expected).tolist())
