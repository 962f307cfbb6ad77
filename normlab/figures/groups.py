"""Final accuracies against the number of groups (Wu & He 2018, Table 3)."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.analysis.summary import final_rows, settings_label
from normlab.figures import against
from normlab.figures.style import style
from normlab.figures.tables import NotDrawn, place_of, points

# Beside the numbers of groups: what has none, and a channel each.
_BEFORE, _AFTER = ("none", "batch", "layer"), ("instance",)


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: `against.finals` by ``norm``, the number of groups or a name.

    ``setting`` is the learning rate, and whatever else varies.
    """
    last = final_rows(frame)
    numbers = sorted(set(last.loc[last["norm"].eq("group"), "groups"].astype(int)))
    if len(numbers) < 2:
        raise NotDrawn(
            "it compares numbers of groups (--norm=group --groups=1,4), and the run "
            "has not finished two of them"
        )
    is_group = frame["norm"].eq("group")
    count = frame["groups"].where(is_group, 0)  # others have none
    frame = frame.assign(
        # The axis tells the norm.
        setting=points(frame) + settings_label(frame.assign(label="")),
        point="",
        by=count.astype(int).astype(str).where(is_group, frame["norm"]),
    )
    frame = frame[is_group | frame["norm"].isin([*_BEFORE, *_AFTER])]
    table = against.finals(frame, ["setting", "by"])
    order = {name: i for i, name in enumerate([*_BEFORE, *map(str, numbers), *_AFTER])}
    table = table.sort_values("by", key=lambda x: x.map(order), kind="stable")
    return table.rename(columns={"by": "groups"}).assign(where=place_of(frame))


@style()
def draw(table: pd.DataFrame) -> Figure:
    """Training and test accuracy, a line a learning rate."""
    return against.draw(
        table, "groups", "number of groups, or norm", joined=str.isdigit
    )
