"""The series of a cell that TensorBoard shows, each under a tag."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from normlab.quantities import QUANTITIES
from normlab.statistics.intervals import number
from normlab.store.layout import CellPaths
from normlab.store.load import read_metrics
from normlab.store.quantities import measured_names, read_quantity

# The first word of the tags of metrics.
METRICS = "metrics"
_HISTOGRAM = "activation_histogram"
# Not exported: the nodes of a spectrum, which are not series over steps.
_NO_SERIES = ("hessian_density",)


class Bins(NamedTuple):
    """A histogram: the edges and counts of its bins in order, each of shape (bins,)."""

    left: np.ndarray
    right: np.ndarray
    count: np.ndarray


class Series(NamedTuple):
    """Values or histograms over steps.

    Attributes:
      tag: ``metrics/test_loss``, ``activation_moments/mean/norm2/before/channel_0``.
        TensorBoard groups tags by their first word.
      steps: the steps.
      values: one value or histogram per step.
    """

    tag: str
    steps: np.ndarray
    values: Sequence[float] | Sequence[Bins]


def series_of(paths: CellPaths) -> dict[int, list[Series]]:
    """All series of a cell, by member.

    Measured values that are not finite are kept, because they show where a member
    diverged. Histograms of such values have no edges and are left out. Series that are
    NaN throughout are left out, too: channels that a layer does not have, or the
    accuracy of a regression.

    Raises:
      UserError: a file is damaged.
    """
    parts = [_metrics(paths)]
    for name in measured_names(paths):
        if name not in _NO_SERIES:
            parts.append(_quantity(paths, name))
    by_member = defaultdict(list)
    for member, series in chain.from_iterable(parts):
        by_member[member].append(series)
    return dict(by_member)


def _metrics(paths: CellPaths) -> Iterator[tuple[int, Series]]:
    _, table = read_metrics(paths)
    if table is None:
        return
    for name in table.column_names:
        if name not in ("member", "step"):
            # Arrow still distinguishes null (not measured) from NaN; pandas would not.
            measured = table.filter(table[name].is_valid())
            frame = measured.select(["member", "step", name]).to_pandas()
            yield from _scalars(frame, METRICS, ())


def _quantity(paths: CellPaths, name: str) -> Iterator[tuple[int, Series]]:
    frame = read_quantity(paths, name)
    assert frame is not None  # it was measured
    axes = _axes(frame, name)
    if name == _HISTOGRAM:
        yield from _histograms(frame, name, axes[:-1])
    else:
        yield from _scalars(frame, name, axes)


def _axes(frame: pd.DataFrame, name: str) -> tuple[str, ...]:
    """The axes of a quantity. Those of a plugin, which is not imported here, are the
    columns that are not float32, as all fields are."""
    if name in QUANTITIES:
        return QUANTITIES[name].axes
    columns = [str(c) for c in frame if frame[c].dtype != np.float32]
    return tuple(c for c in columns if c not in ("member", "step"))


def _scalars(
    frame: pd.DataFrame, name: str, axes: Sequence[str]
) -> Iterator[tuple[int, Series]]:
    """One series per member, combination of axis values, and remaining column."""
    keys = ("member", "step", *axes)
    fields = [str(column) for column in frame.columns if column not in keys]
    for member, where, rows in _groups(frame, axes):
        for field in fields:
            values = rows[field].to_numpy()
            if not np.isnan(values).all():
                tag = "/".join([name, field, *where])
                yield member, Series(tag, rows["step"].to_numpy(), values)


def _histograms(
    frame: pd.DataFrame, name: str, axes: Sequence[str]
) -> Iterator[tuple[int, Series]]:
    """One series per member and combination of axis values (without the bins)."""
    for member, where, rows in _groups(frame, axes):
        # Measurements from different commands may have different numbers of bins.
        starts = np.flatnonzero(rows["bin"] == 0)
        columns = [np.split(rows[key].to_numpy(), starts[1:]) for key in Bins._fields]
        histograms = [Bins(*each) for each in zip(*columns, strict=True)]
        whole = [bool(np.isfinite([b.left, b.right]).all()) for b in histograms]
        if any(whole):
            steps = rows["step"].to_numpy()[starts][whole]
            kept = [bins for bins, fine in zip(histograms, whole, strict=True) if fine]
            yield member, Series("/".join([name, *where]), steps, kept)


def _groups(
    frame: pd.DataFrame, axes: Sequence[str]
) -> Iterator[tuple[int, list[str], pd.DataFrame]]:
    """(member, parts of a tag, rows) for each member and combination of axis values.

    Examples of tag parts are ``norm2`` and ``channel_0``. Numbers get their axis' name.
    """
    for key, rows in frame.groupby(["member", *axes], sort=False):
        member, *entries = cast(tuple[Any, ...], key)
        pairs = zip(axes, entries, strict=True)
        words = [
            e if isinstance(e, str) else f"{axis}_{number(e)}" for axis, e in pairs
        ]
        yield int(member), words, rows
