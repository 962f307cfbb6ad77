"""Each kind of figure looks as in its stored picture.

If a figure was changed on purpose: ``python -m tests.figures.pictures``, and look at
the pictures that changed.
"""

from typing import Any

import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from normlab.figures import FIGURES
from tests.figures.pictures import FOLDER, KINDS, gap, pixels, stored, without_text

LIMIT = 5.0  # of `gap`
# The others take longer.
FAST = ("curves", "lr_sensitivity", "santurkar_4", "groups", "landscape_contour")
SOME = [
    pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in KINDS
]


def test_each_kind_has_a_picture():
    assert set(FIGURES) < set(KINDS)
    assert {path.stem for path in FOLDER.iterdir()} == set(KINDS)


def curve(figure: Figure) -> Line2D:
    """The first curve of the first panel, without the caps of error bars."""
    ax = figure.axes[0]
    bars = [x.lines[0] for x in ax.containers if isinstance(x, ErrorbarContainer)]
    lines = [x for x in ax.get_lines() if not str(x.get_label()).startswith("_")]
    first: Any = [*bars, *lines, *ax.get_lines()][0]
    return first


@pytest.mark.parametrize("name", SOME)
def test_a_figure_looks_as_it_did_and_a_change_is_noticed(name):
    figure = without_text(KINDS[name]())
    now, before = pixels(figure), stored(name)
    assert gap(now, before) < LIMIT
    if name == "landscape_surface":  # has no curve; another colour of a facet
        surface: Any = figure.axes[0].collections[0]
        surface.set_facecolor("#ff00ff")
        assert gap(pixels(figure), before) > LIMIT
        return
    line = curve(figure)
    line.set_visible(False)
    assert gap(pixels(figure), before) > LIMIT, f"{line} is missing"
    line.set_visible(True)
    line.set_color("#0072B2" if line.get_color() == "#000000" else "#000000")
    assert gap(pixels(figure), before) > LIMIT, f"{line} has another colour"
