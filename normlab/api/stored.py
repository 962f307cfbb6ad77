"""A stored run as an object: its tables, its best point, its figures and its page."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.errors import UserError
from normlab.figures import FIGURES, METRICS, Sources, check, only, plotted
from normlab.figures.inline import shown_inline
from normlab.metrics import BY_STATISTICS, EVALUATIONS
from normlab.page import write
from normlab.statistics.differences import differences
from normlab.statistics.finals import (
    best,
    main_metric,
    ranking_metric,
    summarize,
)
from normlab.statistics.finals import settings_label as label_of
from normlab.store import RunPaths, load, load_quantity
from normlab.store.layout import exists
from normlab.store.links import check_links
from normlab.sweep.status import run_status, total


def read_run(path: str | Path) -> "Run":
    """A run that is stored in the folder ``path``. It may be unfinished.

    Raises:
      UserError: it is not a run directory, or a link in it leads out of it.
    """
    paths = RunPaths.at(path)
    if not exists(paths.sweep):
        raise UserError(f"{paths.root} is not a run directory: it has no sweep.json")
    check_links(paths)
    return Run(paths.root)


class Run:
    """A stored run. Tables are read when they are first needed.

    `normlab.run` and `normlab.read_run` make it.

    Args:
      path: the run directory.

    Attributes:
      path: the run directory, absolute.
    """

    def __init__(self, path: str | Path):
        self._paths = RunPaths.at(path)
        self.path = self._paths.root

    def __repr__(self) -> str:
        try:
            state = total(run_status(self._paths))
        except UserError:
            state = "nothing is stored"
        return f"<normlab.Run {str(self.path)!r}: {state}>"

    @property
    def complete(self) -> bool:
        """Whether every cell of the sweep is complete."""
        return all(cell.state == "complete" for cell in run_status(self._paths))

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The run as one table, with a row for each (cell, member, step).

        The columns are described in `normlab.store.load`. The table is read once; to
        follow a run that another process trains, make a new `Run`.

        Raises:
          UserError: nothing is stored yet, or a file is damaged.
        """
        return load(self.path)

    @property
    def summary(self) -> pd.DataFrame:
        """The final values over seeds (`normlab.statistics.finals.summarize`).

        The metric is test accuracy, or test loss for a regression.
        """
        return summarize(self.frame, main_metric(self.frame))

    def quantity(self, name: str) -> pd.DataFrame:
        """A measured quantity, with a row for each (cell, member, step, entry).

        The columns are described in `normlab.store.load_quantity`.

        Raises:
          UserError: the quantity was not measured; the message says which were.
        """
        return load_quantity(self.path, name)

    def best(self, metric: str | None = None) -> dict[str, Any]:
        """The best point of the sweep: a cell with a learning rate, and so on.

        Points are ranked by the median over seeds of the metric at the last step. A
        seed that diverged counts as worse than every other value, unless it has a
        finite value after all; a point whose median is lost to such seeds cannot win.
        Of equal points, the first in the order of the sweep wins. Members that have not
        finished do not count.

        Args:
          metric: an accuracy (higher is better) or a loss (lower is better) of the
            evaluations: ``test_loss``, ``train_accuracy``, ... By default the accuracy
            (the loss, if there is none) on validation images, or on test images if the
            run holds out no others.

        Returns:
          ``metric``, ``cell``, ``label``, ``setting`` (what sets the cell apart), the
          learning rate ``lr`` (and momentum and weight decay if the run varies them),
          ``median`` with its interval ``low`` to ``high`` (and its ``coverage``), the
          number ``n`` of seeds,
          and ``diverged``, how many of them diverged.

        Raises:
          UserError: the metric is unknown, no member has finished, or every point is
            lost.
        """
        frame = self.frame
        metric = ranking_metric(frame) if metric is None else metric
        self._check_metric("best", metric)
        table = summarize(frame, metric)
        if table.empty:
            raise UserError(f"best: no member of {self.path} has finished")
        table = table[np.isfinite(table["median"])]
        if table.empty:
            raise UserError(f"best: every point of {self.path} diverged")
        row = best(table.assign(all=0), "_accuracy" in metric, ("all",)).iloc[0]
        of_cell = frame[label_of(frame) == row["setting"]].iloc[0]
        found = {"metric": metric, "cell": of_cell["cell"], "label": of_cell["label"]}
        numbers = row.drop("all").to_dict()
        return found | {str(k): v for k, v in numbers.items()}

    def differences(
        self, axis: str, one: Any, other: Any, metric: str | None = None
    ) -> pd.DataFrame:
        """What ``one`` value of an axis changes against an ``other``, paired by seed.

        ``run.differences("norm", "batch", "none")`` has a row for each combination of
        the other axes, with the mean difference of the final values, its 95% interval,
        the number of pairs and the p-value. The columns are described in
        `normlab.statistics.differences.differences`. Nothing corrects for the number
        of rows.

        Args:
          axis: an axis that the run varies. For ``norm``, values are labels such as
            "group (G=4)".
          metric: a metric of the evaluations, as for `best`. By default it is test
            accuracy, or test loss for a regression.

        Raises:
          UserError: there is no such axis, value or metric.
        """
        frame = self.frame
        metric = main_metric(frame) if metric is None else metric
        self._check_metric("differences", metric)
        return differences(frame, axis, one, other, metric)

    def _check_metric(self, function: str, metric: str) -> None:
        frame = self.frame
        evaluations = (*EVALUATIONS, *BY_STATISTICS)
        known = tuple(k for k in evaluations if k in frame and frame[k].notna().any())
        if metric not in known:
            raise UserError(
                f"{function}: {metric!r} is no metric of this run; known: "
                f"{', '.join(known)}"
            )

    def figure(self, name: str) -> Figure:
        """A figure of the run: ``curves``, ``lr_sensitivity``, ...

        A notebook shows it. It is matplotlib's own, so that it can be changed and saved
        (``figure.savefig``).

        Args:
          name: a name in `normlab.figures.FIGURES`.

        Raises:
          UserError: there is no such figure, or the run has no data for it.
          CannotDraw (a UserError): it cannot be drawn.
        """
        check([name])
        drawing = FIGURES[name]
        frame = self.frame if METRICS in drawing.reads else None
        table = plotted(name, Sources(self.path, frame), asked=True)
        assert table is not None  # it was asked for
        with only(name):
            return shown_inline(drawing.draw(table))

    def page(self, out: str | Path | None = None) -> Path:
        """Writes the run as one self-contained HTML page.

        Args:
          out: the folder of the page; by default ``page`` in the run directory.

        Returns:
          The path of the page, ``index.html``.

        Raises:
          UserError: nothing is stored yet, or the page cannot be written.
        """
        check_links(self._paths)
        folder = self.path / "page" if out is None else Path(out).expanduser()
        return write([self.path], folder, processes=1, self_contained=True)
