"""Final accuracies against the batch size (Wu & He 2018, Figure 1), for every norm."""

import itertools

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import against
from normlab.figures.style import style
from normlab.figures.tables import NotDrawn, place_of, points, stack
from normlab.statistics.finals import evaluated_by, final_rows, settings_label

_KEYS = ["setting", "batch_size"]


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: `against.by_point` at each setting's best learning rate.

    The best is by the median of the test accuracy, at every batch size anew; ``point``
    says which. Where batch norm was evaluated by several statistics, each has rows of
    its own.
    """
    if final_rows(frame)["batch_size"].nunique() < 2:
        raise NotDrawn(
            "it compares batch sizes (--batch_size=2,32), and the run has not finished "
            "two of them"
        )
    # The batch size is told by the axis.
    names = settings_label(frame.assign(batch_size=0))
    frame = frame.assign(setting=names, point=points(frame))
    tables = [
        against.at_best(against.by_point(rows, _KEYS), _KEYS)
        for rows in _evaluated(frame)
    ]
    table = stack(tables).sort_values("batch_size", kind="stable")
    return table.assign(where=place_of(frame))


def _evaluated(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows evaluated in one way, and those in several once for each of them."""
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
    """Training and test accuracy, a line a norm."""
    each = "each at its best learning rate" if table["point"].nunique() > 1 else ""
    note = each or table["point"].iloc[0]
    return against.draw(table, "batch_size", "batch size", note=note)
