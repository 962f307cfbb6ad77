"""The student report's plots of batch norm and no norm (E1 to E4), redrawn."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import report_panels


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: `report_panels.tabulate` of the run's experiments."""
    return report_panels.tabulate(frame, "batch")


def draw(table: pd.DataFrame) -> Figure:
    """Training and test accuracy and training loss, with one column per experiment."""
    return report_panels.draw(table)
