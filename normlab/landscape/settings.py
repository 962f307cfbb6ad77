"""What a landscape is asked to be: one flag a field."""

import math
from dataclasses import dataclass

from normlab.checks import (
    EXECUTION,
    at_least,
    at_most,
    check_devices,
    check_distinct,
    check_float32,
    unknown,
)
from normlab.errors import UserError
from normlab.settings import flag

KINDS = ("plane", "line", "between", "path")
SPLITS = ("train", "test")
STATISTICS = ("batch", "running")
# A plane has the square of them.
_MOST_POINTS = 1001


@dataclass(frozen=True)
class LandscapeConfig:
    """Around which points of which run, along what, how finely, and how to run it."""

    run: str = flag("", "The run directory.")
    kind: str = flag(
        "plane",
        "plane: two random filter-normalised directions; line: one of them; between: "
        "from one point of the path to another; path: the plane in which the path "
        "varies most.",
    )
    cell: tuple[str, ...] = flag(
        (), "Cells whose names begin so; by default all of the run."
    )
    norm: tuple[str, ...] = flag((), "Cells of these norms; by default all.")
    seed: tuple[int, ...] = flag((), "Members of these seeds; by default the first.")
    lr: tuple[float, ...] = flag(
        (), "Members of these learning rates; by default the first."
    )
    step: int = flag(
        -1, "The point, by its step; -1 is the last of path and checkpoints."
    )
    from_step: int = flag(
        -1, "--kind=between: the step it starts from; -1 is the path's first."
    )
    from_seed: int = flag(
        -1, "--kind=between: the seed it starts from; -1 is the member's own."
    )
    from_lr: float = flag(
        -1.0,
        "--kind=between: the learning rate it starts from; -1 is the member's own.",
    )
    points: int = flag(25, "Points along a direction, the middle one among them: odd.")
    span: float = flag(
        1.0,
        "How far to each side: of the point, in its filters' norms; of the middle "
        "between two points, in their distance.",
    )
    margin: float = flag(
        0.2, "--kind=path: what the plane has around the path, in the path's range."
    )
    path_points: int = flag(
        100, "--kind=path: at most so many points of the path, evenly chosen."
    )
    direction_seed: int = flag(0, "Seed of the random directions.")
    split: tuple[str, ...] = flag(
        ("train",), f"Images the loss is over: {', '.join(SPLITS)}."
    )
    images: int = flag(5000, "The first this many of them, or all if there are fewer.")
    statistics: tuple[str, ...] = flag(
        STATISTICS,
        "Statistics batch norm normalizes with: those of each batch, or the running "
        "averages of the point; other norms have but one landscape.",
    )
    batch: int = flag(
        0,
        "Images a batch, which batch statistics are over; 0 is as many as the cell "
        "trained with.",
    )
    name: str = flag("", "Of the figures; landscape_<kind> by default.")
    data_dir: str = flag(
        "", "Where datasets live; else NORMLAB_DATA_DIR, else a cache folder."
    )
    execution: str = flag(
        "auto", f"How points of the grid are executed: {', '.join(EXECUTION)}."
    )
    devices: str = flag("auto", "Devices that share the points: a number, or auto.")
    member_chunk: str = flag(
        "auto", "Points on the devices at once: a number, or auto (by memory)."
    )

    def __post_init__(self) -> None:
        if not self.run:
            raise UserError("give the run directory: --run=...")
        for name, known in (
            ("kind", KINDS),
            ("split", SPLITS),
            ("statistics", STATISTICS),
        ):
            value = getattr(self, name)
            for word in value if isinstance(value, tuple) else (value,):
                if word not in known:
                    raise unknown(name, word, known)
        for name in ("cell", "norm", "seed", "lr", "split", "statistics"):
            check_distinct(name, getattr(self, name))
        if self.points < 3 or self.points % 2 == 0:
            raise UserError(
                f"--points={self.points}: give an odd number, 3 or more, so that the "
                "point itself is one of them"
            )
        at_most("points", self.points, _MOST_POINTS)
        for name in ("step", "from_step", "from_seed"):
            at_least(self, name, -1)
        for name in ("direction_seed", "batch", "margin"):
            at_least(self, name, 0)
        at_least(self, "images", 1)
        at_least(self, "path_points", 3)
        if not (math.isfinite(self.span) and self.span > 0):
            raise UserError(f"--span={self.span}: must be above 0, and finite")
        for name in ("span", "margin"):
            at_most(name, getattr(self, name), 1e6)
            check_float32(self, name, 0)
        if self.name and ("/" in self.name or self.name.startswith(".")):
            raise UserError(f"--name={self.name}: a name, not a path")
        check_devices(self)

    @property
    def figure_name(self) -> str:
        return self.name or f"landscape_{self.kind}"
