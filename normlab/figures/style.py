"""How every figure looks, and how it is saved."""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normlab.figures.failure import only
from normlab.norms import NORMS
from normlab.store.layout import replacing, write_text

# Okabe & Ito 2008: told apart by colour-blind readers too.
PALETTE = (
    "#000000",
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#F0E442",
)
MARKERS = "osD^vP*X"
# Dashes are published curves.
LINES: tuple[Any, ...] = (
    "-",
    ":",
    "-.",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (9, 2, 1, 2)),
    (0, (1, 3)),
)

# A user's settings may ask for a font, or a TeX, that is not there.
_RC: dict[Any, Any] = {
    **{k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"},
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,  # text stays text in the PDF
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The project's matplotlib settings, for one figure and not for the process.

    They begin with matplotlib's own, whatever a user's say.
    """
    with matplotlib.rc_context(_RC):
        yield


# Group norm keeps a place on the palette for each of these numbers of groups.
_GROUPS = {
    "group (G=4)": 2,
    "group (G=1)": 3,
    "group (G=16)": 4,
    "group (G=2)": 5,
    "group (G=8)": 6,
}


def looks(labels) -> dict[str, dict[str, Any]]:
    """Label -> colour and marker, and line style where labels have two parts.

    ``none``, ``batch``, and group norm by its number of groups, look alike in every
    figure; others take the places left, by order of appearance. Where norms and what
    follows their comma both vary (``batch, batch_size 10``), the norm has the colour,
    and the rest the marker and the line.
    """
    labels = list(dict.fromkeys(labels))
    parts = two_parts(labels)
    if not parts:
        return {
            label: {"color": _color(place), "marker": _marker(place)}
            for label, place in _places(labels).items()
        }
    norms, rests = (
        list(dict.fromkeys(part)) for part in zip(*parts.values(), strict=True)
    )
    colors = _places(norms)
    return {
        label: {
            "color": _color(colors[norm]),
            "marker": _marker(rests.index(rest)),
            "linestyle": LINES[rests.index(rest) % len(LINES)],
        }
        for label, (norm, rest) in parts.items()
    }


def two_parts(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Label -> (norm, what follows its comma); nothing where not both of them vary."""
    split = {label: label.partition(", ") for label in labels}
    parts = {label: (norm, rest) for label, (norm, _, rest) in split.items()}
    norms, rests = ({part[i] for part in parts.values()} for i in (0, 1))
    return parts if len(norms) > 1 and len(rests) > 1 else {}


def _places(labels: list[str]) -> dict[str, int]:
    """Label -> place on the palette."""
    places: dict[str, int] = {}
    for label in labels:
        entry = NORMS.get(label)
        place = entry.place if entry else _GROUPS.get(label)
        if place is not None and place not in places.values():
            places[label] = place
    rest = [label for label in labels if label not in places]
    taken = set(places.values())
    # The place of no norm stays free beside norms.
    none = NORMS["none"].place
    if none is not None and any(_is_norm(label) for label in labels):
        taken.add(none)
    count = max(len(labels) + len(taken), len(PALETTE))
    free = [place for place in range(count) if place not in taken]
    places |= dict(zip(rest, free, strict=False))
    return {label: places[label] for label in labels}


def _is_norm(label: str) -> bool:
    """Whether a label begins with the name of a norm: ``group (G=4)``."""
    return label.partition(" ")[0].rstrip(",") in NORMS


def _color(place: int) -> str:
    return PALETTE[place % len(PALETTE)]


def _marker(place: int) -> str:
    """Where colours come again, they come with other markers."""
    return MARKERS[(place + place // len(PALETTE)) % len(MARKERS)]


def band(ax: Axes, x, table: pd.DataFrame, *, look: dict, label: str) -> None:
    """A median line over its interval; ``table`` has median, low and high."""
    ax.fill_between(
        x, table["low"], table["high"], color=look["color"], alpha=0.18, linewidth=0
    )
    ax.plot(x, table["median"], label=label, markersize=3.5, **look)


def draw_into(
    folder: Path,
    name: str,
    draw: Callable[[pd.DataFrame], Figure],
    table: pd.DataFrame,
) -> list[Path]:
    """Draws a figure and saves it; returns the files.

    Raises:
      CannotDraw: it cannot be drawn, and nothing was written.
      Unwritable: as of `save`.
    """
    with only(name):
        figure = draw(table)
    return save(figure, table, folder, name)


def save(figure: Figure, table: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Writes ``name`` as .png and .pdf, and what it plots as .csv; each whole.

    Raises:
      CannotDraw: matplotlib lays a figure out only here, and cannot.
      Unwritable: the disk is full, or the folder cannot be written.
    """
    # To memory first: matplotlib itself breaks on a disk that is full.
    pictures = {"png": io.BytesIO(), "pdf": io.BytesIO()}
    with only(name), style():
        for kind, picture in pictures.items():
            figure.savefig(picture, format=kind)
    paths = [folder / f"{name}.{kind}" for kind in (*pictures, "csv")]
    for path, picture in zip(paths, pictures.values(), strict=False):
        with replacing(path) as temporary:
            temporary.write_bytes(picture.getvalue())
    write_text(paths[-1], table.to_csv(index=False))
    return paths
