"""Headlines of figures: one sentence on what is seen, computed from the figure's table.

They say what the medians are and no more. Whether two settings differ is for the ledger
(`normlab.claims`), which compares them seed by seed.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from normlab.figures.tables import RUN

_MOST = 5  # settings that a headline lists
_POWERS = (1e-3, 1e5)


def short(value: float) -> str:
    """A number with three digits: ``0.686``, ``12.3``, ``4.6e-07``."""
    if value and not _POWERS[0] <= abs(value) < _POWERS[1]:
        return f"{value:.1e}"
    return f"{float(f'{value:.3g}'):g}"


def listed(what: str, values: Mapping[str, float]) -> str:
    """``gradient norm: none 3.1, batch 4.8``; of many settings, the two extremes.

    "" if there is no finite value.
    """
    finite = {name: float(x) for name, x in values.items() if np.isfinite(x)}
    if not finite:
        return ""
    if len(finite) > 1 and len(set(finite.values())) == 1:
        return f"{what}: {short(next(iter(finite.values())))} for all"
    if len(finite) > _MOST:
        ends = (
            min(finite, key=finite.__getitem__),
            max(finite, key=finite.__getitem__),
        )
        low, high = (f"{short(finite[name])} ({name})" for name in ends)
        return f"{what}: from {low} to {high}"
    words = (f"{name} {short(x)}" for name, x in finite.items())
    return f"{what}: {', '.join(words)}"


def medians(table: pd.DataFrame, what: str) -> str:
    """`listed`, of each setting's median over the rows of the run."""
    ours = table[table["source"] == RUN] if "source" in table else table
    values = ours.groupby("setting", sort=False)["median"].median()
    return listed(what, {str(name): x for name, x in values.items()})


def highest(table: pd.DataFrame, what: str, lower: bool = False) -> str:
    """The best median: ``Highest test accuracy: 0.686 (none, lr 0.001)``.

    Args:
      table: rows with ``setting``, ``point`` and ``median``.
      what: the metric.
      lower: whether lower is better.
    """
    ours = table[table["source"] == RUN] if "source" in table else table
    ours = ours[np.isfinite(ours["median"])]
    if ours.empty:
        return ""
    values = ours["median"]
    best = ours.iloc[int((values if lower else -values).argmin())]
    tied = ours[values == best["median"]]
    which = ", ".join(filter(None, (str(best["setting"]), str(best.get("point", "")))))
    if len(tied) > 1:
        which = f"a tie of {len(tied)}"
    word = "Lowest" if lower else "Highest"
    return f"{word} {what}: {short(best['median'])} ({which})"


def last_rows(table: pd.DataFrame, x: str) -> pd.DataFrame:
    """The rows of the run at the end of each curve."""
    ours = table[table["source"] == RUN]
    return ours[ours[x] == ours.groupby(["setting", "point"])[x].transform("max")]
