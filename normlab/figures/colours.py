"""Which colour, marker and line style a line has. Every norm has a colour of its own.

The colours of norms are used for nothing else. Other things that are told apart by
colour (learning rates, channels) are ordered, and take theirs from a scale.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb

from normlab.figures.paper import current, known_norms
from normlab.norms import NORMS

# The first eight: Okabe & Ito 2008, distinguishable for colour-blind readers. Most of
# the others: Paul Tol's "muted" scheme, also made for them.
PALETTE = (
    "#000000",
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#F0E442",
    "#882255",
    "#332288",
    "#999933",
    "#661100",
    "#44AA99",
    "#AA4499",
    "#DDCC77",
    "#CC6677",
    "#117733",
    "#6699CC",
    "#888888",
)
MARKERS = "osD^vP*X"
# With the dashed lines of published curves, these are six styles.
LINES: tuple[Any, ...] = (
    "-",
    ":",
    "-.",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (9, 2, 1, 2)),
)
# The places on the palette of norms with options, by their labels. The other norms of
# normlab have theirs in their entries. The rest of the palette is for further norms.
_OPTIONS = {
    "group (G=4)": 2,
    "group (G=1)": 3,
    "group (G=16)": 4,
    "group (G=2)": 5,
    "group (G=8)": 6,
    "group (G=32)": 7,
    "batch l1": 11,
    "batch l2": 12,
    "batch linf": 13,
    "group_correlated (G=4)": 14,
}
_NONE = 0
# The scale of things that are not norms, from dark to light. Its browns differ from the
# colours of all norms, and in lightness for every reader.
SCALE = LinearSegmentedColormap.from_list(
    "browns", [to_hex(matplotlib.colormaps["copper"](x)) for x in (0.22, 0.55, 0.88)]
)
# How far the shades of one norm's colour go towards white, or black if it is light.
_SHADES, _LIGHT = 0.62, 0.6


def looks(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Label -> colour and marker, and a line style if the text after a comma varies.

    The colour depends on the text before the first comma, mainly the norm. A norm looks
    the same in every figure. If the text after the comma varies (``batch, batch_size
    10``), it determines the marker and the line style; if it varies for one norm alone,
    also the shade of that norm's colour.
    """
    labels = list(dict.fromkeys(labels))
    parts = {label: _split(label) for label in labels}
    heads, rests = (
        (list(dict.fromkeys(part)) for part in zip(*parts.values(), strict=True))
        if parts
        else ([], [])
    )
    colors, markers = _of_heads(heads)
    found = {}
    for label, (head, rest) in parts.items():
        look = {"color": colors[head], "marker": markers[head]}
        if len(rests) > 1:
            place = rests.index(rest)
            look["marker"] = MARKERS[place % len(MARKERS)]
            look["linestyle"] = LINES[place % len(LINES)]
            if len(heads) == 1:
                look["color"] = _shade(colors[head], place, len(rests))
        found[label] = look
    return found


def others(count: int) -> list[str]:
    """Colours for ``count`` ordered things that are not norms, from dark to light."""
    return [to_hex(SCALE(i / max(1, count - 1))) for i in range(count)]


def two_parts(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Label -> (norm, text after the comma); {} unless both of them vary."""
    parts = {label: _split(label) for label in labels}
    norms, rests = ({part[i] for part in parts.values()} for i in (0, 1))
    return parts if len(norms) > 1 and len(rests) > 1 else {}


def _split(label: str) -> tuple[str, str]:
    head, _, rest = label.partition(", ")
    return head, rest


def _of_heads(heads: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The colour and the marker of every norm, or of things that are not norms."""
    if any(map(_is_norm, heads)):
        palette = current().palette
        places = _places(heads)
        if palette:  # a user's colours go to the norms in the order of their places
            order = sorted(places, key=places.__getitem__)
            places = {head: place for place, head in enumerate(order)}
        palette = palette or PALETTE
    else:
        palette = others(len(heads))
        places = {head: place for place, head in enumerate(heads)}
    size = len(palette)
    colors = {head: palette[place % size] for head, place in places.items()}
    # Repeated colours get different markers.
    markers = {
        head: MARKERS[(place % size + place // size) % len(MARKERS)]
        for head, place in places.items()
    }
    return colors, markers


def _places(labels: Sequence[str]) -> dict[str, int]:
    """Norm -> place on `PALETTE`, for ``labels`` and all norms of the runs."""
    every = list(dict.fromkeys([*known_norms(), *labels]))
    places: dict[str, int] = {}
    for label in every:
        entry = NORMS.get(label)
        place = entry.place if entry else _OPTIONS.get(label)
        if place is not None and place not in places.values():
            places[label] = place
    rest = [label for label in every if label not in places]
    fixed = {entry.place for entry in NORMS.values()} | set(_OPTIONS.values())
    own = [place for place in range(len(PALETTE)) if place not in fixed]
    spare = [x for x in range(len(PALETTE)) if x in fixed and x not in places.values()]
    later = range(len(PALETTE), len(PALETTE) * (1 + len(rest)))
    # The colour of "none" is never used for another norm.
    free = [x for x in [*own, *spare, *later] if x % len(PALETTE) != _NONE]
    return places | dict(zip(rest, free, strict=False))


def _is_norm(label: str) -> bool:
    """Whether a label is of a norm of the runs, or starts with one: ``group (G=4)``."""
    return label in known_norms() or label.partition(" ")[0] in NORMS


def _shade(color: str, place: int, count: int) -> str:
    red, green, blue = to_rgb(color)
    end = 0.0 if (red + green + blue) / 3 > _LIGHT else 1.0
    share = _SHADES * place / max(1, count - 1)
    mixed = [(1 - share) * x + share * end for x in (red, green, blue)]
    return to_hex((mixed[0], mixed[1], mixed[2]))
