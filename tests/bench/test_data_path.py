"""The loop that only gathers: it must do what a step does before its network."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.bench import data_path
from normlab.run_options import RunOptions
from tests.bench.small import task


@pytest.mark.parametrize("count", [1, 3])
def test_the_batch_is_the_standardised_one(dataset, count):
    made = task(dataset)
    gather = jax.jit(data_path.make_gather(made))
    found = gather(jnp.asarray(made.batches), count, jnp.asarray(dataset.train_x))
    expected = made.images_NHWC[made.batches[count - 1]]
    assert expected.std() > 0.5
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("execution", "devices"), [("map", "1"), ("map", "2"), ("vmap", "1"), ("loop", "1")]
)
def test_milliseconds_are_per_member_and_step(dataset, execution, devices, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(data_path.time, "perf_counter", lambda: float(next(ticks)))
    options = RunOptions(execution=execution, devices=devices)
    found = data_path.data_path_ms(task(dataset, options=options), 3)
    assert found == pytest.approx(1e3 / 2 / 11)
