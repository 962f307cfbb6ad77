"""A summary of all runs on the page, in numbers."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from normlab.page.judged import Judged
from normlab.statistics.finals import trained_on
from normlab.statistics.intervals import number

# With full batches, every step is an epoch. Longer training is given in steps.
_MOST_EPOCHS = 1000


class Overview(NamedTuple):
    """Totals over all runs of the page.

    Attributes:
      runs: the number of runs.
      networks: the number of members in all cells.
      steps: the total number of updates of all networks.
      norms, datasets, models: the names, without repetition.
      seeds: the largest number of seeds in a run.
      long: the number of steps of a network: ``300 to 20,000``.
    """

    runs: int
    networks: int
    steps: int
    norms: list[str]
    datasets: list[str]
    models: list[str]
    seeds: int
    long: str

    @property
    def updates(self) -> str:
        """`steps` in short form: ``1.2 million``."""
        if self.steps >= 10**6:
            return f"{self.steps / 1e6:.1f} million"
        return f"{self.steps:,}"


def below(rows: Sequence[Judged]) -> dict[str, str]:
    """Source -> the scale of its runs, if most of them are smaller than the source's.

    It is the most frequent one: ``1/8 width, 3000 of 15000 steps``.
    """
    families: dict[str, list[Judged]] = {}
    for row in rows:
        families.setdefault(row.verdict.family, []).append(row)
    found = {}
    for family, each in families.items():
        smaller = [row.scale for row in each if row.sized]
        if 2 * len(smaller) > len(each):
            found[family] = Counter(smaller).most_common(1)[0][0]
    return found


def trained(frame: pd.DataFrame) -> str:
    """The length of training, number of examples and seeds of a run, as a sentence."""
    cells = frame.drop_duplicates("cell")
    epochs = (cells["steps"] * cells["batch_size"] / trained_on(cells)).round(1)
    long = _range(epochs if epochs.max() < _MOST_EPOCHS else cells["steps"])
    unit = "epochs" if epochs.max() < _MOST_EPOCHS else "steps"
    data = ", ".join(cells["dataset"].unique())
    seeds = frame["seed"].nunique()
    return (
        f"{long} {unit} on {_range(trained_on(cells))} examples of {data}, "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}."
    )


def _range(values: pd.Series) -> str:
    low, high = (_counted(float(x)) for x in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _counted(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else number(value)


def overview(frames: Sequence[pd.DataFrame]) -> Overview:
    """Summarizes the tables that `normlab.store.load` returned for the runs."""
    lasts = [frame.groupby(["cell", "member"])["step"].max() for frame in frames]

    def names(column: str) -> list[str]:
        return list(dict.fromkeys(x for frame in frames for x in frame[column]))

    return Overview(
        len(frames),
        sum(len(last) for last in lasts),
        sum(int(last.sum()) for last in lasts),
        names("norm"),
        names("dataset"),
        names("model"),
        max(frame["seed"].nunique() for frame in frames),
        _range(pd.concat([frame["steps"] for frame in frames])),
    )
