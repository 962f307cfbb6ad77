"""Every optimizer, clip and mask against a few lines of numpy."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from normlab.errors import UserError
from normlab.train import optimizers
from normlab.train.optimizers import (
    OPTIMIZERS,
    hyperparameters,
    make_optimizer,
    make_update,
    with_hyperparameters,
)
from normlab.train.schedules import make_rate
from tests.quick import quick

STEPS = 5


def adam_updates(gradients, lr, nesterov=False):
    """What Adam (0.9, 0.999, 1e-8) subtracts, as a function of gradients so far."""
    first = second = 0.0
    for g in gradients:
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
    t = len(gradients)
    unbiased = second / (1 - 0.999**t)
    ahead = first / (1 - 0.9**t)
    if nesterov:
        ahead = 0.9 * first / (1 - 0.9 ** (t + 1)) + 0.1 * gradients[-1] / (1 - 0.9**t)
    return lr * ahead / (np.sqrt(unbiased) + 1e-8)


def reference_adam(p, seen, lr, momentum, weight_decay):
    seen[-1] = seen[-1] + weight_decay * p
    return p - adam_updates(seen, lr)


def reference_adamw(p, seen, lr, momentum, weight_decay):
    return p - adam_updates(seen, lr) - lr * weight_decay * p


def reference_sgd(p, seen, lr, momentum, weight_decay):
    return p - lr * (seen[-1] + weight_decay * p)


def reference_momentum(p, seen, lr, momentum, weight_decay):
    seen[-1] = seen[-1] + weight_decay * p
    powers = [momentum ** (len(seen) - 1 - i) for i in range(len(seen))]
    return p - lr * sum(w * g for w, g in zip(powers, seen, strict=True))


def reference_lion(p, seen, lr, momentum, weight_decay):
    average = 0.0
    for g in seen[:-1]:
        average = 0.99 * average + 0.01 * g
    return p - lr * (np.sign(0.9 * average + 0.1 * seen[-1]) + weight_decay * p)


def reference_rmsprop(p, seen, lr, momentum, weight_decay):
    seen[-1], second = seen[-1] + weight_decay * p, 0.0
    for g in seen:
        second = 0.9 * second + 0.1 * g * g
    return p - lr * seen[-1] / np.sqrt(second + 1e-8)


def orthogonal(x):
    """Five of Muon's Newton-Schulz steps, on a matrix that is not too tall."""
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T).T
    x = x / (np.linalg.norm(x) + 1e-8)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


def reference_muon(p, seen, lr, momentum, weight_decay):
    if p.ndim < 2:
        update = adam_updates(seen, 1.0, nesterov=True)
        return p - lr * (update + weight_decay * p)
    first, t = 0.0, len(seen)
    for g in seen:
        first = 0.95 * first + 0.05 * g
    ahead = 0.95 * first / (1 - 0.95 ** (t + 1)) + 0.05 * seen[-1] / (1 - 0.95**t)
    matrix = orthogonal(ahead.reshape(-1, p.shape[-1]))
    factor = np.sqrt(max(1, matrix.shape[1] / matrix.shape[0]))
    return p - lr * (factor * matrix.reshape(p.shape) + weight_decay * p)


REFERENCES = {
    "adam": reference_adam,
    "adamw": reference_adamw,
    "sgd": reference_sgd,
    "momentum": reference_momentum,
    "lion": reference_lion,
    "rmsprop": reference_rmsprop,
    "muon": reference_muon,
}
MEMBERS = {
    "lr": np.array([0.1, 0.1, 0.02, 0.1]),
    "momentum": np.array([0.9, 0.5, 0.9, 0.9]),
    "weight_decay": np.array([0.0, 0.3, 0.3, 0.05]),
}
# Each alone, both, and neither. The gradient's norm is 4 at first, and units' ratios
# of gradient to weights are between 0.4 and 5.
CLIPS = {
    "clip_norm": np.array([2.0, 0.0, 1.5, 0.0]),
    "clip_adaptive": np.array([0.0, 0.5, 0.8, 0.0]),
}


def problem():
    """Parameters, and gradients that depend on them, so that errors compound."""
    random = np.random.default_rng(0)
    shapes = {"kernel": (3, 2), "bias": (2,), "conv": (2, 1, 2, 5)}
    p = {name: random.normal(size=shape) for name, shape in shapes.items()}
    p["zero"] = np.zeros(2)
    scale = {k: np.abs(random.normal(size=v.shape)) + 0.5 for k, v in p.items()}
    return p, scale


def run(name, members, decay_mask="all", schedule="constant"):
    """Every member's parameters after `STEPS` steps, in one vmapped program."""
    p, scale = problem()
    scale = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), scale)
    tx = make_optimizer(name, decay_mask)
    update = make_update(tx, make_rate(schedule, STEPS))

    def one(values):
        params = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), p)
        state = with_hyperparameters(tx.init(params), values)

        def step(t, carry):
            params, state = carry
            gradient = jax.tree.map(lambda s, v: s * v + 0.2, scale, params)
            updates, state, _ = update(gradient, state, params, t)
            return optax.apply_updates(params, updates), state

        return jax.lax.fori_loop(0, STEPS, step, (params, state))[0]

    return quick(jax.vmap(one))(
        {k: jnp.asarray(v, jnp.float32) for k, v in members.items()}
    )


def reference_clip(gradient, p, values):
    """By the norm over everything, then by units: columns of kernels, and vectors."""
    norm = np.sqrt(sum(np.square(g).sum() for g in gradient.values()))
    if values.get("clip_norm", 0) and norm > values["clip_norm"]:
        gradient = {k: g * values["clip_norm"] / norm for k, g in gradient.items()}
    if not values.get("clip_adaptive", 0):
        return gradient
    result = {}
    for name, g in gradient.items():
        axes = tuple(range(g.ndim - 1)) if g.ndim > 1 else (0,)
        of_g = np.sqrt(np.square(g).sum(axes, keepdims=True))
        of_p = np.sqrt(np.square(p[name]).sum(axes, keepdims=True))
        most = values["clip_adaptive"] * np.maximum(of_p, 1e-3)
        result[name] = np.where(of_g > most, g * most / of_g, g)
    return result


def reference_run(name, values, decay_mask="all", rate=None):
    """A member's parameters after `STEPS` steps, in numpy."""
    p, scale = problem()
    seen = {leaf: [] for leaf in p}
    for t in range(STEPS):
        gradient = {leaf: scale[leaf] * v + 0.2 for leaf, v in p.items()}
        gradient = reference_clip(gradient, p, values)
        for leaf, v in p.items():
            seen[leaf].append(gradient[leaf])
            decays = decay_mask == "all" or v.ndim > 1
            p[leaf] = REFERENCES[name](
                v,
                seen[leaf],
                values["lr"] if rate is None else rate(t),
                values["momentum"],
                values["weight_decay"] if decays else 0.0,
            )
    return p


def assert_equal(found, name, members, **changes):
    """Of every member and parameter."""
    for i in range(4):
        values = {k: v[i] for k, v in members.items()}
        for leaf, wanted in reference_run(name, values, **changes).items():
            np.testing.assert_allclose(found[leaf][i], wanted, rtol=1e-4, atol=2e-5)


def test_each_has_a_reference():
    assert REFERENCES.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_its_reference(name):
    assert_equal(run(name, MEMBERS), name, MEMBERS)


@pytest.mark.parametrize("name", ["sgd", "momentum"])
def test_clipped_gradients_equal_the_reference(name):
    """Clipped before weight decay and before the moments see it."""
    members = MEMBERS | CLIPS
    found = run(name, members)
    assert_equal(found, name, members)
    plain = run(name, MEMBERS)
    moved = [np.abs(found["conv"][i] - plain["conv"][i]).max() for i in range(4)]
    assert min(moved[:3]) > 1e-3
    # 0 is off for that member, whatever the others do.
    np.testing.assert_allclose(found["conv"][3], plain["conv"][3], rtol=1e-6)


def test_a_gradient_of_zero_and_a_huge_one_are_clipped_to_numbers():
    values = {"clip_norm": jnp.float32(1.0), "clip_adaptive": jnp.float32(0.1)}
    off = {name: jnp.float32(0.0) for name in values}
    params = {"w": jnp.ones((2, 2))}
    for size in (0.0, 1e30):
        gradient = {"w": jnp.full((2, 2), size)}
        found = optimizers.clipped(gradient, params, values)["w"]
        assert np.isfinite(found).all() and np.abs(found).max() <= 0.5
        np.testing.assert_array_equal(
            optimizers.clipped(gradient, params, off)["w"], gradient["w"]
        )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_kernels_decay(name):
    found = run(name, MEMBERS, "kernels")
    assert_equal(found, name, MEMBERS, decay_mask="kernels")
    with pytest.raises(AssertionError):
        assert_equal(found, name, MEMBERS)


@pytest.mark.parametrize("name", ["momentum", "adamw", "muon"])
def test_a_schedule_sets_the_rate_of_every_step(name):
    """Decoupled decay goes with the rate of its step, too."""
    members = MEMBERS | {"warmup": np.array([2, 2, 2, 2])}
    found = run(name, members, schedule="linear")
    shares = [0, 1 / 2, 1, 2 / 3, 1 / 3]
    for i in range(4):
        values = {k: v[i] for k, v in members.items()}
        for behind in (0, 1):

            def rate(t, lr=values["lr"], behind=behind):
                return lr * [0, *shares][t + 1 - behind]

            wanted = reference_run(name, values, rate=rate)
            same = all(
                np.allclose(found[leaf][i], value, rtol=1e-4, atol=2e-5)
                for leaf, value in wanted.items()
            )
            assert same == (behind == 0)


def test_members_and_optimizers_differ_in_what_is_tested():
    found = {name: np.asarray(run(name, MEMBERS)["kernel"]) for name in OPTIMIZERS}
    for kernel in found.values():
        assert all(
            np.abs(kernel[i] - kernel[j]).max() > 1e-3
            for i in range(4)
            for j in range(i)
        )
    # Without decay Adam and AdamW are one; with it, L2 and decoupled are two.
    np.testing.assert_allclose(found["adam"][0], found["adamw"][0], rtol=1e-6)
    assert np.abs(found["adam"][1] - found["adamw"][1]).max() > 1e-2
    assert np.abs(found["sgd"] - found["momentum"]).max() > 1e-2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_member_lives_in_the_state(name):
    """What varies is an array of the state, of its own type, under its own name."""
    tx = make_optimizer(name)
    params = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
    state = tx.init(params)
    values = {"lr": 0.25, "momentum": 0.5, "weight_decay": 0.125}
    more = {"warmup": 3, "decay_to": 0.5, "clip_norm": 2.0}
    changed = with_hyperparameters(state, values)
    assert {k: float(v) for k, v in hyperparameters(changed).items()} == values
    assert jax.tree.structure(state) == jax.tree.structure(changed)
    every = with_hyperparameters(state, values | more)
    types = {k: v.dtype for k, v in hyperparameters(every).items()}
    assert types == dict.fromkeys(values | more, jnp.float32) | {"warmup": jnp.int32}
    # They are still there after an update, as they were.
    update = make_update(tx, make_rate("cosine", 9))
    _, after, lr = jax.jit(update)(params, every, params, jnp.int32(1))
    np.testing.assert_allclose(lr, 0.25 / 3, rtol=1e-6)
    found = {k: float(v) for k, v in hyperparameters(after).items()}
    assert found == values | more


def test_a_wrong_order_of_clips_would_be_seen():
    swapped = dict(reversed(optimizers._CLIPS.items()))
    members = MEMBERS | CLIPS
    with mock.patch.object(optimizers, "_CLIPS", swapped):
        found = run("sgd", members)
    with pytest.raises(AssertionError):
        assert_equal(found, "sgd", members)


def test_unknown_name_lists_the_known():
    with pytest.raises(
        UserError, match="--optimizer=lamb: unknown; known: adam, adamw"
    ):
        make_optimizer("lamb")
