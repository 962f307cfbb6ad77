"""Hides what Orbax and TensorStore print about errors that they also raise."""

import logging
import sys

_SAID_ANYWAY = (
    # Printed for each checkpoint that is opened to be read only, as intended.
    "CheckpointManagerOptions.read_only",
    "directory is read only",
    # The state of a thread in which a write failed.
    "_SignalingThread.run() raised an exception",
)


def quiet() -> None:
    """Keeps these messages from hiding the single line with which a command ends."""
    logging.getLogger("absl").addFilter(
        lambda record: not any(text in str(record.msg) for text in _SAID_ANYWAY)
    )
    usual = sys.unraisablehook

    def hook(unraisable) -> None:
        # Other reads or writes that nobody waits for after one has failed.
        if "Event loop is closed" not in str(unraisable.exc_value):
            usual(unraisable)

    sys.unraisablehook = hook
