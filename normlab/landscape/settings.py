"""What a landscape is asked to be: one flag a field."""

from dataclasses import dataclass

from normlab.checks import check_devices, check_settings
from normlab.errors import UserError
from normlab.settings import DeviceSettings, flag

# A plane has the square of them.
_MOST_POINTS = 1001


@dataclass(frozen=True, kw_only=True)
class LandscapeConfig(DeviceSettings):
    """Around which points of which run, along what, how finely, and how to run it."""

    run: str = flag("", "The run directory.")
    kind: str = flag(
        "plane",
        "plane: two random filter-normalised directions; line: one of them; between: "
        "from one point of the path to another; path: the plane in which the path "
        "varies most.",
        choices=("plane", "line", "between", "path"),
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
        -1, "The point, by its step; -1 is the last of path and checkpoints.", low=-1
    )
    from_step: int = flag(
        -1, "--kind=between: the step it starts from; -1 is the path's first.", low=-1
    )
    from_seed: int = flag(
        -1, "--kind=between: the seed it starts from; -1 is the member's own.", low=-1
    )
    from_lr: float = flag(
        -1.0,
        "--kind=between: the learning rate it starts from; -1 is the member's own.",
    )
    points: int = flag(
        25,
        "Points along a direction, the middle one among them: odd.",
        high=_MOST_POINTS,
    )
    span: float = flag(
        1.0,
        "How far to each side: of the point, in its filters' norms; of the middle "
        "between two points, in their distance.",
        above=0,
        high=1e6,
        float32=True,
    )
    margin: float = flag(
        0.2,
        "--kind=path: what the plane has around the path, in the path's range.",
        low=0,
        high=1e6,
        float32=True,
    )
    path_points: int = flag(
        100, "--kind=path: at most so many points of the path, evenly chosen.", low=3
    )
    direction_seed: int = flag(0, "Seed of the random directions.", low=0)
    split: tuple[str, ...] = flag(
        ("train",), "Images the loss is over.", choices=("train", "test")
    )
    images: int = flag(
        5000, "The first this many of them, or all if there are fewer.", low=1
    )
    statistics: tuple[str, ...] = flag(
        ("batch", "running"),
        "Statistics batch norm normalizes with: those of each batch, or the running "
        "averages of the point; other norms have but one landscape.",
        choices=("batch", "running"),
    )
    batch: int = flag(
        0,
        "Images a batch, which batch statistics are over; 0 is as many as the cell "
        "trained with.",
        low=0,
    )
    name: str = flag("", "Of the figures; landscape_<kind> by default.")

    def __post_init__(self) -> None:
        if not self.run:
            raise UserError("give the run directory: --run=...")
        check_settings(self)
        if self.points < 3 or self.points % 2 == 0:
            raise UserError(
                f"--points={self.points}: give an odd number, 3 or more, so that the "
                "point itself is one of them"
            )
        if self.name and ("/" in self.name or self.name.startswith(".")):
            raise UserError(f"--name={self.name}: a name, not a path")
        check_devices(self)

    @property
    def figure_name(self) -> str:
        return self.name or f"landscape_{self.kind}"
