"""Every optimizer against a few lines of numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from normlab.errors import UserError
from normlab.train.optimizers import (
    HYPERPARAMETERS,
    OPTIMIZERS,
    make_optimizer,
    with_hyperparameters,
)


def adam_updates(gradients, lr):
    """What Adam (0.9, 0.999, 1e-8) subtracts, as a function of gradients so far."""
    first = second = 0.0
    for g in gradients:
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
    t = len(gradients)
    unbiased = second / (1 - 0.999**t)
    return lr * (first / (1 - 0.9**t)) / (np.sqrt(unbiased) + 1e-8)


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


REFERENCES = {
    "adam": reference_adam,
    "adamw": reference_adamw,
    "sgd": reference_sgd,
    "momentum": reference_momentum,
}
MEMBERS = {
    "lr": np.array([0.1, 0.1, 0.02, 0.1]),
    "momentum": np.array([0.9, 0.5, 0.9, 0.9]),
    "weight_decay": np.array([0.0, 0.3, 0.3, 0.05]),
}


def problem():
    """Parameters, and gradients that depend on them, so that errors compound."""
    random = np.random.default_rng(0)
    p = {"kernel": random.normal(size=(3, 2)), "bias": random.normal(size=2)}
    scale = {k: np.abs(random.normal(size=v.shape)) + 0.5 for k, v in p.items()}
    return p, scale


def run(name, steps=5):
    """Every member's parameters after ``steps`` steps, in one vmapped program."""
    p, scale = problem()
    tx = make_optimizer(name)

    def one(values):
        params = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), p)
        state = with_hyperparameters(tx.init(params), values)
        for _ in range(steps):
            gradient = jax.tree.map(lambda s, v: s * v + 0.2, scale, params)
            updates, state = tx.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        return params

    return jax.jit(jax.vmap(one))(
        {k: jnp.asarray(v, jnp.float32) for k, v in MEMBERS.items()}
    )


def test_each_has_a_reference():
    assert REFERENCES.keys() == OPTIMIZERS.keys()
    assert set(MEMBERS) == set(HYPERPARAMETERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_its_reference(name):
    found = run(name)
    start, scale = problem()
    for i in range(4):
        values = {k: v[i] for k, v in MEMBERS.items()}
        for leaf, p in start.items():
            seen = []
            for _ in range(5):
                seen.append(scale[leaf] * p + 0.2)
                p = REFERENCES[name](p, seen, **values)
            np.testing.assert_allclose(found[leaf][i], p, rtol=1e-4, atol=1e-5)


def test_members_and_optimizers_differ_in_what_is_tested():
    found = {name: np.asarray(run(name)["kernel"]) for name in OPTIMIZERS}
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
    """What varies is an array of the state, float32, under its own name."""
    tx = make_optimizer(name)
    state = tx.init({"w": jnp.ones(3)})
    values = {"lr": 0.25, "momentum": 0.5, "weight_decay": 0.125}
    changed = with_hyperparameters(
        state, {k: jnp.float32(v) for k, v in values.items()}
    )
    assert {k: float(v) for k, v in changed.hyperparams.items()} == values
    assert all(v.dtype == jnp.float32 for v in changed.hyperparams.values())
    assert jax.tree.structure(state) == jax.tree.structure(changed)


def test_unknown_name_lists_the_known():
    with pytest.raises(
        UserError, match="--optimizer=lion: unknown; known: adam, adamw"
    ):
        make_optimizer("lion")
