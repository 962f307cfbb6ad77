"""`normlab.probe` on small losses: transformations, cost, subsets, chunks, messages."""

import gc
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import normlab
from normlab.errors import UserError
from tests.quick import quick

RNG = np.random.default_rng(0)
X = RNG.normal(size=(11, 3)).astype(np.float32)
Y = RNG.normal(size=11).astype(np.float32)
BATCH = (jnp.asarray(X), jnp.asarray(Y))
PARAMS = {
    "first": {"w": jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32)},
    "last": {"w": jnp.asarray(RNG.normal(size=2), jnp.float32), "b": jnp.zeros(())},
}
NAMES = ["effective_smoothness", "gradient_lipschitz", "gradient_norm", "loss_range"]
HESSIANS = ["hessian_top", "hessian_trace"]


def loss(params, batch):
    x, y = batch
    hidden = jnp.tanh(x @ params["first"]["w"])
    return jnp.mean((hidden @ params["last"]["w"] + params["last"]["b"] - y) ** 2)


def moved(params, by=0.1):
    return jax.tree.map(lambda p: p + by, params)


def same(a, b, **tolerance):
    tolerance = tolerance or {"rtol": 2e-5, "atol": 1e-6}
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def test_transformations_agree_with_the_plain_loop():
    measure = normlab.probe(loss, NAMES)
    many = [moved(PARAMS, 0.1 * i) for i in range(3)]
    lrs = jnp.asarray([0.1, 0.2, 0.3])

    def one(params, lr):
        return measure(params, BATCH, lr=lr, next_params=moved(params))

    plain = [one(params, lr) for params, lr in zip(many, lrs, strict=True)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *plain)
    trees = jax.tree.map(lambda *x: np.stack(x), *many)
    mapped = jax.jit(jax.vmap(one))(trees, lrs)
    scanned = jax.jit(
        lambda: jax.lax.scan(lambda c, x: (c, one(*x)), None, (trees, lrs))[1]
    )()
    for other in (mapped, scanned):
        assert other.labels == plain[0].labels
        assert other.labels["part"] == ("all", "first", "last")
        same(other, stacked)
    assert not np.allclose(*stacked["loss_range"]["here"][:2], rtol=1e-3)


def test_probing_changes_no_bit_of_the_training():
    measure = normlab.probe(loss, NAMES)

    def trained(probed):
        @jax.jit
        def step(params):
            value, gradient = jax.value_and_grad(loss)(params, BATCH)
            new = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
            found = measure(params, BATCH, lr=0.1, next_params=new) if probed else None
            return new, found

        params = PARAMS
        for _ in range(20):
            params, _ = step(params)
        return params

    plain, probed = trained(False), trained(True)
    assert not np.array_equal(plain["last"]["w"], PARAMS["last"]["w"])
    jax.tree.map(np.testing.assert_array_equal, plain, probed)


@pytest.mark.parametrize(("known", "gradients"), [(False, 5), (True, 4)])
def test_four_etas_cost_at_most_five_gradients(known, gradients):
    """Four beside a training step that has computed its own."""
    calls = []

    def counted(params, batch):
        jax.debug.callback(lambda: calls.append(1))
        return loss(params, batch)

    measure = normlab.probe(counted, ["loss_range", "effective_smoothness"])
    given: dict[str, Any] = {}
    if known:
        given["value_and_grad"] = jax.jit(jax.value_and_grad(loss))(PARAMS, BATCH)
    found = measure(PARAMS, BATCH, lr=0.1, **given)
    jax.effects_barrier()
    assert len(calls) == gradients
    same(found, normlab.probe(loss, list(found))(PARAMS, BATCH, lr=0.1))


def test_a_hundred_probes_need_one_program_and_no_more_memory():
    measure = normlab.probe(loss, NAMES)

    def probed(i):
        return measure(
            moved(PARAMS, 1e-3 * i), BATCH, lr=0.1, next_params=moved(PARAMS, 1)
        )

    found = probed(0)
    gc.collect()
    before = len(jax.live_arrays())
    for i in range(100):
        found = probed(i)
    gc.collect()
    assert np.isfinite(found["loss_range"]["here"])
    assert len(jax.live_arrays()) <= before
    assert measure._run._cache_size() == 1


def only_last(path: str) -> bool:
    return path.startswith("last/")


@pytest.mark.parametrize(
    "where",
    [
        only_last,
        ["last"],
        {"first": {"w": False}, "last": {"w": True, "b": True}},
    ],
)
def test_a_subset_of_the_parameters(where):
    """As if the others were constants."""
    names = [*NAMES, *HESSIANS]
    measure = quickly(loss, names, where=where, iterations=3, samples=2)
    found = measure(PARAMS, BATCH, lr=0.1, next_params=moved(PARAMS))

    def alone(last, batch):
        return loss({"first": PARAMS["first"], **last}, batch)

    own = {"last": PARAMS["last"]}
    expected = quickly(alone, names, iterations=3, samples=2)(
        own, BATCH, lr=0.1, next_params=moved(own)
    )
    assert found.labels == expected.labels
    assert found.labels["part"] == ("all", "last")
    same(found, expected)


def test_all_eigenvalues_with_residuals():
    """As many iterations as parameters; of them three at each end are kept."""
    names = ["hessian_top", "hessian_bottom"]
    found = normlab.probe(loss, names, iterations=9)(PARAMS, BATCH)
    flat, tree_of = ravel_pytree(PARAMS)
    hessian = jax.jit(jax.hessian(lambda v: loss(tree_of(v), BATCH)))
    values = np.linalg.eigvalsh(hessian(flat))
    np.testing.assert_allclose(
        found["hessian_top"]["eigenvalue"][0], values[:-4:-1], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        found["hessian_bottom"]["eigenvalue"][0], values[:3], rtol=1e-4, atol=1e-5
    )
    assert (np.asarray(found["hessian_top"]["residual"]) < 1e-4).all()


def quickly(*args, **settings):
    """`normlab.probe`, whose program takes less time to compile."""
    measure = normlab.probe(*args, **settings)
    measure._run = quick(measure._measured)
    return measure


def hessians(**settings):
    measure = quickly(loss, HESSIANS, iterations=5, samples=3, **settings)
    return measure(PARAMS, BATCH)


@pytest.fixture(scope="module")
def whole():
    return hessians()


@pytest.mark.parametrize("chunk", [4, 20])
def test_a_hessian_in_chunks(chunk, whole):
    """11 examples: a last chunk that is smaller, and a chunk larger than all."""
    found = hessians(fixed_batch=BATCH, chunk=chunk)
    same(found, whole, rtol=2e-4, atol=1e-5)


def test_a_hessian_of_other_examples_is_another(whole):
    half = hessians(fixed_batch=(X[:4], Y[:4]))
    trace = [x["hessian_trace"]["trace"].item() for x in (half, whole)]
    assert abs(trace[0] - trace[1]) > 0.01


def test_a_hessian_of_chunks_read_from_the_host(whole):
    reads = []

    def load(i):
        reads.append(i)
        return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]

    found = hessians(fixed_batch=normlab.Chunks(load, 3))
    same(found, whole, rtol=2e-4, atol=1e-5)
    assert set(reads) == {0, 1, 2} and len(reads) > 9  # they are not kept


def test_a_product_in_chunks_keeps_one_chunks_activations():
    """Of a loss with eight layers over 1000 examples."""

    def deep(params, batch):
        x = batch
        for _ in range(8):
            x = jnp.tanh(x @ params["w"])
        return jnp.mean(x**2)

    params, data = {"w": jnp.eye(16)}, jnp.ones((1000, 16))

    def memory(**settings):
        measure = normlab.probe(deep, ["hessian_trace"], samples=2, **settings)
        compiled = jax.jit(lambda p, d: measure(p, d)).lower(params, data).compile()
        analysis: Any = compiled.memory_analysis()
        return analysis.temp_size_in_bytes

    assert memory(chunk=50) < memory() / 5


@pytest.mark.parametrize(
    ("names", "given", "settings", "says"),
    [
        (["loss_range"], {}, {}, "loss_range needs lr"),
        (["gradient_lipschitz"], {}, {}, "gradient_lipschitz needs next_params"),
        (
            ["internal_covariate_shift"],
            {"next_params": PARAMS},
            {},
            r"order of the layers .* \['first', 'last'\]",
        ),
        (["identities"], {}, {}, "identities is about batch, group"),
        (["activation_moments"], {}, {}, "no norm layers"),
        (["optimum_distance"], {}, {}, "optimum_distance needs initial"),
        (["gradient_norm"], {"aux": 1}, {}, "takes no aux"),
        (["gradient_norm"], {}, {"where": ["middle"]}, "where='middle'"),
        (["gradient_norm"], {}, {"where": lambda path: False}, "selects no"),
        (["gradient_norm"], {}, {"where": [True]}, "structure of params"),
        (["gradient_norm"], {}, {"layers": ["last"]}, "layers of the parameters are"),
        (["gradient_lipschitz"], {"next_params": X}, {}, "other shapes than params"),
    ],
)
def test_what_is_missing_is_said_in_one_line(names, given, settings, says):
    measure = normlab.probe(loss, names, **settings)
    with pytest.raises(UserError, match=says) as error:
        measure(PARAMS, BATCH, **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"names": ["nonsense"]}, "nonsense"),
        ({"etas": (0.0,)}, "etas"),
        ({"etas": (1, 1)}, "etas names 1.0 twice"),
        ({"samples": 1}, "samples"),
        ({"chunk": 0}, "chunk=0"),
    ],
)
def test_settings_are_checked_at_once(settings, says):
    with pytest.raises(UserError, match=says) as error:
        normlab.probe(loss, **{"names": ["gradient_norm"]} | settings)
    assert "--" not in str(error.value) or "nonsense" in says


def test_the_loss_must_be_a_scalar_of_arrays():
    def two(params, batch):
        return loss(params, batch), 1

    with pytest.raises(UserError, match="returns a tuple; it must return a scalar"):
        normlab.probe(two, ["gradient_norm"])(PARAMS, BATCH)
    with pytest.raises(UserError, match="a PjitFunction at act; give arrays only"):
        measure = normlab.probe(loss, ["gradient_norm"])
        measure({**PARAMS, "act": jnp.tanh}, BATCH)
    with pytest.raises(UserError, match="loss_of_three needs aux"):

        def loss_of_three(params, batch, aux):
            return loss(params, batch)

        normlab.probe(loss_of_three, ["gradient_norm"])(PARAMS, BATCH)


def test_integers_among_the_parameters_stay_as_they_are():
    def counted(params, batch):
        return loss(params, batch) * params["count"]

    found = normlab.probe(counted, NAMES)(
        {**PARAMS, "count": jnp.asarray(2)},
        BATCH,
        lr=0.1,
        next_params={**moved(PARAMS), "count": jnp.asarray(3)},
    )
    plain = normlab.probe(lambda p, b: 2 * loss(p, b), NAMES)(
        PARAMS, BATCH, lr=0.1, next_params=moved(PARAMS)
    )
    same(found, plain)


def test_norms_of_half_precision_are_not_rounded():
    params = {"w": jnp.full(1000, 0.1, jnp.bfloat16)}
    found = normlab.probe(lambda p, b: jnp.sum(p["w"] ** 2), ["parameter_norm"])(
        params, None
    )
    value = float(jnp.asarray(0.1, jnp.bfloat16))
    np.testing.assert_allclose(
        found["parameter_norm"]["l2"][0], value * 1000**0.5, rtol=1e-6
    )


class FourNorms(nn.Module):
    """Every norm layer of Linen whose identities are known."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4)(x)
        x = nn.BatchNorm(use_running_average=False)(x)
        x = nn.GroupNorm(num_groups=2)(jnp.tanh(x))
        x = nn.LayerNorm()(jnp.sin(x))
        x = nn.InstanceNorm()(x + x**2)
        return nn.Dense(1)(jnp.tanh(x)).sum((1, 2))


def test_the_norm_layers_of_linen_are_found():
    x = jnp.asarray(RNG.normal(size=(5, 6, 3)), jnp.float32)
    net = FourNorms()
    init = jax.jit(net.init)
    variables = init(jax.random.key(0), x)
    start = init(jax.random.key(1), x)["params"]

    def of(params, x, stats):
        variables = {"params": params, "batch_stats": stats}
        return jnp.mean(net.apply(variables, x, mutable=["batch_stats"])[0] ** 2)

    names = ["identities", "curvature_identities", "activation_moments"]
    found = quickly(of, [*names, "optimum_distance"], channels=(0,))(
        variables["params"], x, aux=variables["batch_stats"], initial=start
    )
    norms = ["BatchNorm_0", "GroupNorm_0", "LayerNorm_0", "InstanceNorm_0"]
    assert list(found.labels["norm_layer"]) == norms
    for name in names[:2]:
        error = np.asarray(found[name]["relative_error"])
        assert error.shape == (4,) and (error < 1e-3).all(), error
    lost = np.asarray(found["identities"]["removed_if_random"])
    np.testing.assert_allclose(lost, [2 / 30, 2 / 12, 2 / 4, 2 / 6], rtol=1e-6)
    assert (np.asarray(found["optimum_distance"]["distance"]) > 0.1).all()


def test_a_norm_layer_that_cannot_be_seen_is_said():
    def norm(y):
        return (y - y.mean()) / jnp.sqrt(y.var() + 1e-5)

    def of(params, x):
        def one(x):
            return normlab.tap("norm", norm, x * params["w"])

        return jnp.mean(jax.vmap(one)(x) ** 4)

    measure = normlab.probe(of, ["identities"])
    with pytest.raises(UserError, match="runs inside of jit, scan, vmap or remat"):
        measure({"w": jnp.ones(3)}, jnp.asarray(X))


def test_a_jitted_loss_is_seen_through():
    @jax.jit
    def of(params, x):
        def norm(y):
            away = y - y.mean(0, keepdims=True)
            return away / jnp.sqrt(y.var(0, keepdims=True) + 1e-5)

        z = normlab.tap("norm", norm, x * params["w"][None])
        return jnp.mean(jnp.sin(z) ** 3)

    params = {"w": jnp.ones(3)}
    found = normlab.probe(of, ["identities"])(params, jnp.asarray(X))
    assert found["identities"]["relative_error"].shape == (1,)
    assert found["identities"]["relative_error"] < 1e-3
