"""The measurements of runs, member by member, in the form that claims read."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from normlab.metrics import EVALUATIONS, STEP_METRICS
from normlab.statistics.finals import evaluated_by, trained_on
from normlab.store.layout import RunPaths, read_json
from normlab.store.load import load, load_quantity, measured

_log = logging.getLogger(__name__)
_MEMBER = ["run", "cell", "member"]
_CURVES = ("step", "diverged", *STEP_METRICS, *EVALUATIONS)
# The values of a network whose metrics are NaN. If both sides of a comparison diverged,
# their difference is NaN and the seed is left out.
_WORST = {"loss": np.inf, "accuracy": -np.inf}
# The settings that a curve's rows need in addition to the metrics.
_OF_ROWS = [
    "network",
    "norm",
    "eval_statistics",
    "steps",
    "train_size",
    "validation",
    "batch_size",
]


class Evidence:
    """The members of several runs that finished training, and their measurements.

    A number, ``network``, identifies each member across all runs.

    Attributes:
      members: one row per ``network`` with ``run``, ``cell``, ``member``, all settings,
        ``seed``, ``lr``, ..., ``epochs`` (the length of training, rounded to one
        decimal), ``evaluations`` (how many there were), ``lost`` (whether the member
        diverged) and ``device`` (``cpu``, ``gpu``, or both if the run was on both; ""
        if it is not known).
      runs: the runs in the given order.
    """

    def __init__(
        self,
        frames: Mapping[str, pd.DataFrame],
        devices: Mapping[str, str] | None = None,
    ):
        """Args:
        frames: run -> its table from `normlab.store.load`.
        devices: run -> the kind of its device.
        """
        self.runs = tuple(frames)
        parts = [at_evaluations(frame).assign(run=run) for run, frame in frames.items()]
        rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        if len(rows):
            ended = rows.groupby(_MEMBER)["step"].transform("max") == rows["steps"]
            rows = rows[ended].reset_index(drop=True)
            rows["network"] = rows.groupby(_MEMBER, sort=False).ngroup()
        self.members = _members(rows)
        if len(self.members):
            kinds = {run: (devices or {}).get(run, "") for run in self.runs}
            device = self.members["run"].map(kinds)
            self.members = self.members.assign(device=device)
        # Keep only the settings that rows need, because every `rows` copies them.
        self._rows = rows[[c for c in rows if c in _OF_ROWS or _is_curve(str(c))]]
        self._by_statistics: dict[str, pd.DataFrame] = {}
        self._quantities: dict[str, pd.DataFrame] = {}

    @classmethod
    def read(cls, runs: Iterable[str | Path]) -> "Evidence":
        """Reads the evidence from run directories.

        Runs with ``--keep_best`` are left out, with a warning: the members that they
        have to the end were selected. So are adopted runs: something else trained them.

        Raises:
          UserError: a path is not a run directory, is still empty, or is damaged.
        """
        frames = {str(run): load(run) for run in runs}
        for run, frame in list(frames.items()):
            if (frame["keep_best"] != "").any():
                text = "claims leave out %s: --keep_best stopped some of its members"
                _log.warning(text, run)
                del frames[run]
            elif read_json(RunPaths.at(run).sweep).get("adopted"):
                text = "claims leave out %s: its networks were trained elsewhere"
                _log.warning(text, run)
                del frames[run]
        return cls(frames, {run: _device(run) for run in frames})

    def rows(self, networks: pd.Index, statistics: str) -> pd.DataFrame:
        """The rows of members at their evaluations.

        Args:
          networks: the members, by number.
          statistics: ``running``, ``batch`` or ``precise``: how norms with running
            averages are evaluated. `EVALUATIONS` without these statistics are NaN.

        Returns:
          The rows, with two more columns: ``gap`` (the steps since the previous row)
          and ``epoch`` (the number of steps in an epoch). Batch metrics are means over
          the gap. Metrics of a diverged network that would be NaN are the worst
          possible: a loss of infinity and an accuracy of minus infinity.
        """
        if statistics not in self._by_statistics:
            self._by_statistics[statistics] = self._by(statistics)
        rows = self._by_statistics[statistics]
        return rows[rows["network"].isin(networks)]

    def _by(self, statistics: str) -> pd.DataFrame:
        rows = evaluated_by(self._rows, statistics)
        for name in (n for n in _CURVES if n in rows and n.endswith(tuple(_WORST))):
            values = rows[name].astype(float)
            measured = values.groupby(rows["network"]).transform("count") > 0
            lost = rows["diverged"] & measured & ~(values > -np.inf)
            rows[name] = values.mask(lost, _WORST[name.split("_")[-1]])
        gap = rows.groupby("network")["step"].diff().fillna(1)
        return rows.assign(gap=gap, epoch=trained_on(rows) / rows["batch_size"])

    def quantity(self, name: str, networks: pd.Index) -> pd.DataFrame:
        """The stored values of one of `normlab.quantities.QUANTITIES`.

        Returns:
          A table with ``network``, ``step``, the quantity's axes and its fields. It has
          no rows for members for which the quantity was not measured.
        """
        if name not in self._quantities:
            self._quantities[name] = self._read(name)
        rows = self._quantities[name]
        return rows[rows["network"].isin(networks)]

    def _read(self, name: str) -> pd.DataFrame:
        numbers = self.members.reset_index().set_index(_MEMBER)["network"]
        frames = []
        for run in self.runs:
            if name not in measured(run):
                continue
            frame = load_quantity(run, name).assign(run=run)
            columns = [c for c in frame if c not in self.members or c in _MEMBER]
            frame = frame[columns].join(numbers, on=_MEMBER, how="inner")
            frames.append(frame.drop(columns=_MEMBER))
        if not frames:
            return pd.DataFrame({"network": [], "step": []})
        return pd.concat(frames, ignore_index=True)


def _device(run: str | Path) -> str:
    """``gpu`` of ``gpu: NVIDIA H100``; several in alphabetical order."""
    sessions = read_json(RunPaths.at(run).sweep).get("sessions", [])
    kinds = {one.get("device", "").partition(":")[0] for one in sessions}
    return ", ".join(sorted(kinds - {""}))


def at_evaluations(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows at evaluations, with batch metrics averaged since the previous row.

    A run that was thinned to these rows is returned unchanged, so a thinned run and its
    original give the same evidence.
    """
    every = frame["eval_every"]
    stop = np.minimum(-(-frame["step"] // every) * every, frame["steps"])
    names = [name for name in STEP_METRICS if name in frame]
    batches = frame[names].astype(float)
    trained = frame["step"] < frame["steps"]
    for name in (name for name in names if name.endswith(tuple(_WORST))):
        lost = frame["diverged"] & batches[name].isna() & trained
        # One diverged step makes the mean the worst value, as in a thinned run.
        batches[name] = batches[name].mask(lost, _WORST[name.split("_")[-1]])
    keys = [frame["cell"], frame["member"], stop]
    means = batches.groupby(keys).transform("mean")
    kept = frame["step"] == stop
    return frame.assign(**{name: means[name] for name in names})[kept]


def _members(rows: pd.DataFrame) -> pd.DataFrame:
    if not len(rows):
        return pd.DataFrame({"network": []}).set_index("network")
    table = rows.drop_duplicates("network").set_index("network")
    epochs = table["steps"] * table["batch_size"] / trained_on(table)
    settings = table[[c for c in table if not _is_curve(str(c))]]
    lost = rows.groupby("network")["diverged"].any()
    # Equal numbers are evaluations at equal shares of the training. The end is one.
    number = (table["steps"] / table["eval_every"]).round(1).clip(lower=1)
    return settings.assign(epochs=epochs.round(1), evaluations=number, lost=lost)


def _is_curve(column: str) -> bool:
    """Whether a column changes during training, including ``test_accuracy_precise``."""
    by_statistics = tuple(f"{name}_" for name in EVALUATIONS)
    return column in _CURVES or column.startswith(by_statistics)
