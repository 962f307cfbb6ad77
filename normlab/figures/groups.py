"""Final accuracies against the number of groups (Wu & He 2018, Table 3)."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import against
from normlab.figures.places import place_of
from normlab.figures.style import style
from normlab.figures.tables import NotDrawn, points
from normlab.norms import NORMS
from normlab.plugins import short
from normlab.statistics.finals import final_rows, settings_label


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: `against.by_point` by number of groups or name of the norm.

    ``setting`` is the learning rate and any other setting that varies.
    """
    last = final_rows(frame)
    numbers = sorted(set(last.loc[last["norm"].eq("group"), "groups"].astype(int)))
    if len(numbers) < 2:
        raise NotDrawn(
            "it compares numbers of groups (--norm=group --groups=1,4), but the run "
            "has not finished two of them"
        )
    is_group = frame["norm"].eq("group")
    before, after = _others()
    # A plugin is not imported here. Without a number of groups it is on the left.
    plugins = frame.loc[frame["groups"].isna() & ~frame["norm"].isin(NORMS), "norm"]
    before = [*before, *map(short, plugins.unique())]
    frame = frame.assign(norm=frame["norm"].map(short))
    count = frame["groups"].where(is_group, 0)  # others have none
    frame = frame.assign(
        # The axis shows the norm.
        setting=points(frame) + settings_label(frame.assign(label="")),
        point="",
        by=count.astype(int).astype(str).where(is_group, frame["norm"]),
    )
    frame = frame[is_group | frame["norm"].isin([*before, *after])]
    table = against.by_point(frame, ["setting", "by"])
    order = {name: i for i, name in enumerate([*before, *map(str, numbers), *after])}
    table = table.sort_values("by", key=lambda x: x.map(order), kind="stable")
    return table.rename(columns={"by": "groups"}).assign(where=place_of(frame))


def _others() -> tuple[list[str], list[str]]:
    """The norms to the left and to the right of the numbers of groups.

    Instance norm (one group per channel) is on the right. All other norms without a
    number of groups are on the left.
    """
    others = {k: entry for k, entry in NORMS.items() if "groups" not in entry.reads}
    after = [name for name, entry in others.items() if entry.by_channel]
    return [name for name in others if name not in after], after


@style()
def draw(table: pd.DataFrame) -> Figure:
    """Training and test accuracy, with one line per learning rate."""
    return against.draw(
        table, "groups", "number of groups, or norm", joined=str.isdigit
    )
