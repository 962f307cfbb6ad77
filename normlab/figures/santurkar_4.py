"""Loss, gradient and smoothness along the gradient: Santurkar et al. 2018, Figure 4.

Of classifiers; `santurkar_10` is of linear regression.
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
    """What `draw` draws: `bands.edges`, and the paper's where it has such a network.

    All three measures are over the same trial steps. Norms by other moments are left to
    `santurkar_12`.
    """
    frame = smoothness[smoothness["norm"] != "batch_lp"]
    frame = frame[~is_regression(frame)]
    if frame.empty:
        raise NotDrawn("it is of classifiers without --norm=batch_lp; see santurkar_10")
    frame = with_names(frame)
    table = stack(
        [bands.edges(frame, regression=False), bands.beside(frame, _MEASURES)]
    )
    return with_origin(table, frame)


def draw(table: pd.DataFrame) -> Figure:
    """(a) to (c) from above, a column a norm."""
    return bands.draw(table, list(_MEASURES))
