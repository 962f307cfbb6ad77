"""A block of a benchmark: all contenders for one norm, batch size and member count."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from normlab.bench.arithmetic import step_bytes, step_gflop
from normlab.bench.contender import Contender
from normlab.bench.data_path import data_path_ms
from normlab.bench.machine import Machine
from normlab.bench.peers import Peer
from normlab.bench.same import loss_gaps
from normlab.bench.task import Task, normlab_contender
from normlab.bench.timing import WarmUp, steps_a_run, time_in_turns, warm_up
from normlab.errors import UserError
from normlab.members.memory import tree_bytes


@dataclass(frozen=True)
class Row:
    """One contender of a block.

    Attributes:
      contender: ``normlab (map)``, ``torch_eager (NHWC)``.
      steps: the number of steps in one timed run.
      ms: milliseconds per member and step for every timed run.
      median: the median of ``ms``.
      ratio: normlab's median divided by this median; below 1, normlab is faster.
      compile_seconds: seconds before the first step.
      memory_bytes: peak memory beyond the training images, or None if unknown.
      gflops: GFLOP/s: `step_gflop` divided by the median.
      matmul_share: share of the machine's rate for a large product.
      bandwidth_share: share of the machine's bandwidth, from `step_bytes`.
      loss_gap: the largest relative gap to normlab's losses in the first ten steps.
    """

    contender: str
    steps: int
    ms: list[float]
    median: float
    ratio: float
    compile_seconds: float
    memory_bytes: int | None
    gflops: float
    matmul_share: float
    bandwidth_share: float
    loss_gap: float


@dataclass(frozen=True)
class Block:
    """All contenders on one task.

    Attributes:
      steps: the number of steps in a full timed run. Slow contenders have fewer.
      devices: the number of devices that normlab used.
      gflop, least_bytes: the arithmetic and memory traffic of one member's step.
      data_path_ms: milliseconds per member and step for gathering and standardising the
        batch.
      data_path_share: the same as a share of normlab's median step.
      best_peer, ratio_to_best_peer: the fastest peer, or None without peers.
      rows: the results, normlab first.
      left_out: peer -> why it did not run.
    """

    model: str
    dataset: str
    norm: str
    batch_size: int
    members: int
    steps: int
    devices: int
    gflop: float
    least_bytes: int
    data_path_ms: float
    data_path_share: float
    best_peer: str | None
    ratio_to_best_peer: float | None
    rows: list[Row]
    left_out: dict[str, str]


def measure_block(
    task: Task,
    peers: Mapping[str, Peer],
    machine: Machine,
    *,
    repeats: int,
    tolerance: float,
    own: Contender | None = None,
) -> Block:
    """Warms up and compares all contenders on ``task``, then times them in turns.

    Args:
      own: normlab itself, if it was made before.

    Raises:
      UserError: a contender's losses differ from normlab's by more than ``tolerance``,
        and by more than rounding explains.
    """
    contenders = {f"normlab ({task.label})": own or normlab_contender(task)}
    warm = {name: warm_up(timed, task.steps) for name, timed in contenders.items()}
    left_out: dict[str, str] = {}
    for name, peer in peers.items():
        _add_peer(name, peer, task, contenders, warm, left_out)
    config = task.config
    mine = next(iter(contenders))
    make_twin, count = contenders[mine].twin, warm[mine].losses.shape[1]
    twin = make_twin(count) if make_twin and len(contenders) > 1 else None
    try:
        losses = {k: timed.losses for k, timed in warm.items()}
        trained = {k: contender.trained for k, contender in contenders.items()}
        gaps = loss_gaps(losses, tolerance, twin, trained)
    except UserError as error:
        where = f"norm {config.norm}, batch size {config.batch_size}"
        raise UserError(f"{where}: {error}") from None
    steps = steps_a_run({k: timed.ms for k, timed in warm.items()}, task.steps)
    times = time_in_turns(contenders, steps, repeats)
    medians = {name: statistics.median(timed) for name, timed in times.items()}
    median = medians[mine]
    shape = task.dataset.image_shape
    classes, width = len(task.dataset.classes), config.width
    gflop = step_gflop(config.model, shape, classes, config.batch_size, width)
    parameter_bytes = tree_bytes(task.initial_params)
    least_bytes = step_bytes(
        shape, config.batch_size, parameter_bytes, config.optimizer
    )
    gathering = data_path_ms(task, repeats)
    rows = []
    for name in contenders:
        seconds = medians[name] / 1e3
        rows.append(
            Row(
                contender=name,
                steps=steps[name],
                ms=times[name],
                median=medians[name],
                ratio=median / medians[name],
                compile_seconds=warm[name].compile_seconds,
                memory_bytes=warm[name].memory_bytes,
                gflops=gflop / seconds,
                matmul_share=gflop / seconds / machine.matmul_gflops,
                bandwidth_share=least_bytes / seconds / 1e9 / machine.bandwidth_gbs,
                loss_gap=gaps[name],
            )
        )
    best = min(rows[1:], key=lambda row: row.median, default=None)
    return Block(
        model=config.model,
        dataset=task.dataset.name,
        norm=config.norm,
        batch_size=config.batch_size,
        members=len(task.cell.members),
        steps=task.steps,
        devices=task.plan.devices,
        gflop=gflop,
        least_bytes=least_bytes,
        data_path_ms=gathering,
        data_path_share=gathering / median,
        best_peer=best and best.contender,
        ratio_to_best_peer=best and best.ratio,
        rows=rows,
        left_out=left_out,
    )


def _add_peer(
    name: str,
    peer: Peer,
    task: Task,
    contenders: dict[str, Contender],
    warm: dict[str, WarmUp],
    left_out: dict[str, str],
) -> None:
    """Makes and warms up every variant of a peer, or records why it is left out."""
    reason = peer.why_not()
    if reason:
        left_out[name] = reason
        return
    for variant, make in peer.variants.items():
        label = f"{name} ({variant})" if variant else name
        try:
            contender = make(task)
            timed = warm_up(contender, task.steps)
        except Exception as error:  # such as a missing compiler, or too little memory
            left_out[label] = _reason(error)
            continue
        contenders[label], warm[label] = contender, timed


def _reason(error: Exception) -> str:
    """An error in one short line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}".removesuffix(": ")
