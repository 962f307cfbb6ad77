"""The devices that a cell's members share, and the memory free on them."""

import jax

from normlab.errors import UserError
from normlab.members.memory import available_bytes
from normlab.members.placement import choose_devices
from normlab.members.platform import platform_here
from normlab.run_options import RunOptions

# The share of the free memory for the copies of the data, one for each core.
_COPIES_SHARE = 0.25


def check_fits(name: str, needed: int, available: int) -> None:
    """Raises UserError if one member needs more bytes than are available.

    If such a cell ran anyway, the system would run out of memory and kill this process
    or others.
    """
    if needed > available:
        raise UserError(
            f"{name}: one member needs {needed / 2**30:.1f} GiB, but only "
            f"{available / 2**30:.1f} GiB are free; a smaller --width, --batch_size, "
            "--eval_batch_size, --call_steps or --probe_... needs less"
        )


def choose_room(
    options: RunOptions, members: int, execution: str, data_bytes: int
) -> tuple[int, int]:
    """(devices that share the members, bytes free on them after the data's copies)."""
    local = jax.local_devices()
    platform, most = platform_here(), len(local)
    if platform == "cpu" and options.devices == "auto":
        # Each core's copy of the data takes memory that all cores share.
        free_bytes = _COPIES_SHARE * available_bytes(local, options.deterministic)
        most = min(most, max(1, int(free_bytes / max(data_bytes, 1))))
    devices = choose_devices(options.devices, members, most, platform, execution)
    free = available_bytes(local[:devices], options.deterministic)
    free -= devices * data_bytes
    return devices, max(free, 0)
