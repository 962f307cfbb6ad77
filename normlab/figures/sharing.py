"""What several runs in one figure have in common, and which run a row is of.

Where a figure shows a single point, step or layer, it takes one that the runs share.
"""

from collections.abc import Sequence

import pandas as pd

from normlab.figures.tables import RUN, NotDrawn
from normlab.statistics.finals import RUN_NAME


class CannotHold(NotDrawn):
    """A figure cannot show several runs together, although it may show each alone."""


def with_runs(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """A figure's table with the column ``run``, from the end of its settings.

    Args:
      table: the table, with ``setting``.
      names: the names of all runs.

    Raises:
      CannotHold: the table has no row of one of the runs.
    """

    def run_of(setting: str) -> str:
        # Not the first part, which is the norm: a run may be called "batch".
        parts = [part for part in setting.split(", ")[1:] if part in names]
        return parts[-1] if parts else ""

    runs = table["setting"].astype(str).map(run_of)
    runs = runs.where(table["source"].eq(RUN), "") if "source" in table else runs
    absent = [name for name in names if name not in set(runs)]
    if absent:
        raise CannotHold(
            f"it cannot show these runs together: {', '.join(absent)} has no data that "
            "can be shown with the others"
        )
    return table.assign(**{RUN_NAME: runs})


def shared(frame: pd.DataFrame, column: str) -> list:
    """The values of a column in order; of several runs, those that every run has.

    Raises:
      CannotHold: the runs have no value in common.
    """
    values = list(dict.fromkeys(frame[column]))
    if RUN_NAME not in frame:
        return values
    of_each = [set(rows[column]) for _, rows in frame.groupby(RUN_NAME)]
    common = set.intersection(*of_each)
    if not common:
        word = column.replace("_", " ")
        raise CannotHold(
            f"it cannot show these runs together: they have no {word} in common"
        )
    return [value for value in values if value in common]


def last_step(frame: pd.DataFrame) -> "pd.Series | int":
    """The last step of the frame, or for each row that of its run if it has several."""
    if RUN_NAME in frame:
        return frame.groupby(RUN_NAME)["step"].transform("max")
    return int(frame["step"].max())
