"""The tables of a run for figures: its metrics and its measured quantities."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pandas as pd

from normlab.figures import histograms
from normlab.store.load import load, load_quantity, measured, members

METRICS = "metrics"
# Quantity too large to be read completely -> selects the rows of a cell for figures.
_PARTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "activation_histogram": histograms.part,
}


class Sources:
    """The tables of one run. Each is read once, when it is first needed.

    Args:
      run: the run directory.
      metrics: the table from `normlab.store.load`, if it was already read.
    """

    def __init__(self, run: str | Path, metrics: pd.DataFrame | None = None):
        self.run = run
        self._tables = {} if metrics is None else {METRICS: metrics}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """`METRICS` and the measured quantities."""
        return (METRICS, *measured(self.run))

    @property
    def runs(self) -> tuple[str, ...]:
        """The names of the runs if there are several; () for one run."""
        return ()

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The norms of the cells that were begun: ``batch``, ``group (G=4)``."""
        metrics = self._tables.get(METRICS)
        frame = members(self.run) if metrics is None else metrics
        return tuple(dict.fromkeys(frame["label"]))

    def table(self, name: str) -> pd.DataFrame:
        """The metrics, or the quantity called ``name``.

        Raises:
          UserError: the quantity was not measured, or a file is damaged.
        """
        if name not in self._tables:
            read = load(self.run) if name == METRICS else self._quantity(name)
            self._tables[name] = read
        return self._tables[name]

    def _quantity(self, name: str) -> pd.DataFrame:
        return load_quantity(self.run, name, _PARTS.get(name))
