"""Times normlab beside its peers: in one process, on the same work, interleaved.

    python -m normlab.bench --norm=none,batch,group --batch_size=50

Every contender trains the report's network from the same parameters on the same
batches; their losses are compared first, and only then they are timed, in turns. The
figure is milliseconds per member and step; a ratio below 1 means normlab is faster.
"""

import dataclasses
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from absl import flags

from normlab import data
from normlab.bench import torch_eager
from normlab.bench.task import Run, Task, make_task, normlab_run
from normlab.config import EXECUTION, flag
from normlab.errors import UserError
from normlab.flags import define, read, run
from normlab.store.layout import write_json
from normlab.store.provenance import session
from normlab.sweep.members import choose_mode

PROGRAM = "normlab.bench"
# Float32 sums in another order drift apart along training; in ten steps by this much.
_TOLERANCE = 2e-3


@dataclass(frozen=True)
class BenchConfig:
    dataset: str = flag("cifar10", "The dataset whose images are used.")
    data_dir: str = flag("", "Where datasets live; else NORMLAB_DATA_DIR.")
    norm: tuple[str, ...] = flag(("none", "batch", "group"), "Norms to time.")
    batch_size: tuple[int, ...] = flag((50,), "Batch sizes to time.")
    members: int = flag(8, "Learning rates, 1e-4 to 1e-2, of one seed.")
    steps: int = flag(50, "Steps of one timed run.")
    repeats: int = flag(5, "Timed runs of each contender, in turns.")
    execution: str = flag("auto", f"normlab's: {', '.join(EXECUTION)}.")
    out: str = flag("", "Write the figures here, as JSON.")

    def __post_init__(self) -> None:
        for name in ("members", "steps", "repeats"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)}: must be 1 or more")
        if self.execution not in EXECUTION:
            known = ", ".join(EXECUTION)
            raise UserError(f"--execution={self.execution}: unknown; known: {known}")


def _contenders(task: Task, mode: str) -> dict[str, Run]:
    found = {f"normlab ({mode})": normlab_run(task, mode)}
    if torch_eager.available():
        found["PyTorch eager, NCHW"] = torch_eager.torch_run(task, channels_last=False)
        found["PyTorch eager, NHWC"] = torch_eager.torch_run(task, channels_last=True)
    return found


def _check_same(losses: dict[str, np.ndarray]) -> None:
    """Every contender's losses after 1 and up to 10 steps against the first's."""
    (first, reference), *others = losses.items()
    for name, found in others:
        for step in (0, min(9, reference.shape[1] - 1)):
            gap = np.abs(found[:, step] / reference[:, step] - 1).max()
            if not gap < _TOLERANCE:
                raise UserError(
                    f"{name} and {first} do not compute the same: losses differ by "
                    f"{gap:.1e} after {step} steps"
                )


def _time(contenders: dict[str, Run], task: Task, repeats: int) -> dict[str, list]:
    """Milliseconds per member and step of every run, contenders in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            spent = time.perf_counter() - start
            per_step = 1e3 * spent / task.steps / len(task.cell.members)
            times[name].append(per_step)
    return times


def _row(times: dict[str, list[float]]) -> dict[str, float]:
    """The ratio of normlab's median to the best peer's, where there is a peer."""
    (_, mine), *peers = times.items()
    if not peers:
        return {}
    best = min(statistics.median(values) for _, values in peers)
    return {"ratio_to_best_peer": statistics.median(mine) / best}


def main(values: flags.FlagValues) -> int:
    config = read(BenchConfig, values)
    dataset = data.load(config.dataset, data.data_dir(config.data_dir or None))
    mode, why = choose_mode(config.execution, jax.devices()[0].platform)
    print(f"execution: {mode} ({why}); {config.members} members")
    if not torch_eager.available():
        print("PyTorch is not installed: left out (pip install normlab[bench])")
    rates = np.logspace(-4, -2, config.members).tolist()
    results = []
    for norm in config.norm:
        for batch_size in config.batch_size:
            task = make_task(dataset, norm, batch_size, rates, config.steps)
            contenders = _contenders(task, mode)
            _check_same({name: contender() for name, contender in contenders.items()})
            times = _time(contenders, task, config.repeats)
            for name, found in times.items():
                print(
                    f"{norm}, batch {batch_size}: {name}: "
                    f"{statistics.median(found):.2f} ms "
                    f"[{min(found):.2f}, {max(found):.2f}]",
                    flush=True,
                )
            row = _row(times)
            for name, value in row.items():
                print(f"{norm}, batch {batch_size}: {name} {value:.2f}")
            point = {"norm": norm, "batch_size": batch_size}
            results.append({**point, "ms": times, **row})
    if config.out:
        settings = dataclasses.asdict(config)
        record = {"config": settings, **session(), "results": results}
        write_json(Path(config.out), record)
    return 0


if __name__ == "__main__":
    flag_values = flags.FlagValues()
    define(BenchConfig, flag_values)
    run(main, flag_values, program=PROGRAM, doc=__doc__ or "")
