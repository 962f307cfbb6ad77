"""The settings of a landscape; each field is a flag."""

from dataclasses import dataclass
from typing import ClassVar

from normlab.checks import check_devices, check_settings
from normlab.errors import UserError
from normlab.settings import DeviceSettings, flag

# Per direction; a plane has the square of this number.
_MOST_POINTS = 1001


@dataclass(frozen=True, kw_only=True)
class LandscapeConfig(DeviceSettings):
    """The run, members, points, directions, grid and execution of a landscape."""

    GROUP: ClassVar[str] = "landscape"

    run: str = flag("", "The run directory.")
    kind: str = flag(
        "plane",
        "plane: two random filter-normalised directions; line: one random direction; "
        "between: from one point of the path to another; path: the plane in which the "
        "path varies most.",
        choices=("plane", "line", "between", "path"),
    )
    cell: tuple[str, ...] = flag(
        (), "Cells whose names start with one of these; by default all cells."
    )
    norm: tuple[str, ...] = flag((), "Cells with these norms; by default all cells.")
    seed: tuple[int, ...] = flag((), "Members with these seeds; by default the first.")
    lr: tuple[float, ...] = flag(
        (), "Members with these learning rates; by default the first."
    )
    step: int = flag(-1, "The step of the point; -1 is the last stored point.", low=-1)
    from_step: int = flag(
        -1,
        "--kind=between: the step of the first point; -1 is the start of the path.",
        low=-1,
    )
    from_seed: int = flag(
        -1,
        "--kind=between: the seed of the first point; -1 is the member's own seed.",
        low=-1,
    )
    from_lr: float = flag(
        -1.0,
        "--kind=between: the learning rate of the first point; -1 is the member's own.",
    )
    points: int = flag(
        25,
        "Number of points along a direction; an odd number, so that the center is one "
        "of them.",
        high=_MOST_POINTS,
    )
    span: float = flag(
        1.0,
        "Distance to each side of the center, in units of the filters' norms. For "
        "--kind=between, the center is halfway between the two points, and the unit is "
        "their distance.",
        above=0,
        high=1e6,
        float32=True,
    )
    margin: float = flag(
        0.2,
        "--kind=path: the margin around the path, as a fraction of the path's range.",
        low=0,
        high=1e6,
        float32=True,
    )
    path_points: int = flag(
        100, "--kind=path: maximum number of evenly spaced points of the path.", low=3
    )
    direction_seed: int = flag(0, "Seed of the random directions.", low=0)
    split: tuple[str, ...] = flag(
        ("train",), "Images to compute the loss on.", choices=("train", "test")
    )
    images: int = flag(
        5000, "Number of images: the first of the split, or all if it has fewer.", low=1
    )
    statistics: tuple[str, ...] = flag(
        ("batch", "running"),
        "Statistics that batch norm normalizes with: of each batch, or the running "
        "averages at the point. Norms without running averages ignore this.",
        choices=("batch", "running"),
    )
    batch: int = flag(
        0,
        "Number of images per batch, where that may change the loss (batch statistics, "
        "or a network of one's own); 0 is the batch size of training.",
        low=0,
    )
    name: str = flag("", "Name of the figures; landscape_<kind> by default.")
    style: str = flag("", "A TOML file that says how figures look (docs/figures.md).")

    def __post_init__(self) -> None:
        if not self.run:
            raise UserError("give the run directory: --run=...")
        check_settings(self)
        if self.points < 3 or self.points % 2 == 0:
            raise UserError(
                f"--points={self.points}: use an odd number of at least 3, so that the "
                "center is one of the points"
            )
        if self.name and ("/" in self.name or self.name.startswith(".")):
            raise UserError(f"--name={self.name}: use a name, not a path")
        check_devices(self)

    @property
    def figure_name(self) -> str:
        return self.name or f"landscape_{self.kind}"
