"""What products are computed in, and what stays float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.config import PRECISIONS
from normlab.train.precision import layer_dtype
from normlab.train.program import data_arrays
from tests import tiny


def member(precision: str):
    """(program, state, arguments of a chunk) of one member."""
    data = tiny.dataset()
    program = tiny.program(tiny.cell_config(precision=precision), data)
    values = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    state = program.init(jnp.int32(0), {k: jnp.float32(v) for k, v in values.items()})
    indices = jnp.arange(20, dtype=jnp.int32).reshape(4, 5)
    arrays = {name: jnp.asarray(x) for name, x in data_arrays(data).items()}
    return program, state, (indices, jnp.int32(4), arrays)


def products(precision: str) -> str:
    """The jaxpr of a training chunk, the lines of its matrix products."""
    program, state, rest = member(precision)
    text = str(jax.make_jaxpr(program.chunk)(state, *rest))
    return "\n".join(
        text[at : at + 400] for at in range(len(text)) if text.startswith("dot_gen", at)
    )


def test_float32_products_may_not_be_rounded_and_tf32_ones_may():
    assert "precision=(Precision.HIGHEST, Precision.HIGHEST)" in products("float32")
    assert "Precision.HIGHEST" not in products("tf32")
    assert "Precision.HIGH" in products("tf32")


def test_bfloat16_products_take_bfloat16():
    assert "bf16" in products("bfloat16")
    assert "bf16" not in products("float32")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_parameters_statistics_and_metrics_stay_float32(precision):
    program, state, rest = member(precision)
    trained, metrics = jax.jit(program.chunk)(state, *rest)
    floats = [
        leaf
        for leaf in jax.tree.leaves((trained, metrics))
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    assert len(floats) > 10
    assert {leaf.dtype for leaf in floats} == {jnp.dtype("float32")}
    found = program.evaluate(trained, rest[-1])
    assert found["test_loss"].dtype == jnp.float32


def test_bfloat16_trains_to_nearly_the_same_losses_and_not_to_the_same():
    losses = {}
    for precision in ("float32", "bfloat16"):
        program, state, rest = member(precision)
        _, metrics = jax.jit(program.chunk)(state, *rest)
        losses[precision] = np.asarray(metrics["batch_loss"])
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.05)
    assert (losses["bfloat16"] != losses["float32"]).all()


def test_every_precision_is_known():
    assert [layer_dtype(name) for name in PRECISIONS] == [None, None, jnp.bfloat16]
