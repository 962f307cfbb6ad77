"""Figure 12 for a deep linear network: Santurkar et al. 2018, Figure 13."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import bands
from normlab.figures.santurkar_5 import of_the_norms
from normlab.figures.santurkar_12 import with_first
from normlab.figures.tables import NotDrawn, is_regression

_MEASURES = {"batch_loss": "5b", "loss": "10a", "difference": "10b", "beta": "10c"}


def tabulate(metrics: pd.DataFrame, smoothness: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: batch losses averaged over bins, and `bands.edges`."""
    frames = [of_the_norms(frame) for frame in (metrics, smoothness)]
    frames = [frame[is_regression(frame)] for frame in frames]
    if any(frame.empty for frame in frames):
        raise NotDrawn("it needs --dataset=gaussian or gaussian_uniform")
    return with_first(frames[0], frames[1], _MEASURES)


def draw(table: pd.DataFrame) -> Figure:
    """(a) to (d) from top to bottom, with all norms in each panel."""
    return bands.draw(table, list(_MEASURES))
