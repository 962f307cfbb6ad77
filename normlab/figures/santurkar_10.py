"""Figure 4 for a deep linear network: Santurkar et al. 2018, Figure 10."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import bands
from normlab.figures.tables import (
    NotDrawn,
    is_regression,
    stack,
    with_names,
    with_origin,
)

_MEASURES = {"loss": "10a", "difference": "10b", "beta": "10c"}


def tabulate(smoothness: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: `bands.edges`, and the published curves."""
    frame = smoothness[smoothness["norm"] != "batch_lp"]
    frame = frame[is_regression(frame)]
    if frame.empty:
        raise NotDrawn("it needs --dataset=gaussian or gaussian_uniform")
    frame = with_names(frame)
    table = stack([bands.edges(frame, regression=True), bands.beside(frame, _MEASURES)])
    return with_origin(table, frame)


def draw(table: pd.DataFrame) -> Figure:
    """(a) to (c) from top to bottom, with all norms in each panel."""
    return bands.draw(table, list(_MEASURES))
