"""What a figure shows, read off its axes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from normlab.figures import FIGURES
from tests.store.handmade import make_cell


def norms(**changes):
    return [
        make_cell(**changes),
        make_cell(**{"norm": "group", "groups": 4, **changes}),
    ]


def drawn(name: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, Figure]:
    table = FIGURES[name].tabulate(frame)
    return table, FIGURES[name].draw(table)


def error_bars(ax: Axes) -> list[ErrorbarContainer]:
    return [bars for bars in ax.containers if isinstance(bars, ErrorbarContainer)]


def lines_of(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """Label -> points of the lines that are part of the legend, but for crosses."""
    named = [(line.get_label(), line) for line in ax.get_lines()]
    named += [(bars.get_label(), bars.lines[0]) for bars in error_bars(ax)]
    found = {}
    for label, line in named:
        label = str(label)
        if not label.startswith("_") and not label.endswith("diverged"):
            x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
            found[label] = list(zip(x.tolist(), y.tolist(), strict=True))
    return found


def crosses_of(ax: Axes) -> dict[str, set[tuple[float, float]]]:
    """Label -> points of the crosses where seeds diverged."""
    found: dict[str, set] = {}
    for line in ax.get_lines():
        if (label := str(line.get_label())).endswith("diverged"):
            rows = np.asarray(line.get_xydata()).tolist()
            found.setdefault(label, set()).update((x, y) for x, y in rows)
    return found


def words(figure: Figure) -> str:
    """All titles and legends."""
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    texts = [t.get_text() for legend in legends if legend for t in legend.get_texts()]
    titles = [ax.get_title() for ax in figure.axes] + [figure.get_suptitle()]
    return "\n".join([*texts, *titles])
