"""Loss, gradient and smoothness along the gradient: Santurkar et al. 2018, Figure 4.

This figure is for classifiers; `santurkar_10` is for linear regression.
"""

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

_MEASURES = {"loss": "4a", "difference": "4b", "beta": "4c"}


def tabulate(smoothness: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: `bands.edges`, and published curves of the same networks.

    All three measures use the same trial steps. Norms that use other moments are in
    `santurkar_12`.
    """
    frame = smoothness[smoothness["norm"] != "batch_lp"]
    frame = frame[~is_regression(frame)]
    if frame.empty:
        raise NotDrawn("it is for classifiers without batch_lp; see santurkar_10")
    frame = with_names(frame)
    table = stack(
        [bands.edges(frame, regression=False), bands.beside(frame, _MEASURES)]
    )
    return with_origin(table, frame)


def draw(table: pd.DataFrame) -> Figure:
    """(a) to (c) from top to bottom, with all norms in each panel."""
    return bands.draw(table, list(_MEASURES))
