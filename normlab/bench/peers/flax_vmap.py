"""The same Flax step, vmapped over the members: all learning rates in one call.

``vmap`` over kernels turns ``lax.conv`` into a grouped convolution. normlab's own
convolution avoids this.
"""

import jax
import numpy as np

from normlab.bench.contender import Contender
from normlab.bench.flax_step import initial_state, make_step, python_loop
from normlab.bench.task import Task


def why_not() -> str | None:
    """None: Flax is always installed, because normlab needs it."""
    return None


def contender(task: Task) -> Contender:
    """Trains all members at once."""
    states = [initial_state(task, lr) for lr in task.learning_rates]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    step = jax.vmap(make_step(task), in_axes=(0, None, None, None))
    return python_loop(task, step, [stacked])


VARIANTS = {"": contender}
