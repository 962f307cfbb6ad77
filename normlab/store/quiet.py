"""What Orbax and TensorStore say on standard error of what they raise as well."""

import logging
import sys

_SAID_ANYWAY = (
    # Of each checkpoint that is only read, as they are told to.
    "CheckpointManagerOptions.read_only",
    "directory is read only",
    # Where a thread was when a write failed.
    "_SignalingThread.run() raised an exception",
)


def quiet() -> None:
    """Keeps it from hiding the one line that a command ends in."""
    logging.getLogger("absl").addFilter(
        lambda record: not any(text in str(record.msg) for text in _SAID_ANYWAY)
    )
    usual = sys.unraisablehook

    def hook(unraisable) -> None:
        # The other reads or writes, after one has failed and nobody waits for them.
        if "Event loop is closed" not in str(unraisable.exc_value):
            usual(unraisable)

    sys.unraisablehook = hook
