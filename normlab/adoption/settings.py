"""The options of adopting parameters; each field is a flag."""

from dataclasses import dataclass
from typing import ClassVar

from normlab.checks import check_settings
from normlab.errors import UserError
from normlab.settings import flag


@dataclass(frozen=True, kw_only=True)
class AdoptionOptions:
    """Which files to adopt, and the new run."""

    GROUP: ClassVar[str] = "adoption"

    params: tuple[str, ...] = flag(
        (),
        "Files with the parameters: an Orbax folder, Flax's msgpack or npz. Several "
        "are points along one training.",
    )
    at: tuple[int, ...] = flag(
        (),
        "How many updates the parameters of each file have had. One file has had "
        "--steps or --epochs.",
        low=0,
    )
    out: str = flag("", "The run directory, which must be new.")
    data_dir: str = flag(
        "", "Folder of the datasets. Default: NORMLAB_DATA_DIR, or a cache folder."
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.params:
            raise UserError("give the file with the parameters: --params=...")
        if not self.out:
            raise UserError("give a directory for the run: --out=...")
        if self.at and len(self.at) != len(self.params):
            raise UserError(
                f"--at={','.join(map(str, self.at))}: give a step for each of the "
                f"{len(self.params)} files"
            )
        if len(self.params) > 1 and not self.at:
            raise UserError("several --params need their steps: --at=0,100,...")
