"""Times normlab and its peers in one process, on the same task, alternating.

    python -m normlab.bench --flagfile=experiments/bench_cpu.flags

Every contender trains the same network from the same parameters, on the same batches
and with the same optimizer. The benchmark first checks that their losses agree, and
then times them. If a peer cannot run here, the output gives the reason.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from normlab import data
from normlab.bench.block import Block, measure_block
from normlab.bench.figure import draw, tabulate
from normlab.bench.images import RANDOM, random_images
from normlab.bench.machine import Machine, measure_machine
from normlab.bench.peers import find_peers
from normlab.bench.settings import BenchConfig
from normlab.bench.table import LEGEND, block_text, machine_text
from normlab.bench.task import make_task
from normlab.bench.torch_here import torch_version
from normlab.figures import CannotDraw
from normlab.figures.style import draw_into
from normlab.flags import defined, read, run
from normlab.members.placement import use_cores
from normlab.store.layout import write_json
from normlab.store.provenance import session
from normlab.words import path_of

PROGRAM = "normlab.bench"


def _write(
    out: Path, stamp: dict[str, Any], machine: Machine, blocks: list[Block]
) -> str:
    """Writes all results so far, so that a stopped benchmark keeps them.

    Returns:
      Why the figure could not be drawn, or "". This does not stop the benchmark.
    """
    results = [dataclasses.asdict(block) for block in blocks]
    write_json(out, {**stamp, "results": results})
    if blocks:
        try:
            draw_into(out.parent, out.stem, draw, tabulate(blocks, machine.name))
        except CannotDraw as error:
            return str(error)
    return ""


def main(values: flags.FlagValues) -> int:
    config = read(BenchConfig, values)
    use_cores(config.devices)
    peers = find_peers(config.peers)
    if config.dataset == RANDOM:
        dataset = random_images()
    else:
        dataset = data.load(config.dataset, data.data_dir(config.data_dir or None))
    tasks = [
        make_task(
            dataset,
            norm,
            size,
            np.logspace(-4, -2, members).tolist(),
            config.steps,
            options=config.options,
            choose=config.choose,
            model=config.model,
            optimizer=config.optimizer,
            precision=config.precision,
        )
        for norm in config.norm
        for members in config.members
        for size in config.batch_size
    ]
    out = path_of(config.out) if config.out else None
    machine = measure_machine(config.precision)
    stamp = {
        "config": dataclasses.asdict(config),
        **session(),
        "torch": torch_version(),
        "machine": dataclasses.asdict(machine),
    }
    blocks: list[Block] = []
    undrawn = ""
    if out:  # check first whether the folder can be written
        _write(out, stamp, machine, blocks)
    print(machine_text(machine))
    print(LEGEND, flush=True)
    for task in tasks:
        block = measure_block(
            task,
            peers,
            machine,
            repeats=config.repeats,
            tolerance=config.tolerance,
        )
        print(block_text(block), flush=True)
        blocks.append(block)
        if out:
            undrawn = _write(out, stamp, machine, blocks)
    if out:
        figure = "" if undrawn else ", and its figure (.png, .pdf, .csv)"
        print(f"\nwritten: {out}{figure}")
    if undrawn:
        print(f"{PROGRAM}: {undrawn}", file=sys.stderr)
    return 0


def flag_values() -> flags.FlagValues:
    return defined(BenchConfig)


if __name__ == "__main__":
    run(main, flag_values(), program=PROGRAM, doc=__doc__ or "")
