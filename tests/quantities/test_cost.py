"""What `normlab.probe` costs: arithmetic, memory and the time to import it."""

import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab

PAPER = ["loss_range", "gradient_predictiveness", "effective_smoothness"]
LAYERS, RNG = 4, np.random.default_rng(0)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
PARAMS = {
    f"layer{i}": jnp.asarray(RNG.normal(size=(32, 32)) / 6, jnp.float32)
    for i in range(LAYERS)
}
BATCH, OTHER = jnp.asarray(RNG.normal(size=(2, 64, 32)), jnp.float32)


def loss(params, batch):
    for i in range(LAYERS):
        batch = jnp.tanh(batch @ params[f"layer{i}"])
    return jnp.mean(batch**2)


def flops(function, *arguments) -> float:
    """Of the compiled program. XLA counts what is inside of a loop once."""
    analysis: Any = jax.jit(function).lower(*arguments).compile().cost_analysis()
    return analysis["flops"]


def step(params, batch):
    gradient = jax.grad(loss)(params, batch)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)


def added(names: list[str], batch=BATCH) -> float:
    """What a probe of one eta adds to a jitted training step, in gradients.

    Each further eta costs at most as much, because it shares what is outside the loop.
    """
    measure = normlab.probe(loss, names, etas=(1.0,))

    def probed(params, trained_on, batch):
        new = step(params, trained_on)
        return new, measure(params, batch, lr=0.1, next_params=new)

    if batch is BATCH:  # the same argument, as in a training loop
        more = flops(lambda params, b: probed(params, b, b), PARAMS, BATCH)
    else:
        more = flops(probed, PARAMS, BATCH, batch)
    gradient = flops(jax.value_and_grad(loss), PARAMS, BATCH)
    return (more - flops(step, PARAMS, BATCH)) / gradient


def test_four_etas_beside_a_training_step_cost_less_than_five_gradients():
    """The compiler computes the gradient that the step has, too, only once."""
    assert 4 * added(PAPER) < 4.2
    assert 4 * added(["loss_range"]) < 4 * 0.4  # forward passes alone
    # The next point is one more, and nothing else.
    assert 4 * added(PAPER) + added(["gradient_lipschitz"]) < 5.3
    # Without the training step's gradient there is one more: five in all.
    assert 1.9 < added(PAPER, OTHER) < 2.1


@pytest.mark.slow
def test_a_thousand_probes_need_no_more_memory():
    """Of the process: its own memory, that of XLA and of Python."""
    script = """
import jax, jax.numpy as jnp, numpy as np, psutil, normlab
rng = np.random.default_rng(0)
batch = jnp.asarray(rng.normal(size=(256, 128)), jnp.float32)
params = {"w": jnp.asarray(rng.normal(size=(128, 128)), jnp.float32)}
def loss(params, batch):
    return jnp.mean(jnp.tanh(batch @ params["w"]) ** 2)
names = ["loss_range", "effective_smoothness", "gradient_lipschitz", "hessian_top"]
measure = normlab.probe(loss, names, iterations=4)
log, process, seen = normlab.Log(), psutil.Process(), []
for i in range(1200):
    new = jax.tree.map(lambda p: 0.999 * p, params)
    found = measure(params, batch, lr=0.1, next_params=new)
    log.add(i, found)
    params = new
    if i % 200 == 199:
        seen.append(process.memory_info().rss / 2**20)
print(seen[1] - seen[0], seen)
"""
    output = stdout_and_stderr("-c", script)[0]
    # A leak of one batch and its activations in each probe were 250 MiB.
    assert float(output.split()[0]) < 10, output


def stdout_and_stderr(*words: str) -> tuple[str, str]:
    run = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    return run.stdout, run.stderr


def test_the_import_takes_no_half_second_of_its_own():
    """Of `import normlab`; and of its modules alone, with those of probe and run.

    On a machine that is busy it may take longer, and JAX then does, too.
    """
    script = "import jax, normlab; normlab.probe, normlab.Log, normlab.run"
    _, told = stdout_and_stderr("-X", "importtime", "-c", script)
    lines = [line.split("|") for line in told.splitlines() if "|" in line][1:]
    times = {line[-1].strip(): line[:2] for line in lines}
    own = [
        int(alone.rpartition(":")[2])
        for name, (alone, _) in times.items()
        if name.startswith("normlab")
    ]
    whole, second = int(times["normlab"][1]), int(times["jax"][1])
    assert len(own) > 50
    assert whole < 0.1e6, whole
    assert sum(own) < max(0.5e6, second), (sum(own), second)
