"""Cells that are alike: it takes one of them to see whether all can run."""

from collections.abc import Iterable
from typing import Any

from normlab.cell import Cell
from normlab.models.parts import OF_PATCHES, OF_STEP, parts_of

# Lengths of a training. They change no shape and no bound.
_LENGTHS = ("steps", "eval_every", "probe_every")


def kind_of(cell: Cell) -> tuple:
    """What the programs of cells have in common if they differ in values alone.

    Such programs have the same operations on arrays of the same shapes, but for the
    size of the batch: the largest needs the most memory. (The turns of a kernel's
    gradient depend on the size, too. That changed the order of 60 and 61 images in a
    VGG, by 0.1%.) That is not so of batches that are cut into parts of different sizes,
    so these are kinds of their own. So is a part of a batch that has one image, because
    some norms refuse it, and a number that is zero, which often switches something off.
    """
    config: dict[str, Any] = vars(cell.config)
    part = config["batch_size"] // config["accumulate"]
    values = {
        name: bool(value) if isinstance(value, float) and name != "width" else value
        for name, value in config.items()
        if name not in _LENGTHS
    }
    sizes = {
        "batch_size": min(part, 2),
        "parts": _part_sizes(part, config["batch_size"]),
    }
    return (*(values | sizes).items(), cell.hyperparameters)


def _part_sizes(part: int, batch: int) -> tuple[int, ...]:
    """How many images at a time, wherever they may be cut (`parts_of`); 0: all.

    Args:
      part: the images of which a step computes the gradient.
      batch: those of which a probe does.
    """

    def size(images: int, sizes: range) -> int:
        parts = parts_of(images, sizes)
        return images // parts if parts > 1 else 0

    both, cuts = (part, batch), (OF_STEP, OF_PATCHES)
    return tuple(size(images, sizes) for images in both for sizes in cuts)


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
