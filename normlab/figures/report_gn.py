"""The student report's plots of group norm beside none (E5 to E7), redrawn."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import report_panels


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: `report_panels.tabulate`, of the experiments a run has."""
    return report_panels.tabulate(frame, "group")


def draw(table: pd.DataFrame) -> Figure:
    """Training and test accuracy and the training loss, a column an experiment."""
    return report_panels.draw(table)
