"""Renders the page: reads the runs and fills in the templates."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2

import normlab
from normlab.claims import ledger, to_table
from normlab.figures import Sources
from normlab.page import answer, drawn, files, forest, judged, sure
from normlab.page.overview import overview
from normlab.page.sections import (
    Section,
    Shown,
    anchors,
    grouped,
    read_section,
)
from normlab.store.layout import each_once, write_text
from normlab.store.provenance import now, revision

FILE = "index.html"
_SCRIPTS = ("page.js", "curves.js", "explore.js")


def write(
    runs: Sequence[str | Path],
    folder: Path,
    *,
    processes: int | None = None,
    self_contained: bool = False,
) -> Path:
    """Writes the page for some runs.

    Args:
      folder: the folder of the page, ``index.html``. Its images and tables go to
        ``index_files/`` beside it.
      processes: as for `normlab.page.drawn.drawing`.
      self_contained: put images and tables into the page instead.

    Returns:
      The path of the page.

    Raises:
      UserError: a run does not exist, is empty, or is damaged; or the page cannot be
        written.
    """
    path = folder / FILE
    place = files.Inside() if self_contained else files.Beside(path)
    write_text(path, render(runs, processes, place))
    return path


def render(
    runs: Sequence[str | Path],
    processes: int | None = None,
    place: files.Place | None = None,
) -> str:
    """The page for some runs, as HTML.

    If a figure cannot be drawn, the reason is printed immediately.

    Args:
      place: where images and tables go; by default into the page.

    Raises:
      UserError: as for `write`.
    """
    place = place or files.Inside()
    paths = [run_paths.root for run_paths in each_once(runs)]
    names = anchors([path.name for path in paths])
    sources = [Sources(run) for run in runs]
    with drawn.drawing(sources, processes) as figures:
        verdicts = ledger(runs)
        sections = [
            read_section(source, path.name, anchor, drawings, place)
            for source, path, anchor, drawings in zip(
                sources, paths, names, figures, strict=True
            )
        ]
    addresses = {str(run): f"#{name}" for run, name in zip(runs, names, strict=True)}
    claims = judged.judged(verdicts, addresses)
    reached = [row for row in claims if row.measured]
    answers = answer.answers(claims)
    table = files.csv("ledger", to_table(verdicts))
    leading = answer.leading(answers)
    figures_of = {a.finding.id: _figure(a, sections) for a in answers}
    ids = [one.finding.id for one in leading]
    return (
        _environment()
        .get_template("page.html")
        .render(
            sections=sections,
            groups=grouped(sections),
            claims=reached,
            unreached=[row for row in claims if not row.measured],
            answers=answers,
            leading=leading,
            figures=figures_of,
            first=next((f for f in map(figures_of.get, ids) if f), None),
            sure=sure.how_sure(claims),
            families=forest.families(reached),
            ticks=forest.TICKS,
            overview=overview([section.frame for section in sections]),
            unfinished=[s.name for s in sections if not s.origin.complete],
            ledger_csv=files.download(table, place, "ledger"),
            inside=isinstance(place, files.Inside),
            style=_asset("vendor/uplot/uPlot.min.css") + _asset("templates/page.css"),
            script=_script(sections),
            made=now(),
            version=normlab.__version__,
            revision=revision(),
        )
    )


def _figure(
    found: answer.Answer, sections: Sequence[Section]
) -> tuple[Section, Shown] | None:
    """The figure of a finding: the first of its figures that is on the page."""
    for run, name in found.finding.figures:
        for section in sections:
            shown = section.figure(name) if section.name == run else None
            if shown is not None:
                return section, shown
    return None


def _script(sections: Sequence[Section]) -> str:
    """The page's scripts, with uPlot if there are curves."""
    own = "\n".join(_asset(f"templates/{name}") for name in _SCRIPTS)
    if not any(section.curves for section in sections):
        return _asset("templates/page.js")
    return _asset("vendor/uplot/uPlot.iife.min.js") + "\n" + own


def _environment() -> jinja2.Environment:
    """The templates. All text that comes from runs is escaped."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("normlab.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(bar=forest.bar, near=forest.near)
    return found


def _asset(name: str) -> str:
    """A style sheet or script of the page, which the template does not escape."""
    return (resources.files("normlab.page") / name).read_text(encoding="utf-8")
