"""Renders the page: reads the runs and fills in the templates."""

import re
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

import normlab
from normlab.claims import ledger, to_table
from normlab.figures import Sources
from normlab.page import drawn, embed, judged, series
from normlab.page.finals import Finals, read_finals
from normlab.page.origin import Origin, read_origin
from normlab.page.overview import overview, trained
from normlab.store.layout import each_once, write_text
from normlab.store.provenance import now, revision

FILE = "index.html"


class Section(NamedTuple):
    """The page's section on one run."""

    name: str
    anchor: str
    origin: Origin
    trained: str
    finals: Finals
    figures: list[drawn.Drawn]
    curves: dict[str, Any] | None
    downloads: list[embed.Download]
    frame: pd.DataFrame


def write(
    runs: Sequence[str | Path], folder: Path, *, processes: int | None = None
) -> Path:
    """Writes the page for some runs.

    Args:
      processes: as for `normlab.page.drawn.drawing`.

    Returns:
      The path of the page.

    Raises:
      UserError: a run does not exist, is empty, or is damaged; or the page cannot be
        written.
    """
    path = folder / FILE
    write_text(path, render(runs, processes))
    return path


def render(runs: Sequence[str | Path], processes: int | None = None) -> str:
    """The page for some runs, as HTML.

    If a figure cannot be drawn, the reason is printed immediately.

    Raises:
      UserError: as for `write`.
    """
    paths = [run_paths.root for run_paths in each_once(runs)]
    anchors = _anchors([path.name for path in paths])
    sources = [Sources(run) for run in runs]
    with drawn.drawing(sources, processes) as figures:
        verdicts = ledger(runs)
        sections = [
            _section(source, path.name, anchor, drawings)
            for source, path, anchor, drawings in zip(
                sources, paths, anchors, figures, strict=True
            )
        ]
    addresses = {
        str(run): f"#{anchor}" for run, anchor in zip(runs, anchors, strict=True)
    }
    claims = judged.judged(verdicts, addresses)
    counts = judged.counts(claims)
    return (
        _environment()
        .get_template("page.html")
        .render(
            sections=sections,
            claims=claims,
            counts=counts,
            overview=overview([section.frame for section in sections]),
            unfinished=[s.name for s in sections if not s.origin.complete],
            ledger_csv=embed.csv("ledger", to_table(verdicts)),
            style=_asset("page.css"),
            script=_asset("page.js"),
            made=now(),
            version=normlab.__version__,
            revision=revision(),
        )
    )


def _section(
    sources: Sources, name: str, anchor: str, figures: list[drawn.Drawn]
) -> Section:
    for figure in figures:
        if figure.fault:
            print(f"{name}: {figure.fault}", file=sys.stderr)
    frame = sources.table("metrics")
    origin, finals = read_origin(sources.run, frame), read_finals(frame)
    downloads = [
        embed.csv(f"{name}_final", finals.table),
        embed.text(f"{name}.flags", origin.flags),
    ]
    return Section(
        name,
        anchor,
        origin,
        trained(frame),
        finals,
        figures,
        series.curves(frame),
        downloads,
        frame,
    )


def _anchors(names: Sequence[str]) -> list[str]:
    """Unique ids for the page's sections."""
    anchors: list[str] = []
    for name in names:
        plain = "run-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x")
        count = sum(anchor.rpartition("--")[0] == plain for anchor in anchors)
        anchors.append(f"{plain}--{count + 1}")
    return anchors


def _environment() -> jinja2.Environment:
    """The templates. All text that comes from runs is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("normlab.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asset(name: str) -> str:
    """The page's style sheet or script, which the template does not escape."""
    folder = resources.files("normlab.page") / "templates"
    return (folder / name).read_text(encoding="utf-8")
