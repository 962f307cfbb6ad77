"""What products are computed in, and what stays float32."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from normlab.settings import TrainingSettings, declared
from normlab.train.precision import layer_dtype
from normlab.train.program import data_arrays
from tests import tiny

PRECISIONS = declared(TrainingSettings.__dataclass_fields__["precision"]).known


@functools.cache
def member(precision: str):
    """(program, state, arguments of a call) of one member."""
    data = tiny.dataset()
    program = tiny.program(tiny.cell_config(precision=precision), data)
    values = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    hyper = {k: np.float32(v) for k, v in values.items()}
    state = jax.jit(program.init)(np.int32(0), hyper)
    indices = np.arange(20, dtype=np.int32).reshape(4, 5)
    return program, state, (indices, np.int32(4), data_arrays(data))


@functools.cache
def trained(precision: str):
    """(state, metrics) after four steps."""
    program, state, rest = member(precision)
    return jax.jit(program.call)(state, *rest)


def products(precision: str, part: str) -> list[Any]:
    """Every matrix product of a member's ``call`` or ``evaluate``, as equations."""
    program, state, rest = member(precision)
    if part == "call":
        jaxpr = jax.make_jaxpr(program.call)(state, *rest)
    else:
        jaxpr = jax.make_jaxpr(program.evaluate)(state, np.arange(5), rest[-1])
    return list(dots(jaxpr.jaxpr))


def dots(jaxpr):
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from dots(inner)


@pytest.mark.parametrize("part, least", [("call", 4), ("evaluate", 4)])
def test_how_a_backend_may_round_the_inputs_of_every_product(part, least):
    for precision, allowed in (
        ("float32", jax.lax.Precision.HIGHEST),
        ("tf32", jax.lax.Precision.HIGH),
    ):
        found = products(precision, part)
        assert len(found) >= least
        assert {dot.params["precision"] for dot in found} == {(allowed, allowed)}


@pytest.mark.parametrize("part", ["call", "evaluate"])
def test_products_take_the_precisions_type(part):
    for precision, dtype in (("float32", jnp.float32), ("bfloat16", jnp.bfloat16)):
        inputs = [v.aval.dtype for dot in products(precision, part) for v in dot.invars]
        assert set(inputs) == {jnp.dtype(dtype)}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_parameters_statistics_and_metrics_stay_float32(precision):
    program, state, rest = member(precision)
    after = trained(precision)
    floats = [
        leaf
        for leaf in jax.tree.leaves(after)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    assert len(floats) > 10
    assert {leaf.dtype for leaf in floats} == {jnp.dtype("float32")}
    found = jax.eval_shape(program.evaluate, state, np.arange(5), rest[-1])
    assert found["test_loss"].dtype == jnp.float32


def test_bfloat16_trains_to_nearly_the_same_losses_and_not_to_the_same():
    losses = {}
    for precision in ("float32", "bfloat16"):
        _, metrics = trained(precision)
        losses[precision] = np.asarray(metrics["batch_loss"])
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.05)
    assert (losses["bfloat16"] != losses["float32"]).all()


def test_every_precision_is_known():
    assert [layer_dtype(name) for name in PRECISIONS] == [None, None, jnp.bfloat16]
