"""How members are run: settings that change results only by rounding."""

from dataclasses import dataclass
from typing import ClassVar

from normlab.settings.declare import flag

EXECUTIONS = ("vmap", "map", "loop")
# Forms of the convolution for training, in `normlab.models.CONVS`.
CONV_FORMS = ("patches", "shared", "direct", "pallas", "lax")


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """Where the data is, and how members are spread over devices and time."""

    GROUP: ClassVar[str] = "running"

    data_dir: str = flag(
        "", "Folder of the datasets. Default: NORMLAB_DATA_DIR, or a cache folder."
    )
    execution: str = flag(
        "auto",
        "How members (or points of a landscape) are executed.",
        choices=("auto", *EXECUTIONS),
    )
    conv: str = flag(
        "auto",
        "The form of convolutions. With pallas, a GPU kernel, and with shared, members "
        "of a seed share their images under vmap.",
        choices=("auto", *CONV_FORMS),
    )
    devices: str = flag(
        "auto",
        "Devices that share the members: a number, or auto (all; each core of a CPU "
        "counts as one). A loop uses one.",
    )
    member_chunk: str = flag(
        "auto",
        "Members on the devices at once: a number (rounded up to a multiple of the "
        "number of devices), or auto (as many as fit in memory, or fewer if a sweep's "
        "timing finds that faster).",
    )
