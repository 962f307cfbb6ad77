"""A Flax script like Flax's examples: a jitted step, one learning rate at a time.

``flax.linen.Conv`` uses ``lax.conv``.
"""

from normlab.bench.contender import Contender
from normlab.bench.flax_step import initial_state, make_step, python_loop
from normlab.bench.task import Task


def why_not() -> str | None:
    """None: Flax is always installed, because normlab needs it."""
    return None


def contender(task: Task) -> Contender:
    """Trains one member after another with the same compiled step."""
    starts = [initial_state(task, lr) for lr in task.learning_rates]
    return python_loop(task, make_step(task), starts)


VARIANTS = {"": contender}
