"""Writes TensorBoard event files. The same series give the same bytes.

The records are made by tensorboardX, but not by its ``SummaryWriter``. That class
writes the time and the host name into its files. If the disk is full, its writing
thread ends, and it then waits forever for that thread.
"""

import contextlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normlab.errors import UserError
from normlab.tensorboard.series import METRICS, Bins, Series

# TensorBoard reads files with "tfevents" in their name.
FILE_NAME = "events.out.tfevents.normlab"


def check_installed() -> None:
    """Checks that event files can be written.

    Raises:
      UserError: tensorboardX is not installed.
    """
    if importlib.util.find_spec("tensorboardX") is None:
        raise UserError(
            "exporting to TensorBoard needs the package tensorboardX: pip install "
            "'normlab[tensorboard]'"
        )


def write_events(
    folder: Path,
    series: Iterable[Series],
    seconds_of: Callable[[np.ndarray], np.ndarray],
    *,
    hyperparameters: Mapping[str, Any] | None = None,
    charts: Mapping[str, Any] | None = None,
) -> None:
    """Creates ``folder`` with the event file of one TensorBoard run.

    Args:
      series: what to write.
      seconds_of: steps -> their times, in seconds since 1970.
      hyperparameters: for TensorBoard's table of hyperparameters, whose metrics are the
        scalars of ``series`` that are metrics.
      charts: the layout of TensorBoard's custom scalars.

    Raises:
      OSError: ``folder`` already exists, or the disk is full.
    """
    from tensorboardX import RecordWriter

    # protobuf defines the names in these modules when they are imported.
    from tensorboardX.proto.event_pb2 import Event  # type: ignore
    from tensorboardX.proto.summary_pb2 import Summary  # type: ignore

    folder.mkdir(parents=True)
    with contextlib.closing(RecordWriter(str(folder / FILE_NAME))) as file:
        file.write(Event(file_version="brain.Event:2").SerializeToString())
        series = list(series)
        for summary in _summaries(series, hyperparameters, charts):
            file.write(Event(summary=summary).SerializeToString())
        for tag, steps, values in series:
            times = seconds_of(np.asarray(steps))
            for step, value, time in zip(steps, values, times, strict=True):
                summary = Summary(value=[Summary.Value(tag=tag, **_content(value))])
                event = Event(step=int(step), wall_time=float(time), summary=summary)
                file.write(event.SerializeToString())
        file.flush()  # to the disk


def _summaries(
    series: Sequence[Series],
    hyperparameters: Mapping[str, Any] | None,
    charts: Mapping[str, Any] | None,
) -> Iterator[Any]:
    """What describes a run as a whole."""
    from tensorboardX import summary

    if hyperparameters is not None:
        tags = [s.tag for s in series if s.tag.startswith(f"{METRICS}/")]
        yield from summary.hparams(dict(hyperparameters), dict.fromkeys(tags))
    if charts is not None:
        yield summary.custom_scalars(charts)


def _content(value: float | Bins) -> dict[str, Any]:
    """The field of ``Summary.Value`` for ``value``.

    A histogram's sum and sum of squares are computed from the midpoints of its bins.
    """
    from tensorboardX.proto.summary_pb2 import HistogramProto  # type: ignore

    if not isinstance(value, Bins):
        return {"simple_value": value}
    left, right, count = (np.asarray(x, np.float64) for x in value)
    middle = (left + right) / 2
    histogram = HistogramProto(
        min=left[0],
        max=right[-1],
        num=count.sum(),
        sum=middle @ count,
        sum_squares=middle**2 @ count,
        bucket_limit=right,
        bucket=count,
    )
    return {"histo": histogram}
