"""Renders the page: reads the runs and fills in the templates."""

import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import jinja2

import normlab
from normlab.claims import ledger, to_table
from normlab.errors import UserError
from normlab.figures import Sources
from normlab.page import (
    answer,
    drawn,
    files,
    finals,
    forest,
    judged,
    series,
    sure,
)
from normlab.page.overview import below, overview
from normlab.page.sections import (
    Section,
    Shown,
    anchors,
    grouped,
    read_section,
)
from normlab.store.layout import check_writable, each_once, write_text
from normlab.store.provenance import now, revision
from normlab.words import counted

FILE = "index.html"
_SCRIPTS = ("page.js", "curves.js", "explore.js")
# One of these is in every page: the footer in those from before the meta tag.
_MARKS = (
    r'<meta name="generator" content="normlab">',
    r"Made \d{4}-\d\d-\d\d[^<]* by normlab ",
)


def write(
    runs: Sequence[str | Path],
    folder: Path,
    *,
    processes: int | None = None,
    self_contained: bool = False,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Writes the page for some runs.

    Args:
      folder: the folder of the page, ``index.html``. Its images and tables go to
        ``index_files/`` beside it.
      processes: as for `normlab.page.drawn.drawing`.
      self_contained: put images and tables into the page instead.
      say: is called with what is being done, run by run.

    Returns:
      The path of the page.

    Raises:
      UserError: a run does not exist, is empty, or is damaged; or the page cannot be
        written, or would take the place of a file that is no page of normlab.
    """
    path = folder / FILE
    is_page(path)  # before minutes of drawing
    check_writable(path)
    place = files.Inside() if self_contained else files.Beside(path)
    write_text(path, render(runs, processes, place, say))
    return path


def is_page(path: Path) -> bool:
    """Whether a page of normlab is there, which a new one may replace.

    Raises:
      UserError: it is another file.
    """
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    if not any(re.search(mark, text) for mark in _MARKS):
        raise UserError(
            f"{path} is not a page of normlab, and it is not overwritten; choose "
            "another --out"
        )
    return True


def render(
    runs: Sequence[str | Path],
    processes: int | None = None,
    place: files.Place | None = None,
    say: Callable[[str], None] | None = None,
) -> str:
    """The page for some runs, as HTML.

    If a figure cannot be drawn, the reason is printed immediately.

    Args:
      place: where images and tables go; by default into the page.
      say: as for `write`.

    Raises:
      UserError: as for `write`.
    """
    place, say = place or files.Inside(), say or _silent
    paths = [run_paths.root for run_paths in each_once(runs)]
    ids = anchors([path.name for path in paths])
    sources = [Sources(run) for run in runs]
    with drawn.drawing(sources, processes) as figures:
        say("judging the claims")
        verdicts = ledger(runs)
        sections = []
        each = zip(sources, paths, ids, figures, strict=True)
        for source, path, anchor, drawings in each:
            sections.append(read_section(source, path.name, anchor, drawings, place))
            say(f"{len(sections)} of {counted(len(paths), 'run')}: {path.name}")
    addresses = {str(run): f"#{name}" for run, name in zip(runs, ids, strict=True)}
    claims = judged.judged(verdicts, addresses)
    reached = [row for row in claims if row.measured]
    answers = answer.answers(claims)
    table = files.csv("ledger", to_table(verdicts))
    leading = answer.leading(answers)
    figures_of = {a.finding.id: _figure(a, sections) for a in answers}
    # The figure of the first question, whichever answer is the strongest.
    shown = [a.finding for a in answers if a in leading]
    firsts = [(figures_of[one.id], one.metric) for one in shown]
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
            first=next((one for one in firsts if one[0]), None),
            sure=sure.how_sure(claims),
            families=forest.families(reached),
            ticks=forest.TICKS,
            below=below(reached),
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


def _silent(text: str) -> None:
    """Says nothing."""


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
    found.filters.update(heading=finals.heading, packed=series.packed)
    return found


def _asset(name: str) -> str:
    """A style sheet or script of the page, which the template does not escape."""
    return (resources.files("normlab.page") / name).read_text(encoding="utf-8")
