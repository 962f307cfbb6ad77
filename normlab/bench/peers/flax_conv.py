"""A Flax script as its examples are: a jitted step a call, a learning rate at a time.

``flax.linen.Conv`` is ``lax.conv`` here.
"""

from normlab.bench.contender import Contender
from normlab.bench.flax_step import initial_state, make_step, python_loop
from normlab.bench.task import Task


def why_not() -> str | None:
    """Flax is what normlab itself is written in."""
    return None


def contender(task: Task) -> Contender:
    """Every member alone, all of them by one compiled step."""
    starts = [initial_state(task, lr) for lr in task.learning_rates]
    return python_loop(task, make_step(task), starts)


VARIANTS = {"": contender}
