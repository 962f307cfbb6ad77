"""A benchmark as text, with one line per contender."""

from normlab.bench.block import Block, Row
from normlab.bench.machine import Machine
from normlab.words import counted

LEGEND = """\
time: milliseconds per member and step, median [min, max] of the timed runs
ratio: normlab's time divided by this time; below 1, normlab is faster
compile: seconds before the first step
memory: peak memory beyond the training images, in MiB; for JAX from the compiler's
  plan (arguments, results, workspace), for PyTorch from its CUDA allocator
matmul: GFLOP/s as a share of the rate for a large product
moved: the least memory traffic of a step, as a share of the memory bandwidth"""

_COLUMNS = (
    ("contender", "<26"),
    ("time", ">20"),
    ("ratio", ">6"),
    ("compile", ">8"),
    ("memory", ">7"),
    ("GFLOP/s", ">8"),
    ("matmul", ">7"),
    ("moved", ">6"),
    ("steps", ">6"),
)


def machine_text(machine: Machine) -> str:
    """One line with the machine and its two rates."""
    return (
        f"{machine.name}: {machine.matmul_gflops:.0f} GFLOP/s in a large product, "
        f"{machine.bandwidth_gbs:.1f} GB/s from and to memory (both measured)"
    )


def block_text(block: Block) -> str:
    """A block as text: a heading, the rows, and peers left out or cut short."""
    repeats = len(block.rows[0].ms)
    lines = [
        "",
        f"{block.model}, {block.dataset}, norm {block.norm}, batch {block.batch_size}, "
        f"{counted(block.members, 'member')}: {counted(repeats, 'run')} of "
        f"{counted(block.steps, 'step')}; {block.gflop:.3g} GFLOP per member and step; "
        f"normlab on {counted(block.devices, 'device')}",
        _line([name for name, _ in _COLUMNS]),
        *(_line(_cells(row)) for row in block.rows),
    ]
    for row in block.rows:
        if row.steps < block.steps:
            lines.append(
                f"{row.contender}: much slower than the fastest, so {row.steps} steps "
                f"per run instead of {block.steps}"
            )
    lines += [f"left out: {name}: {why}" for name, why in block.left_out.items()]
    lines.append(
        f"data path (gather and standardise a batch): {block.data_path_ms:.3g} ms, "
        f"{block.data_path_share:.1%} of normlab's step"
    )
    if block.best_peer is not None:
        lines.append(f"best peer: {block.best_peer}, ratio {_best(block):.2f}")
    return "\n".join(lines)


def _best(block: Block) -> float:
    return block.ratio_to_best_peer or float("nan")


def _line(cells: list[str]) -> str:
    pairs = zip(cells, _COLUMNS, strict=True)
    return " ".join(f"{cell:{width}}" for cell, (_, width) in pairs).rstrip()


def _cells(row: Row) -> list[str]:
    memory = row.memory_bytes
    return [
        row.contender,
        f"{row.median:.3g} [{min(row.ms):.3g}, {max(row.ms):.3g}]",
        f"{row.ratio:.2f}",
        f"{row.compile_seconds:.1f}",
        "-" if memory is None else f"{memory / 2**20:.0f}",
        f"{row.gflops:.3g}",
        f"{row.matmul_share:.1%}",
        f"{row.bandwidth_share:.1%}",
        f"{row.steps}",
    ]
