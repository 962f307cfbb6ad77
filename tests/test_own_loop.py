"""Every recipe of docs/own_loop.md runs, and measures what the definitions say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from tests.marks import slow
from tests.quantities import by_hand
from tests.quick import quick
from tests.recipes import PAGE, executed, recipes

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="not run from a checkout")

ETAS, ITERATIONS = (0.5, 1.0, 2.0, 4.0), 20
# The variable that holds the third argument of a recipe's loss.
AUX = {"linen": "stats", "nnx": "aux", "dropout": "aux"}
LR = {"linen": 1e-2}
FAST = ("linen",)
TRAINED = ("jax", "linen", "nnx", "equinox", "haiku", "dropout", "accumulation")


def slow_unless_fast(names):
    return [n if n in FAST else slow(n) for n in names]


def test_no_recipe_is_forgotten():
    assert set(recipes()) == {*TRAINED, "checkpoint"}


def wide(tree):
    """The floating leaves in float64; keys and integers as they are."""

    def one(x):
        floating = jnp.issubdtype(x.dtype, jnp.floating)
        return jnp.asarray(np.asarray(x), jnp.float64) if floating else x

    return jax.tree.map(one, tree)


def size(x) -> float:
    return float(np.linalg.norm(x))


def by_definition(loss, params, new, lr) -> dict:
    """Of ``loss(vector)``: everything from gradients and one dense Hessian."""
    value, gradient = quick(loss), quick(jax.grad(loss))
    x, g = np.asarray(params), np.asarray(gradient(params))
    # The gradient itself, by differences.
    v = np.random.default_rng(0).normal(size=x.shape)
    slope = (value(x + 1e-5 * v) - value(x - 1e-5 * v)) / 2e-5
    np.testing.assert_allclose(slope, g @ v, rtol=1e-6)
    there = [x - eta * lr * g for eta in ETAS]
    others = [np.asarray(gradient(y)) for y in there]
    moved = [size(y - x) for y in there]
    difference = [size(g - o) for o in others]
    after = np.asarray(gradient(new))
    hessian = np.asarray(quick(jax.hessian(loss))(params))
    start = jax.random.normal(
        jax.random.fold_in(jax.random.key(0), 0), x.shape, jnp.float64
    )
    values, _, _ = by_hand.projected(hessian, np.asarray(start), ITERATIONS)
    return {
        ("effective_smoothness", "beta"): np.divide(difference, moved),
        ("effective_smoothness", "difference"): difference,
        ("effective_smoothness", "distance"): moved,
        ("effective_smoothness", "loss"): [float(value(y)) for y in there],
        ("effective_smoothness", "cosine"): [
            g @ o / (size(g) * size(o)) for o in others
        ],
        ("gradient_lipschitz", "lipschitz"): size(after - g)
        / size(np.asarray(new) - x),
        ("hessian_top", "eigenvalue"): [values[:-4:-1]],
    }


@pytest.mark.parametrize("name", slow_unless_fast(TRAINED))
def test_a_recipe_measures_what_the_definitions_say(name, tmp_path, monkeypatch):
    script = executed(name, tmp_path, monkeypatch)  # under a user's settings
    log, lr = script["log"], LR.get(name, 0.1)
    frame = log.frame("effective_smoothness")
    assert list(frame["step"].unique()) == list(range(5))
    assert np.isfinite(frame["beta"]).all() and (frame["beta"] > 0).all()
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        params = wide(jax.tree.map(jnp.asarray, script["params"]))
        batch, given = wide(script["batch"]), {}
        if name in AUX:
            given["aux"] = wide(script[AUX[name]])
        flat, tree_of = ravel_pytree(params)
        new = tree_of(flat * 0.99)
        measure = script["measure"]
        measure._run = quick(measure._measured)
        if name == "jax":
            measure = _on_its_batch(measure, batch)
        found = measure(params, batch, lr=lr, next_params=new, **given)

        def loss(v):
            return script["loss"](tree_of(v), batch, *given.values())

        expected = by_definition(loss, flat, flat * 0.99, lr)
        for (quantity, field), value in expected.items():
            assert found[quantity][field].dtype == jnp.float64
            np.testing.assert_allclose(
                found[quantity][field], value, rtol=1e-6, atol=1e-9, err_msg=field
            )
        if "identities" in found:
            assert (np.asarray(found["identities"]["relative_error"]) < 1e-9).all()


def _on_its_batch(measure, batch):
    """The recipe's fixed batch is in float32."""

    def of(*arguments, **given):
        return measure(*arguments, fixed_batch=batch, **given)

    return of


@pytest.mark.slow
def test_the_checkpoint_recipe(tmp_path, monkeypatch):
    script = executed("checkpoint", tmp_path, monkeypatch)
    assert (tmp_path / "plane.png").stat().st_size > 10_000
    table = script["table"]
    middle = table[(table["a"] == 0) & (table["b"] == 0)]["loss"].item()
    np.testing.assert_allclose(
        middle, script["loss"](script["params"], script["batch"]), rtol=1e-6
    )
