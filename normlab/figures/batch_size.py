"""Final accuracies against the batch size (Wu & He 2018, Figure 1), for every norm."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from normlab.analysis.summary import final_rows, settings_label
from normlab.figures import against
from normlab.figures.style import style
from normlab.figures.tables import NotDrawn, place_of, points, stack

_KEYS = ["setting", "batch_size"]
_EVALUATED = "test_accuracy_"


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: `against.finals` at each setting's best learning rate.

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
        against.at_best(against.finals(rows, _KEYS), _KEYS)
        for rows in _evaluated(frame)
    ]
    table = stack(tables).sort_values("batch_size", kind="stable")
    return table.assign(where=place_of(frame))


def _evaluated(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows as they are, and again for each other kind of statistics."""
    others = [str(name) for name in frame if str(name).startswith(_EVALUATED)]
    kinds = {name.removeprefix(_EVALUATED) for name in others}
    several = pd.Series(False, index=frame.index)
    for kind in kinds:
        several |= frame.groupby("cell")[_EVALUATED + kind].transform("count") > 0
    main = frame["bn_eval"].astype(str).str.split(",").str[0]
    named = frame["setting"].mask(several, frame["setting"] + _by(main))
    found = [frame.assign(setting=named)]
    for kind in sorted(kinds):
        rows = frame[several & (main != kind)]
        columns = {
            name: rows[f"{name}_{kind}"] for name in ("train_accuracy", "test_accuracy")
        }
        rows = rows.assign(setting=rows["setting"] + _by(kind), **columns)
        found.append(rows)
    return found


def _by(kind: Any) -> Any:
    return ", by " + kind + " statistics"


@style()
def draw(table: pd.DataFrame) -> Figure:
    """Training and test accuracy, a line a norm."""
    each = "each at its best learning rate" if table["point"].nunique() > 1 else ""
    note = each or table["point"].iloc[0]
    return against.draw(table, "batch_size", "batch size", note=note)
