"""Figure 4 for norms that use other moments: Santurkar et al. 2018, Figure 12.

This figure is for classifiers; `santurkar_13` is for linear regression.
"""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import bands
from normlab.figures.santurkar_5 import of_the_norms
from normlab.figures.tables import (
    NotDrawn,
    binned,
    is_regression,
    over_seeds,
    stack,
    with_names,
    with_origin,
)

# The bands of batch norm and no norm are those of Figure 4. Others have no data.
_MEASURES = {"batch_accuracy": "5a", "loss": "4a", "difference": "4b", "beta": "12d"}


def tabulate(metrics: pd.DataFrame, smoothness: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: batch accuracies averaged over bins, and `bands.edges`."""
    frames = [of_the_norms(frame) for frame in (metrics, smoothness)]
    frames = [frame[~is_regression(frame)] for frame in frames]
    if any(frame.empty for frame in frames):
        raise NotDrawn("it is for classifiers; use santurkar_13 for regression")
    return with_first(frames[0], frames[1], _MEASURES)


def with_first(
    metrics: pd.DataFrame, smoothness: pd.DataFrame, figures: dict[str, str]
) -> pd.DataFrame:
    """The first of ``figures``, a metric, with `bands.edges` and published curves."""
    metrics, smoothness = with_names(metrics), with_names(smoothness)
    first = next(iter(figures))
    bins = binned(metrics, first)
    line = over_seeds(bins, ["setting", "point", "step"], first)
    regression = bool(is_regression(smoothness).all())
    tables = [
        line.assign(measure=first, edge="high"),
        bands.edges(smoothness, regression),
        bands.beside(smoothness, figures),
    ]
    return with_origin(stack(tables), smoothness)


def draw(table: pd.DataFrame) -> Figure:
    """(a) to (d) from top to bottom, with all norms in each panel."""
    return bands.draw(table, list(_MEASURES))
