"""Cells that are alike: it takes one of them to see whether all can run."""

from collections.abc import Iterable
from typing import Any

from normlab.cell import Cell

# Lengths of a training. They change no shape and no bound.
_LENGTHS = ("steps", "eval_every", "probe_every")


def kind_of(cell: Cell) -> tuple:
    """What the programs of cells have in common if they differ in values alone.

    Such programs have the same operations on arrays of the same shapes, but for the
    size of the batch: the largest needs the most memory. A part of a batch that has one
    image is a kind of its own, because some norms refuse it. So is a number that is
    zero, which often switches something off.
    """
    config: dict[str, Any] = vars(cell.config)
    part = min(config["batch_size"] // config["accumulate"], 2)
    values = {
        name: bool(value) if isinstance(value, float) and name != "width" else value
        for name, value in config.items()
        if name not in _LENGTHS
    }
    return (*(values | {"batch_size": part}).items(), cell.hyperparameters)


def by_kind(cells: Iterable[Cell]) -> dict[tuple, Cell]:
    """Kind -> its cell with the largest batch. Those in front show most.

    The first ones show every value of every setting that some cell has.
    """
    largest: dict[tuple, Cell] = {}
    for cell in cells:
        kind = kind_of(cell)
        other = largest.setdefault(kind, cell)
        if cell.config.batch_size > other.config.batch_size:
            largest[kind] = cell
    seen: set = set()
    new: dict[tuple, bool] = {}
    for kind in largest:
        new[kind] = not seen.issuperset(kind)
        seen.update(kind)
    return {kind: largest[kind] for kind in sorted(largest, key=lambda k: not new[k])}
