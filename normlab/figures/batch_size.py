"""Final accuracies against the batch size (Wu & He 2018, Figure 1), for every norm."""

import itertools

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import against
from normlab.figures.places import place_of
from normlab.figures.style import style
from normlab.figures.tables import NotDrawn, points, stack
from normlab.statistics.finals import evaluated_by, final_rows, settings_label

_KEYS = ["setting", "batch_size"]


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: `against.by_point` at each setting's best learning rate.

    The best learning rate has the highest median test accuracy, separately for every
    batch size; ``point`` names it. If batch norm was evaluated with several statistics,
    each has its own rows.
    """
    if final_rows(frame)["batch_size"].nunique() < 2:
        raise NotDrawn(
            "it compares batch sizes (--batch_size=2,32), but the run has not finished "
            "two of them"
        )
    # The axis shows the batch size.
    names = settings_label(frame.assign(batch_size=0))
    frame = frame.assign(setting=names, point=points(frame))
    tables = [against.at_best(rows, _KEYS) for rows in _evaluated(frame)]
    table = stack(tables).sort_values("batch_size", kind="stable")
    return table.assign(where=place_of(frame))


def _evaluated(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows, repeated once for each of the statistics they were evaluated with."""
    statistics = frame["eval_statistics"].str.split(",")
    several = statistics.map(len) > 1
    tables = [frame[~several]]
    for by in dict.fromkeys(itertools.chain(*statistics[several])):
        rows = frame[several & statistics.map(lambda names, by=by: by in names)]
        name = rows["setting"] + f", by {by} statistics"
        tables.append(evaluated_by(rows, by).assign(setting=name))
    return [rows for rows in tables if len(rows)]


@style()
def draw(table: pd.DataFrame) -> Figure:
    """Training and test accuracy, with one line per norm."""
    each = "each at its best learning rate" if table["point"].nunique() > 1 else ""
    note = each or table["point"].iloc[0]
    return against.draw(table, "batch_size", "batch size", note=note)
