"""What a probe costs, in gradients of the same batch, by the clock.

It prints what it measured:

    python -m pytest -m slow tests/train/test_probe_cost.py
"""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.data import Dataset
from normlab.train.program import build_program, data_arrays
from tests.cells import cell_config

QUANTITIES = ("loss_range", "gradient_predictiveness", "effective_smoothness")
MEMBERS, BATCH, TURNS = 2, 128, 7


def dataset() -> Dataset:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (BATCH, 32, 32, 3), dtype=np.uint8)
    y = random.integers(0, 10, BATCH).astype(np.uint8)
    return Dataset("random", x, y, x, y, tuple("abcdefghij"))


def probing(model: str, norm: str, quantities: tuple[str, ...]):
    """The compiled probe of `MEMBERS` members, one after another as on a CPU."""
    config = cell_config(
        model=model,
        width=0.125 if model == "vgg11" else 1.0,
        norm=norm,
        groups=4 if norm == "group" else None,
        optimizer="sgd",
        batch_size=BATCH,
        quantities=quantities,
        probe_every=1,
        probe_etas=(0.5, 1.0, 2.0, 4.0),
    )
    program = build_program(config, dataset(), conv="direct")
    assert program.probe is not None
    hyper = {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.0}
    hyper = {k: jnp.full(MEMBERS, v) for k, v in hyper.items()}
    states = jax.vmap(program.init)(jnp.arange(MEMBERS), hyper)
    data = jax.tree.map(jnp.asarray, data_arrays(dataset()))
    measure = program.probe.measure

    def all_members(states, indices, data):
        return jax.lax.map(lambda state: measure(state, indices, data), states)

    indices = jnp.arange(BATCH)
    run = jax.jit(all_members).lower(states, indices, data).compile()
    return lambda: jax.block_until_ready(run(states, indices, data))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize("model", ["small_cnn", "vgg11"])
def test_a_probe_of_four_etas_costs_less_than_five_extra_gradients(model, norm, capsys):
    gradient = probing(model, norm, ("gradient_norm",))
    probe = probing(model, norm, QUANTITIES)
    ratios, seconds = [], []
    for turn in range(TURNS + 1):
        start = time.perf_counter()
        gradient()
        between = time.perf_counter()
        probe()
        end = time.perf_counter()
        if turn > 0:  # the first is a warm-up
            ratios.append((end - between) / (between - start))
            seconds.append((between - start) / MEMBERS)
    middle = statistics.median(ratios)
    with capsys.disabled():
        print(
            f"\n{model}, {norm}: a probe is {middle:.2f} gradients "
            f"({min(ratios):.2f} to {max(ratios):.2f}, n={TURNS}) of "
            f"{statistics.median(seconds) * 1e3:.0f} ms"
        )
    # Its own gradient and one at each eta, some of which run a little faster in a row.
    assert 3 < middle < 1 + 5
