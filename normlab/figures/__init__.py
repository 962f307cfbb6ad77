"""Figures by name. To add one: a file with ``tabulate`` and ``draw``, and a line here.

``tabulate(frame)`` turns a run (`normlab.store.load`) into the numbers that are
plotted, and ``draw(table)`` turns those into a matplotlib figure; so the CSV beside a
figure is what the figure shows.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import curves, lr_sensitivity
from normlab.figures.style import save


class Drawing(NamedTuple):
    tabulate: Callable[[pd.DataFrame], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]


FIGURES: dict[str, Drawing] = {
    "curves": Drawing(curves.tabulate, curves.draw),
    "lr_sensitivity": Drawing(lr_sensitivity.tabulate, lr_sensitivity.draw),
}


def draw_all(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Draws every figure of a run into ``folder``; returns the files written."""
    written = []
    for name, (tabulate, draw) in FIGURES.items():
        table = tabulate(frame)
        written += save(draw(table), table, folder, name)
    return written
