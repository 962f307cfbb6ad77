"""The time that a step spends on its data: indices, gathering, standardisation."""

import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from normlab.bench.task import Task
from normlab.data.transform import feature_statistics, standardize
from normlab.members.over import OverMembers
from normlab.members.placement import Placement, padded


def make_gather(task: Task) -> Callable:
    """``gather(indices_KB, count, images) -> x_NHWC``, which returns the last batch.

    For every batch, the loop does exactly what a step does before its network. The loop
    carries the batch, so every batch is fully written.
    """
    mean, std = feature_statistics(task.dataset.train_x, task.config.standardize)
    mean, std = jnp.asarray(mean), jnp.asarray(std)

    def gather(indices_KB, count, images):
        def body(k, x_NHWC):
            del x_NHWC
            return standardize(images[indices_KB[k]], mean, std)

        shape = (indices_KB.shape[1], *images.shape[1:])
        return jax.lax.fori_loop(0, count, body, jnp.zeros(shape, jnp.float32))

    return gather


def data_path_ms(task: Task, repeats: int) -> float:
    """Median milliseconds per member and step, over the task's own batches.

    The time includes the index arithmetic on the host. Members are executed as in
    normlab's training.
    """
    placement = Placement(task.devices)
    mapped = (True, False, False)
    over = OverMembers(
        make_gather(task), mapped, task.plan.execution, placement=placement
    )
    members = len(task.cell.members)
    slots = padded(members, placement.count)
    count, images = placement.share((jnp.int32(task.steps), task.dataset.train_x))
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        # All members have the same seed and so the same batches, which are made once.
        indices = placement.split(np.stack([task.batches] * slots))
        jax.block_until_ready(over(indices, count, images))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[1:]) / members / task.steps
