"""Several runs in one figure: the runs' tables stacked, with a column ``run``.

A run's name is one more label: `normlab.statistics.finals.settings_label` puts it at
the end of every setting, so a figure needs no code of its own for several runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from normlab.errors import UserError
from normlab.figures.sources import Sources
from normlab.statistics.finals import RUN_NAME
from normlab.store.layout import each_once


def together(runs: Sequence[str | Path], names: Sequence[str] | None = None) -> Sources:
    """The tables of one run, or of several under their names.

    Args:
      runs: the run directories.
      names: a name for each run; by default its folder's.

    Raises:
      UserError: there is no run, a run is given twice, or the names do not fit.
    """
    paths = each_once(runs)
    if not paths:
        raise UserError("there is no run to draw")
    given = list(names) if names else [one.root.resolve().name for one in paths]
    if len(given) != len(paths):
        raise UserError(
            f"--name is given {len(given)} times for {len(paths)} runs; give one name "
            "for each run, in the same order"
        )
    for name in given:
        if given.count(name) > 1:
            raise UserError(f"two runs are called {name!r}; give each a --name")
        if "," in name or not name.strip():
            raise UserError(f"a run cannot be called {name!r}: no comma, not empty")
    if len(paths) == 1:
        return Sources(runs[0])
    return SeveralSources(
        {name: Sources(run) for name, run in zip(given, runs, strict=True)}
    )


class SeveralSources(Sources):
    """The tables of several runs, stacked, with their names in the column ``run``.

    Args:
      sources: the name of each run -> its tables.
    """

    def __init__(self, sources: Mapping[str, Sources]):
        super().__init__(" and ".join(str(one.run) for one in sources.values()))
        self._sources = dict(sources)

    @property
    def runs(self) -> tuple[str, ...]:
        return tuple(self._sources)

    @property
    def labels(self) -> tuple[str, ...]:
        every = (one.labels for one in self._sources.values())
        return tuple(dict.fromkeys(label for labels in every for label in labels))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """`METRICS` and the quantities that every run measured."""
        first, *rest = (one.names for one in self._sources.values())
        return tuple(name for name in first if all(name in names for names in rest))

    def partly(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Each of ``names`` that only some runs have -> the runs that lack it."""
        lacking = {
            name: [run for run, one in self._sources.items() if name not in one.names]
            for name in names
        }
        return {k: v for k, v in lacking.items() if 0 < len(v) < len(self._sources)}

    def table(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            frames = []
            for run, one in self._sources.items():
                frame = one.table(name)
                # Two runs may have a cell of the same settings, and so of the same id.
                cells = f"{run}/" + frame["cell"].astype(str)
                frames.append(frame.assign(cell=cells, **{RUN_NAME: run}))
            self._tables[name] = pd.concat(frames, ignore_index=True)
        return self._tables[name]
