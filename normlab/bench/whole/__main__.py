"""Times a whole sweep against a PyTorch script for the same experiment.

    python -m normlab.bench.whole --flagfile=experiments/bench_whole.flags

The commands alternate. Each time includes everything from Python's start to its end:
imports, compilation, training, evaluation after every epoch, writing metrics and
checkpoints, and normlab's figures.
"""

import dataclasses
import os
import statistics
from collections.abc import Mapping

from absl import flags

from normlab import data
from normlab.bench.machine import machine_name
from normlab.bench.torch_here import no_torch, torch_version
from normlab.bench.whole.race import KEEP_SMALL, Result, WholeConfig, race, racers
from normlab.errors import UserError
from normlab.flags import defined, read, run
from normlab.members.placement import find_devices
from normlab.store.layout import write_json
from normlab.store.provenance import session
from normlab.words import counted, path_of

PROGRAM = "normlab.bench.whole"


def _times(results: Mapping[str, Result]) -> list[str]:
    lines = [f"{'seconds':<16} {'min':>8} {'median':>8} {'max':>8}"]
    for name, result in results.items():
        seconds = result.seconds
        middle = statistics.median(seconds)
        lines.append(
            f"{name:<16} {min(seconds):8.1f} {middle:8.1f} {max(seconds):8.1f}"
        )
    return lines


def _ratio(results: Mapping[str, Result]) -> float:
    """normlab's median divided by the script's; below 1, normlab is faster."""
    mine, script = (statistics.median(r.seconds) for r in results.values())
    return mine / script


def _accuracies(results: Mapping[str, Result]) -> list[str]:
    lines = [f"{'test accuracy':<16} " + " ".join(f"{name:>16}" for name in results)]
    for lr in next(iter(results.values())).accuracies:
        cells = [f"{result.accuracies[lr]:16.3f}" for result in results.values()]
        lines.append(f"{f'lr {lr:g}':<16} " + " ".join(cells))
    return lines


def main(values: flags.FlagValues) -> int:
    config = read(WholeConfig, values)
    if reason := no_torch():
        raise UserError(reason)
    data.load(config.dataset, data.data_dir(config.data_dir or None))  # fail early
    os.environ[KEEP_SMALL] = "false"
    find_devices()
    stamp = {"config": dataclasses.asdict(config), **session()}
    stamp |= {"torch": torch_version(), "machine": machine_name()}
    if config.out:  # check first whether the folder can be written
        write_json(path_of(config.out), {**stamp, "results": {}})
    print(
        f"{config.dataset}, norm {config.norm}, batch {config.batch_size}, "
        f"{counted(config.members, 'learning rate')}, "
        f"{counted(config.epochs, 'epoch')}; {machine_name()}",
        flush=True,
    )
    results = race(racers(config), config.repeats, lambda line: print(line, flush=True))
    print("\n".join(["", *_times(results)]))
    print(f"ratio of the medians: {_ratio(results):.2f} (below 1: normlab is faster)")
    print("\n".join(["", *_accuracies(results)]))
    if config.out:
        as_dicts = {
            name: dataclasses.asdict(result) for name, result in results.items()
        }
        ratio = _ratio(results)
        write_json(path_of(config.out), {**stamp, "results": as_dicts, "ratio": ratio})
    return 0


if __name__ == "__main__":
    run(main, defined(WholeConfig), program=PROGRAM, doc=__doc__ or "")
