"""Every kind of figure from made-up data, and small pictures of them without text.

    python -m tests.figures.pictures

draws the pictures in pictures/ again. Look at them before you commit them. Without text
they depend neither on fonts nor on the version of FreeType.
"""

import functools
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.testing.decorators import remove_ticks_and_titles
from PIL import Image

from normlab.bench.figure import draw as draw_bench
from normlab.bench.figure import tabulate as tabulate_bench
from normlab.figures import (
    FIGURES,
    Sources,
    landscape_contour,
    landscape_line,
    landscape_surface,
)
from normlab.figures.style import style
from tests.bench.small import block
from tests.figures import made, test_landscape_figures
from tests.store.handmade import make_cell, write_run

FOLDER = Path(__file__).with_name("pictures")
_DPI, _TILE = 32, 8
# The runs of figures that `made.RUNS["plain"]` has no data for.
_RUNS = {
    **dict.fromkeys(("santurkar_1", "santurkar_5", "santurkar_12", "penalty"), "vgg"),
    **dict.fromkeys(("santurkar_10", "santurkar_13"), "linear"),
    **dict.fromkeys(("batch_size", "groups", "report_bn", "report_gn"), "report"),
}
_NORMS: list[dict[str, Any]] = [{"norm": "none"}, {"norm": "batch"}]
_NORMS += [{"norm": "group", "groups": groups} for groups in (1, 4)]
_REPORT: dict[str, Any] = {"dataset": "cifar10", "lrs": (1e-3,), "train_size": 50_000}
# Numbers of a setting differ from those of the one before by this factor.
_APART = 1.25


def _report() -> list:
    return [
        make_cell(**_REPORT, **norm, batch_size=size)
        for norm in _NORMS
        for size in (50, 100)
    ]


@functools.cache
def _sources(run: str) -> Sources:
    folder = Path(tempfile.mkdtemp())
    if run == "report":
        write_run(folder, _report())
    else:
        made.write(folder, made.RUNS[run])
    return Sources(folder)


def table_of(name: str) -> pd.DataFrame:
    """The made-up table of a figure in `FIGURES`, with settings that differ."""
    sources = _sources(_RUNS.get(name, "plain"))
    table = FIGURES[name].tabulate(*map(sources.table, FIGURES[name].reads))
    places = {label: i for i, label in enumerate(dict.fromkeys(table["setting"]))}
    factor = _APART ** table["setting"].map(places)
    values = [x for x in ("median", "low", "high") if x in table]
    return table.assign(**{x: table[x] * factor for x in values})


def _bench() -> Figure:
    blocks = [block(batch_size=size, members=n) for n in (1, 8) for size in (10, 50)]
    return draw_bench(tabulate_bench(blocks, "a machine"))


# Name -> draws the figure.
KINDS: dict[str, Callable[[], Figure]] = {
    name: lambda name=name: FIGURES[name].draw(table_of(name)) for name in FIGURES
}
_made_plane = test_landscape_figures.table
KINDS |= {
    "bench": _bench,
    "landscape_contour": lambda: landscape_contour.draw(
        test_landscape_figures.with_path()
    ),
    "landscape_surface": lambda: landscape_surface.draw(_made_plane()),
    "landscape_line": lambda: landscape_line.draw(
        _made_plane("line", scales=(1.0, 2.0, 3.0, 4.0))
    ),
}


def without_text(figure: Figure) -> Figure:
    """The figure without any text, and so with panels where matplotlib puts them."""
    remove_ticks_and_titles(figure)
    figure.set_layout_engine("none")
    for text in figure.texts:
        text.set_visible(False)
    for legend in figure.legends:
        legend.set_visible(False)
    for ax in figure.axes:
        for label in (ax.xaxis.label, ax.yaxis.label, *ax.texts):
            label.set_visible(False)
        for title in (ax.title, *_offsets(ax)):
            title.set_visible(False)
    return figure


def _offsets(ax: Axes) -> list:
    return [axis.get_offset_text() for axis in (ax.xaxis, ax.yaxis)]


def pixels(figure: Figure) -> np.ndarray:
    """The figure as RGB values (height, width, 3)."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format="png", dpi=_DPI)
    return np.asarray(Image.open(file).convert("RGB"))


def stored(name: str) -> np.ndarray:
    """The stored picture of a figure, like `pixels`."""
    return np.asarray(Image.open(FOLDER / f"{name}.png").convert("RGB"))


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """How far two pictures differ where they differ most; infinity if sizes differ.

    This is the root mean square difference (of pixels from 0 to 255) in the tile of 8 x
    8 pixels where it is largest. A missing curve fills a part of some tiles, but only a
    thousandth of the picture.
    """
    if one.shape != other.shape:
        return float("inf")
    squares = np.mean((one.astype(float) - other) ** 2, axis=2)
    height, width = (-size % _TILE for size in squares.shape)
    squares = np.pad(squares, ((0, height), (0, width)))
    rows, columns = (size // _TILE for size in squares.shape)
    tiles = squares.reshape(rows, _TILE, columns, _TILE)
    return float(np.sqrt(tiles.mean(axis=(1, 3)).max()))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, draw in KINDS.items():
        image = Image.fromarray(pixels(without_text(draw())))
        image.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
