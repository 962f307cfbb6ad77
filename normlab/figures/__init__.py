"""Figures by name. To add one, write a file with ``tabulate`` and ``draw``.

Each figure also has a line in `FIGURES`.
``tabulate(*tables)`` takes tables of a run (`normlab.store.load` for ``metrics``,
`normlab.store.load_quantity` for a quantity) and returns the numbers to plot.
``draw(table)`` turns these into a matplotlib figure. The CSV file saved with a figure
therefore contains exactly what it shows.
"""

import normlab.figures.imported  # noqa: F401  before whatever imports matplotlib

# isort: split
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from normlab.errors import UserError
from normlab.figures import (
    activation_histogram,
    activation_moments,
    batch_size,
    curves,
    gradient_norm,
    gradient_norm_layers,
    groups,
    hessian_spectrum,
    identity_slack,
    lr_sensitivity,
    norm_consequences,
    penalty,
    report_bn,
    report_gn,
    santurkar_1,
    santurkar_2,
    santurkar_3,
    santurkar_4,
    santurkar_5,
    santurkar_10,
    santurkar_11,
    santurkar_12,
    santurkar_13,
    sharpness,
    smoothness_by_eta,
)
from normlab.figures.failure import CannotDraw, check_drawn, only
from normlab.figures.inline import shown_inline
from normlab.figures.paper import PaperStyle, drawing_with, style_of
from normlab.figures.sharing import CannotHold, with_runs
from normlab.figures.sources import METRICS, Sources
from normlab.figures.style import drawn, save
from normlab.figures.tables import DivergedEarly, NotDrawn
from normlab.figures.together import SeveralSources, together
from normlab.words import path_of

__all__ = [
    "FIGURES",
    "METRICS",
    "CannotDraw",
    "Drawing",
    "NotDrawn",
    "PaperStyle",
    "Sources",
    "candidates",
    "check",
    "check_drawn",
    "draw_all",
    "figure",
    "only",
    "plotted",
    "style_of",
    "together",
]

_log = logging.getLogger(__name__)


class Drawing(NamedTuple):
    """An entry of `FIGURES`.

    Attributes:
      tabulate: the tables named in ``reads``, in order -> the table to plot. If a run
        has no data for the figure, it raises `NotDrawn` or returns no rows.
      draw: the table to plot -> the figure.
      reads: ``metrics``, or names of quantities (`normlab.quantities.QUANTITIES`).
    """

    tabulate: Callable[..., pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    reads: tuple[str, ...] = (METRICS,)


_SMOOTHNESS = ("effective_smoothness",)

FIGURES: dict[str, Drawing] = {
    "curves": Drawing(curves.tabulate, curves.draw),
    "lr_sensitivity": Drawing(lr_sensitivity.tabulate, lr_sensitivity.draw),
    "batch_size": Drawing(batch_size.tabulate, batch_size.draw),
    "groups": Drawing(groups.tabulate, groups.draw),
    "report_bn": Drawing(report_bn.tabulate, report_bn.draw),
    "report_gn": Drawing(report_gn.tabulate, report_gn.draw),
    "gradient_norm": Drawing(gradient_norm.tabulate, gradient_norm.draw),
    "gradient_norm_layers": Drawing(
        gradient_norm_layers.tabulate, gradient_norm_layers.draw, ("gradient_norm",)
    ),
    "activation_moments": Drawing(
        activation_moments.tabulate, activation_moments.draw, ("activation_moments",)
    ),
    "activation_histogram": Drawing(
        activation_histogram.tabulate,
        activation_histogram.draw,
        ("activation_histogram",),
    ),
    "santurkar_1": Drawing(santurkar_1.tabulate, santurkar_1.draw),
    "santurkar_2": Drawing(
        santurkar_2.tabulate, santurkar_2.draw, ("activation_histogram",)
    ),
    "santurkar_3": Drawing(
        santurkar_3.tabulate, santurkar_3.draw, ("internal_covariate_shift",)
    ),
    "santurkar_4": Drawing(santurkar_4.tabulate, santurkar_4.draw, _SMOOTHNESS),
    "santurkar_5": Drawing(santurkar_5.tabulate, santurkar_5.draw),
    "santurkar_10": Drawing(santurkar_10.tabulate, santurkar_10.draw, _SMOOTHNESS),
    "santurkar_11": Drawing(santurkar_11.tabulate, santurkar_11.draw, _SMOOTHNESS),
    "santurkar_12": Drawing(
        santurkar_12.tabulate, santurkar_12.draw, (METRICS, *_SMOOTHNESS)
    ),
    "santurkar_13": Drawing(
        santurkar_13.tabulate, santurkar_13.draw, (METRICS, *_SMOOTHNESS)
    ),
    "smoothness_by_eta": Drawing(
        smoothness_by_eta.tabulate, smoothness_by_eta.draw, _SMOOTHNESS
    ),
    "penalty": Drawing(
        penalty.tabulate, penalty.draw, ("loss_range", "parameter_norm")
    ),
    "sharpness": Drawing(sharpness.tabulate, sharpness.draw, ("hessian_top",)),
    "hessian_spectrum": Drawing(
        hessian_spectrum.tabulate, hessian_spectrum.draw, ("hessian_density",)
    ),
    "identity_slack": Drawing(
        identity_slack.tabulate, identity_slack.draw, ("identities",)
    ),
    "norm_consequences": Drawing(
        norm_consequences.tabulate, norm_consequences.draw, ("identities",)
    ),
}


def check(names: Sequence[str]) -> None:
    """Checks the names of figures.

    Raises:
      UserError: a name is unknown; the message lists the known names.
    """
    for name in names:
        if name not in FIGURES:
            known = ", ".join(FIGURES)
            raise UserError(f"unknown figure {name!r}; known: {known}")


def figure(
    name: str,
    runs: str | Path | Sequence[str | Path],
    *,
    names: Sequence[str] | None = None,
    style: PaperStyle | Mapping[str, Any] | str | Path | None = None,
    out: str | Path | None = None,
) -> Figure:
    """Draws a figure of one run, or of several runs together.

    Args:
      name: the figure, one of `FIGURES`.
      runs: a run directory, or several.
      names: a name for each run; by default its folder's.
      style: a style file, or a dict with its keys (`normlab.figures.paper`).
      out: a folder. The figure is saved there in the formats of the style, with its
        numbers as CSV. If you save the returned figure yourself, matplotlib uses your
        own settings for what it decides on saving, such as the resolution.

    Returns:
      A figure that belongs to no window; a notebook shows it.

    Raises:
      UserError: the figure is unknown, a run does not exist or has no data for it, the
        runs cannot be shown together, the style is wrong, or ``out`` cannot be written.
    """
    check([name])
    chosen = style_of(style)
    sources = together([runs] if isinstance(runs, str | Path) else runs, names)
    table = plotted(name, sources, asked=True)
    assert table is not None  # it was asked for
    with drawing_with(chosen, sources.labels):
        made = drawn(name, FIGURES[name].draw, table)
        if out is not None:
            save(made, table, path_of(str(out)), name)
    return shown_inline(made)


def draw_all(
    sources: Sources,
    folder: Path,
    names: Sequence[str] | None = None,
    style: PaperStyle | None = None,
) -> tuple[list[Path], list[CannotDraw]]:
    """Draws figures of runs into ``folder``, in the order of `FIGURES`.

    Args:
      sources: the tables of the run, or of several runs (`together`).
      folder: the output folder.
      names: the figures, or None for every figure that the run has data for.
      style: how the figures look; as usual if None.

    Returns:
      The written files, and an error for each figure that could not be drawn. Such a
      figure does not affect the others.

    Raises:
      UserError: one of ``names`` is unknown or has no data in the run, a file of the
        run is damaged, or the folder cannot be written.
    """
    check(names or ())
    wanted = (
        candidates(sources) if names is None else [n for n in FIGURES if n in names]
    )
    written, failed = [], []
    for name in wanted:
        try:
            table = plotted(name, sources, asked=names is not None)
            if table is not None:
                with drawing_with(style or PaperStyle(), sources.labels):
                    made = drawn(name, FIGURES[name].draw, table)
                    written += save(made, table, folder, name)
        except CannotDraw as error:
            failed.append(error)
    return written, failed


def candidates(sources: Sources) -> list[str]:
    """The figures whose tables the run has, even if the tables contain no data to plot.

    Raises:
      UserError: the path is not a run directory.
    """
    has = set(sources.names)
    if isinstance(sources, SeveralSources):
        for name, drawing in FIGURES.items():
            for table, runs in sources.partly(drawing.reads).items():
                lacking = ", ".join(runs)
                _log.warning(
                    "figure %s is left out: %s has no %s", name, lacking, table
                )
    return [name for name, drawing in FIGURES.items() if set(drawing.reads) <= has]


def plotted(name: str, sources: Sources, asked: bool = False) -> pd.DataFrame | None:
    """The table that a figure plots.

    Returns:
      None if the run has no data for the figure and the user has not ``asked`` for it.
      If the reason is that members diverged, or that several runs cannot be shown
      together, a warning is logged.

    Raises:
      CannotDraw: the table cannot be made.
      UserError: a file is damaged, or the user asked for a figure without data.
    """
    drawing = FIGURES[name]
    try:
        with only(name):
            tables = [sources.table(source) for source in drawing.reads]
            table = drawing.tabulate(*tables)
        if table.empty:
            raise NotDrawn(f"{sources.run} has no data for it yet")
        if sources.runs:
            table = with_runs(table, sources.runs)
    except NotDrawn as error:
        if asked:
            raise NotDrawn(f"--figures={name}: {error}") from error
        if isinstance(error, DivergedEarly | CannotHold):
            runs = ", ".join(sources.runs) or Path(sources.run).name
            _log.warning("figure %s of %s is left out: %s", name, runs, error)
        return None
    except CannotDraw:
        raise
    except UserError as error:
        if asked:
            raise UserError(f"--figures={name}: {error}") from error
        raise
    return table
