"""Member-steps a second of the networks of docs/speed.md, and of PyTorch's CUDA graphs.

    python experiments/gpu/speed.py [--out=FOLDER] [--small] [ROW ...]

It needs a GPU, and the extras `cuda` and `bench` (PyTorch, for the peers). The images
are random. normlab runs every network as a sweep does (`auto`). All programs are
compiled at once, which takes most of the time: on an H100 with 16 cores, one to two
minutes in all. Then all contenders of a row take turns on a machine that does nothing
else. With --small, two members take two steps with two images, to try the script on a
CPU.
"""

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from normlab.bench.block import Block, measure_block
from normlab.bench.contender import Contender
from normlab.bench.images import random_images
from normlab.bench.machine import measure_machine
from normlab.bench.peers import find_peers
from normlab.bench.table import block_text
from normlab.bench.task import Task, make_task, normlab_contender
from normlab.bench.torch_here import torch_version
from normlab.errors import UserError
from normlab.run_options import RunOptions
from normlab.store.layout import write_json
from normlab.store.provenance import session


@dataclasses.dataclass(frozen=True)
class Row:
    """A network: its settings, the steps of a timed run, and whether PyTorch runs."""

    model: str
    norm: str
    precision: str
    members: int
    batch_size: int = 50
    optimizer: str = "adam"
    steps: int = 100
    peer: bool = False


ROWS = {
    "small_cnn": Row("small_cnn", "batch", "tf32", 64, peer=True),
    "float32": Row("small_cnn", "batch", "float32", 64),
    "bfloat16": Row("small_cnn", "batch", "bfloat16", 64),
    "none": Row("small_cnn", "none", "tf32", 64),
    "group": Row("small_cnn", "group", "tf32", 64),
    "members_8": Row("small_cnn", "batch", "tf32", 8),
    "members_256": Row("small_cnn", "batch", "tf32", 256),
    "resnet20": Row("resnet20", "batch", "tf32", 8, 128, "momentum", 30, True),
    "vgg16": Row("vgg16", "batch", "tf32", 4, 128, "momentum", 30, True),
}
_REPEATS = 5
# The largest relative gap between the losses of two contenders.
_TOLERANCE = 1e-2
machine = functools.cache(measure_machine)


def task_of(row: Row, dataset: Any) -> Task:
    """The row as a task of the benchmark."""
    options = RunOptions(devices="1", member_chunk=str(row.members))
    return make_task(
        dataset,
        row.norm,
        row.batch_size,
        np.logspace(-4, -2, row.members).tolist(),
        row.steps,
        options=options,
        model=row.model,
        optimizer=row.optimizer,
        precision=row.precision,
    )


def rates(block: Block) -> str:
    """Member-steps a second of each contender."""
    return "\n".join(
        f"  {row.contender:<22} {1e3 / row.median:8.0f} member-steps/s"
        for row in block.rows
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--out", type=Path, help="the folder of speed.json")
    parser.add_argument("--small", action="store_true", help="try it on a CPU")
    args = parser.parse_args(argv)
    for name in args.rows:
        if name not in ROWS:
            parser.error(f"{name}: known: {', '.join(ROWS)}")
    rows = {name: ROWS[name] for name in args.rows or ROWS}
    if args.small:
        few = {"members": 2, "batch_size": 2, "steps": 2}
        rows = {k: dataclasses.replace(row, **few) for k, row in rows.items()}
    dataset = random_images()
    tasks = {name: task_of(row, dataset) for name, row in rows.items()}

    def compiled(task: Task) -> Contender:
        one = normlab_contender(task)
        one.train(1)
        return one

    with ThreadPoolExecutor(len(rows)) as pool:
        mine = dict(zip(rows, pool.map(compiled, tasks.values()), strict=True))
    stamp = {**session(), "torch": torch_version()}
    versions = f"jax {jax.__version__}, PyTorch {stamp['torch'] or 'is missing'}"
    print(f"{jax.devices()[0].device_kind}, {versions}")
    results = {}
    for name, row in rows.items():
        print(f"\n{name}: {row.precision}, {tasks[name].plan.way}", end="")
        peers = find_peers(["torch_graph"] if row.peer else ["none"])
        try:
            block = measure_block(
                tasks[name],
                peers,
                machine(row.precision),
                repeats=_REPEATS,
                tolerance=_TOLERANCE,
                own=mine[name],
            )
        except UserError as error:  # the other rows are worth having
            print(f"\n{error}")
            continue
        print(block_text(block), rates(block), sep="\n", flush=True)
        results[name] = {**dataclasses.asdict(row), **dataclasses.asdict(block)}
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            write_json(args.out / "speed.json", {**stamp, "rows": results})


if __name__ == "__main__":
    main()
