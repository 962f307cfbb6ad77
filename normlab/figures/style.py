"""The style of all figures, and how they are saved."""

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

# Okabe & Ito 2008: distinguishable for colour-blind readers.
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
# Dashed lines are reserved for published curves.
LINES: tuple[Any, ...] = (
    "-",
    ":",
    "-.",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (9, 2, 1, 2)),
    (0, (1, 3)),
)

# The user's own settings may require a font or TeX that is not installed.
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
    """The project's matplotlib settings, which do not affect the rest of the process.

    They are based on matplotlib's defaults, not on the user's settings.
    """
    with matplotlib.rc_context(_RC):
        yield


# Group norm has a fixed place on the palette for each of these numbers of groups.
_GROUPS = {
    "group (G=4)": 2,
    "group (G=1)": 3,
    "group (G=16)": 4,
    "group (G=2)": 5,
    "group (G=8)": 6,
}


def looks(labels) -> dict[str, dict[str, Any]]:
    """Label -> colour and marker, and a line style if labels have two parts.

    ``none``, ``batch`` and group norm (by number of groups) look the same in every
    figure. Others take the remaining places in order of appearance. If norms and the
    text after the comma both vary (``batch, batch_size 10``), the norm determines the
    colour, and the text determines the marker and line style.
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
    """Label -> (norm, text after the comma); {} unless both of them vary."""
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
    # Among norms, the place of "none" is never used for anything else.
    none = NORMS["none"].place
    if none is not None and any(_is_norm(label) for label in labels):
        taken.add(none)
    count = max(len(labels) + len(taken), len(PALETTE))
    free = [place for place in range(count) if place not in taken]
    places |= dict(zip(rest, free, strict=False))
    return {label: places[label] for label in labels}


def _is_norm(label: str) -> bool:
    """Whether a label starts with the name of a norm: ``group (G=4)``."""
    return label.partition(" ")[0].rstrip(",") in NORMS


def _color(place: int) -> str:
    return PALETTE[place % len(PALETTE)]


def _marker(place: int) -> str:
    """The marker of a place. Repeated colours get different markers."""
    return MARKERS[(place + place // len(PALETTE)) % len(MARKERS)]


def band(ax: Axes, x, table: pd.DataFrame, *, look: dict, label: str) -> None:
    """Draws a median line over its interval; ``table`` has median, low and high."""
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
    """Draws a figure, saves it, and returns the paths of the files.

    Raises:
      CannotDraw: the figure cannot be drawn; nothing is written.
      Unwritable: as for `save`.
    """
    with only(name):
        figure = draw(table)
    return save(figure, table, folder, name)


def save(figure: Figure, table: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Writes ``name`` as .png and .pdf, and its table as .csv, each file atomically.

    Raises:
      CannotDraw: matplotlib cannot lay out the figure, which it does on saving.
      Unwritable: the disk is full, or the folder cannot be written.
    """
    # Write to memory first, because matplotlib does not handle a full disk well.
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
