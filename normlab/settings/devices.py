"""How members are run: what changes no number beyond rounding."""

from dataclasses import dataclass

from normlab.settings.declare import flag

EXECUTIONS = ("vmap", "map", "loop")


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """Where the data lives, and how members are spread over devices and time."""

    data_dir: str = flag(
        "", "Where datasets live; else NORMLAB_DATA_DIR, else a cache folder."
    )
    execution: str = flag(
        "auto",
        "How members (or points of a landscape) are executed.",
        choices=("auto", *EXECUTIONS),
    )
    devices: str = flag(
        "auto",
        "Devices that share the members: a number, or auto (all there are; a CPU "
        "counts as one for every core). A loop uses one.",
    )
    member_chunk: str = flag(
        "auto",
        "Members on the devices at once: a number (rounded up to a multiple of the "
        "devices), or auto (by memory).",
    )
