"""Summaries of runs: names of settings, final values over seeds, and the best ones."""

import functools
import math
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd

from normlab.cell import HYPERPARAMETERS
from normlab.config import LABEL_AXES, STATIC_AXES
from normlab.data.tasks import REGRESSIONS
from normlab.metrics import EVALUATIONS
from normlab.norms import NORMS
from normlab.statistics.intervals import (
    LOST,
    Interval,
    interval_name,
    least_and_most,
    median_intervals,
    number,
)

# The column with the names of runs, in a table of several runs.
RUN_NAME = "run"


def static_columns(frame: pd.DataFrame) -> list[str]:
    """The static axes in which a run's cells differ, except those in `label`.

    In a table of several runs, a run's name stands for what all of its cells share.
    """
    cells = frame.drop_duplicates("cell")
    names = [name for name in STATIC_AXES if name not in LABEL_AXES]
    return _varying(cells, names)


def _varying(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The columns of ``names`` that vary in the run, or in one of several runs."""
    if RUN_NAME not in frame:
        return [name for name in names if frame[name].nunique(dropna=False) > 1]
    counts = frame.groupby(RUN_NAME)[list(names)].nunique(dropna=False).max()
    return [name for name in names if counts[name] > 1]


def dynamic_columns(frame: pd.DataFrame) -> list[str]:
    """``lr``, and the other `HYPERPARAMETERS` that a run varies."""
    names = _varying(frame, HYPERPARAMETERS)
    return names if "lr" in names else ["lr", *names]


def norm_label(frame: pd.DataFrame) -> pd.Series:
    """For every row, its norm with the norm's own settings: ``group (G=4)``.

    If the members of a run differ in the grouping of channels, it is included:
    ``group_correlated (G=4), random``.
    """
    label = frame["label"].astype(str)
    assigned = frame["norm"].isin([k for k, entry in NORMS.items() if entry.assigned])
    if frame.loc[assigned, "grouping"].nunique() > 1:
        label = label.mask(assigned, label + ", " + frame["grouping"].astype(str))
    return label


def settings_label(frame: pd.DataFrame) -> pd.Series:
    """For every row, what sets it apart: ``group (G=4), batch_size 50``.

    This is its `norm_label`, and the static axes in which the run's cells differ.
    Learning rates and other numbers are `dynamic_columns`. A run of which
    ``--keep_best`` trained only a part to the end says so: ``batch, best 1/2``. In a
    table of several runs, the last part is the run's name.
    """
    label = norm_label(frame)
    for name in static_columns(frame):
        label = label + f", {name} " + frame[name].astype(str)
    if "keep_best" in frame:
        halved = frame["keep_best"] != ""
        label = label.mask(halved, label + ", best " + frame["keep_best"])
    if RUN_NAME in frame:
        label = label + ", " + frame[RUN_NAME].astype(str)
    return label


def main_metric(frame: pd.DataFrame) -> str:
    """The metric that ranks a run: test accuracy, or test loss if there is none.

    A regression has no accuracy. A network whose outputs are not finite has none
    either, but that does not change the metric of a run.
    """
    if frame["dataset"].isin(REGRESSIONS).all():
        return "test_loss"
    scores = frame.loc[np.isfinite(frame["test_loss"]), "test_accuracy"]
    return "test_loss" if len(scores) and scores.isna().all() else "test_accuracy"


def ranking_metric(frame: pd.DataFrame) -> str:
    """The metric that chooses among a run's points: on validation images if it has any.

    Otherwise it is `main_metric`: then the test images choose.
    """
    test = main_metric(frame)
    held_out = test.replace("test_", "validation_")
    known = held_out in frame and bool(frame["validation"].gt(0).all())
    return held_out if known else test


def trained_on(frame: pd.DataFrame) -> pd.Series:
    """The number of images that each row's network is trained on."""
    return frame["train_size"] - frame["validation"]


def final_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The row of every member at its last step. Unfinished members have none."""
    return frame[frame["step"] == frame["steps"]]


def worst_if_lost(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """``rows``, where a member with a NaN metric is worse than any other.

    Its loss becomes infinite, and its accuracy lower than any other. If such members
    were left out, a setting would be judged only by the seeds that survived it.
    """
    worst = math.inf if "_loss" in metric else -math.inf
    lost = rows["diverged"] & rows[metric].isna()
    return rows.assign(**{metric: rows[metric].mask(lost, worst)})


def evaluated_by(frame: pd.DataFrame, statistics: str) -> pd.DataFrame:
    """``frame`` with the `EVALUATIONS` under the given statistics.

    Args:
      statistics: running, batch or precise. The values are NaN if a norm with running
        averages was not evaluated with them. Other norms are evaluated in one way only.
        A plugin counts as a norm with running averages, unless other cells were
        evaluated with several statistics and it was not.
    """
    asked = frame["eval_statistics"].astype(str)
    main, several = asked.str.split(",").str[0], asked.str.contains(",")
    own = [name for name, entry in NORMS.items() if entry.running]
    plugin = ~frame["norm"].isin([*NORMS]) & (several | (not several.any()))
    only = (main == statistics) | ~(frame["norm"].isin(own) | plugin)
    columns = {}
    for name in (name for name in EVALUATIONS if name in frame):
        main_values, own_column = frame[name].where(only), f"{name}_{statistics}"
        columns[name] = (
            frame[own_column].fillna(main_values)
            if own_column in frame
            else main_values
        )
    return frame.assign(**columns)


def summarize(frame: pd.DataFrame, metric: str = "test_accuracy") -> pd.DataFrame:
    """The final value of ``metric``, over seeds.

    Args:
      frame: what `normlab.store.load` returned.

    Returns:
      A row for each (setting, learning rate, ...): ``setting``, the dynamic axes,
      ``median``, ``low``, ``high``, ``n``, and ``diverged``, the number of the ``n``
      seeds that diverged. These count with their final value, or as in `worst_if_lost`
      if it is NaN. If a median or an end is theirs, it is infinite for a loss and NaN
      for an accuracy.
    """
    final = final_rows(frame.assign(setting=settings_label(frame)))
    return finals(final, ["setting", *dynamic_columns(frame)], metric)


def finals(final: pd.DataFrame, keys: Sequence[str], metric: str) -> pd.DataFrame:
    """As `summarize`, from ``final`` rows, for every combination of ``keys``."""
    diverged = final.groupby(list(keys), sort=False)["diverged"].sum().to_numpy()
    table = median_intervals(worst_if_lost(final, metric), keys, metric)
    return table.replace(-math.inf, math.nan).assign(diverged=diverged)


def best(
    table: pd.DataFrame, higher: bool = True, keys: Sequence[str] = ("setting",)
) -> pd.DataFrame:
    """The row with the best median, for every combination of ``keys``.

    Of equal rows the first wins; a NaN loses. Combinations keep their first order.
    """
    keys = list(keys)
    order = table.sort_values("median", ascending=not higher, kind="stable")
    return table[keys].drop_duplicates().merge(order.drop_duplicates(keys), on=keys)


def place_text(table: pd.DataFrame) -> pd.Series:
    """A name for each row's point on its dynamic axes: ``lr 0.001``.

    A `normlab.Log` may have no ``lr``: it is left out, or "unknown" if other rows have
    one.
    """
    known = (name for name in HYPERPARAMETERS if name in table)
    names = [name for name in known if table[name].notna().any()]
    if not names:
        return pd.Series("", table.index)
    words = [
        f"{name} " + table[name].map(number).replace("nan", "unknown") for name in names
    ]
    return functools.reduce(lambda a, b: a + ", " + b, words)


def text_table(
    table: pd.DataFrame,
    metric: str = "test_accuracy",
    width: int | None = None,
    guesses: Collection[tuple[str, str]] = (),
) -> str:
    """`summarize`'s table as text: settings down, learning rates across.

    The best point of each setting has a star. Columns that do not fit into ``width``
    characters continue below.

    Args:
      guesses: (setting, `place_text`) of the points that are at chance, which is said.
    """
    if table.empty:
        return f"final {metric}: no member has finished"
    cells = table.assign(at=place_text(table))
    columns = dict.fromkeys(cells["at"])
    # One column has nothing to choose from.
    known = cells[np.isfinite(cells["median"])]
    ranked = best(known, "_loss" not in metric) if len(columns) > 1 else cells.head(0)
    stars = set(zip(ranked["setting"], ranked["at"], strict=True))

    def words(row) -> str:
        text = Interval.of(row).text
        lost = int(row["diverged"])
        if text == LOST:
            return f"{lost} of {row['n']} diverged"
        place = row["setting"], row["at"]
        if place in guesses:
            text += " at chance"
        star = " *" if place in stars else ""
        return f"{text}{star} ({lost} diverged)" if lost else text + star

    cells = cells.assign(text=cells.apply(words, axis=1))
    rows = list(dict.fromkeys(cells["setting"]))
    grid = {(r["setting"], r["at"]): r["text"] for _, r in cells.iterrows()}
    first = ["norm", *rows]
    others = [[c, *(grid.get((s, c), "-") for s in rows)] for c in columns]
    head = f"final {metric}: median [{_ends(table)}]"
    head += ", * best" * bool(stars)
    return "\n".join([head, *_blocks(first, others, width)])


def _ends(table: pd.DataFrame) -> str:
    """What the two numbers of an interval are, briefly: ``min, max of 3 seeds``."""
    least, most = least_and_most(table["n"])
    name = interval_name(table["n"])
    if not name.startswith("range of "):
        return name
    return f"min, max of {most if least == most else f'{least} to {most}'} seeds"


def _blocks(
    first: list[str], others: list[list[str]], width: int | None
) -> Iterator[str]:
    """The lines of a table, in blocks of the columns that fit into ``width``.

    Each block begins with the column ``first``, and has at least one of ``others``.
    """
    while others:
        block, used = [first], max(map(len, first))
        while others:
            needed = used + 2 + max(map(len, others[0]))
            if width is not None and needed > width and len(block) > 1:
                break
            block.append(others.pop(0))
            used = needed
        sizes = [max(map(len, column)) for column in block]
        for line in zip(*block, strict=True):
            words = (word.ljust(n) for word, n in zip(line, sizes, strict=True))
            yield "  ".join(words).rstrip()
