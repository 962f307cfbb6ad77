"""What the page says of each run, and in which group a run is listed."""

import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from normlab.figures import Sources
from normlab.page import files, series
from normlab.page.drawn import Drawn
from normlab.page.finals import Finals, read_finals
from normlab.page.origin import Origin, read_origin
from normlab.page.overview import trained
from normlab.words import conjoined

# The experiments of this project, by the first word of their names.
_GROUPS = {
    "report": "As the report ran it",
    "proper": "As it should have been run",
    "postmortem": "One factor at a time",
    "grouping": "Which channels share a group",
    "resnet": "ResNets, after Wu & He",
    "santurkar": "After Santurkar et al.",
    "confirm": "New seeds",
}
_OTHERS = "Other runs"
# The figures whose sentence answers the question of a run, in order.
_ANSWERING = ("lr_sensitivity", "batch_size", "groups", "curves", "santurkar_4")


class Shown(NamedTuple):
    """A figure of the page, with the addresses of its files.

    Attributes:
      drawn: the figure.
      image: the address of its image, or "".
      csv: its table to download, or None.
    """

    drawn: Drawn
    image: str
    csv: files.Download | None

    def seen(self, metric: str = "") -> str:
        """The sentence that says what is seen of a metric, by default the main one."""
        return self.drawn.seen.get(metric) or self.drawn.seen.get("", "")


class Section(NamedTuple):
    """What the page says of one run.

    Attributes:
      name: the name of the run's folder.
      anchor: the address of the section on the page.
      group: the group in which the run is listed.
      origin, finals: see their types.
      trained: the length of training, as a sentence.
      figures: the figures that the run has data for.
      curves: the data of the curves to explore, or None.
      downloads: the final values and the flagfile.
      frame: the table of the run.
    """

    name: str
    anchor: str
    group: str
    origin: Origin
    finals: Finals
    trained: str
    figures: list[Shown]
    curves: dict[str, Any] | None
    downloads: list[files.Download]
    frame: pd.DataFrame

    def figure(self, name: str) -> Shown | None:
        """The figure of that name, if the run has it and it could be drawn."""
        own = (one for one in self.figures if one.drawn.name == name and one.image)
        return next(own, None)

    @property
    def answer(self) -> str:
        """What is seen in the run's results, as a sentence, or ""."""
        figures = (self.figure(name) for name in _ANSWERING)
        return next((one.seen() for one in figures if one and one.seen()), "")

    @property
    def title(self) -> str:
        """The question of the run, or what it compares."""
        if self.origin.question:
            return self.origin.question
        norms = list(dict.fromkeys(map(str, self.frame["label"])))
        data = ", ".join(dict.fromkeys(self.frame["dataset"]))
        if len(norms) == 1:
            return f"How does {norms[0]} train on {data}?"
        return f"How do {conjoined(norms)} compare on {data}?"


def read_section(
    sources: Sources,
    name: str,
    anchor: str,
    figures: Sequence[Drawn],
    place: files.Place,
) -> Section:
    """The section on one run.

    Args:
      sources: the run's tables.
      name, anchor: see `Section`.
      figures: the figures of the run. The reason why one could not be drawn is
        printed.
      place: where the page's files go.

    Raises:
      UserError: a file of the run is damaged or missing.
    """
    for figure in figures:
        if figure.fault:
            print(f"{name}: {figure.fault}", file=sys.stderr)
    frame = sources.table("metrics")
    origin, finals = read_origin(sources.run, frame), read_finals(frame)
    own = [
        files.csv(f"{name}_final", finals.table),
        files.text(f"{name}.flags", origin.flags),
    ]
    return Section(
        name,
        anchor,
        _GROUPS.get(name.partition("_")[0], _OTHERS),
        origin,
        finals,
        trained(frame),
        [_shown(figure, anchor, place) for figure in figures],
        series.curves(frame),
        [files.download(file, place, anchor) for file in own],
        frame,
    )


def _shown(drawn: Drawn, anchor: str, place: files.Place) -> Shown:
    return Shown(
        drawn._replace(image=None, csv=None),
        place.put(drawn.image, anchor) if drawn.image else "",
        files.download(drawn.csv, place, anchor) if drawn.csv else None,
    )


def anchors(names: Sequence[str]) -> list[str]:
    """Unique ids for the page's sections."""
    found: list[str] = []
    for name in names:
        plain = "run-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x")
        count = sum(anchor.rpartition("--")[0] == plain for anchor in found)
        found.append(f"{plain}--{count + 1}")
    return found


def grouped(sections: Sequence[Section]) -> dict[str, list[Section]]:
    """Group -> its runs, in the order of first occurrence; other runs come last."""
    order = sorted(sections, key=lambda section: section.group == _OTHERS)
    groups: dict[str, list[Section]] = {}
    for section in order:
        groups.setdefault(section.group, []).append(section)
    return groups
