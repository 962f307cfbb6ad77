"""A figure that cannot be drawn costs itself: no other figure, no table, no run."""

import errno
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from normlab.bench import __main__ as bench
from normlab.bench.machine import Machine
from normlab.errors import Unwritable
from normlab.figures import FIGURES, Sources, draw_all, style
from normlab.figures import __main__ as figures
from normlab.figures.paper import PaperStyle
from normlab.landscape import __main__ as landscape
from normlab.landscape.settings import LandscapeConfig
from normlab.page import __main__ as command
from normlab.page import document
from normlab.store import RunPaths
from normlab.sweep import __main__ as sweep
from tests.bench.small import block
from tests.called import called
from tests.faults import small
from tests.figures import made
from tests.figures.test_landscape_figures import table as landscape_table
from tests.page.parsed import Page
from tests.shared import tiny_by_name  # noqa: F401

pytestmark = pytest.mark.faults

OTHERS = {"curves", "lr_sensitivity"}
ONE = "gradient_norm"


def raising(error: BaseException):
    def function(*args, **kwargs):
        raise error

    return function


def no_tex(table: pd.DataFrame) -> Figure:
    figure = Figure()
    figure.text(0, 0, "no TeX is here", usetex=True)
    return figure


def enormous(table: pd.DataFrame) -> Figure:
    return Figure(figsize=(1e6, 1e6))


def no_layout(table: pd.DataFrame) -> Figure:
    figure = Figure()
    figure.add_subplot().set_xscale("log", base=-1.0)
    return figure


def no_font(table: pd.DataFrame) -> Figure:
    figure = Figure()
    figure.text(0, 0, "a font that is gone", font=Path("/no/such/font.ttf"))
    return figure


LOST = OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/fonts/gone.ttf")
DRAWS = {
    "no TeX": (no_tex, "latex"),
    "enormous": (enormous, "Error: "),
    "no layout": (no_layout, "ValueError"),
    "no font": (no_font, "FileNotFoundError"),
    "no memory": (raising(MemoryError()), "MemoryError"),
    "no key": (raising(KeyError("median")), "KeyError: 'median'"),
    "no file": (raising(LOST), "No such file or directory"),
    "depth": (raising(RecursionError("too deep")), "RecursionError: too deep"),
    "many lines": (raising(RuntimeError("one\ntwo\n\nthree")), "one two three"),
    "no words": (raising(AssertionError()), "AssertionError"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return made.write(folder, made.RUNS["one seed"], ()).root


@pytest.fixture
def three() -> Iterator[None]:
    """There are three figures, and two are quickly drawn; a test may break any."""
    whole = dict(FIGURES)
    for name in set(FIGURES) - OTHERS - {ONE}:
        del FIGURES[name]
    for name in OTHERS:
        replace(name, lambda table: Figure())
    yield
    FIGURES.clear()
    FIGURES.update(whole)  # in their order


def replace(name: str, draw: Callable[[pd.DataFrame], Figure]) -> None:
    FIGURES[name] = FIGURES[name]._replace(draw=draw)


def drawn(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def files(names: set[str]) -> set[str]:
    return {f"{name}.{kind}" for name in names for kind in ("png", "pdf", "csv")}


@pytest.mark.parametrize("kind", DRAWS)
def test_the_others_are_drawn(kind, run, three, tmp_path, tally):
    tally["figures that cannot be drawn"] += 1
    draw, why = DRAWS[kind]
    replace(ONE, draw)
    written, failed = draw_all(Sources(run), tmp_path)
    assert drawn(tmp_path) == files(OTHERS) == {path.name for path in written}
    (error,) = failed
    assert str(error).startswith(f"figure {ONE} cannot be drawn (")
    assert why in str(error) and "\n" not in str(error)


def test_whoever_draws_sees_the_error_itself(run, three):
    """Only the loop over figures catches it: tests of a figure do not."""
    replace(ONE, raising(KeyError("median")))
    with pytest.raises(KeyError):
        FIGURES[ONE].draw(pd.DataFrame())
    _, (error,) = draw_all(Sources(run), run / "figures")
    assert isinstance(error.__cause__, KeyError)


def test_a_table_that_cannot_be_made(run, three, tmp_path):
    broken = raising(ZeroDivisionError("by 0"))
    FIGURES[ONE] = FIGURES[ONE]._replace(tabulate=broken)
    _, (error,) = draw_all(Sources(run), tmp_path)
    assert drawn(tmp_path) == files(OTHERS) and "ZeroDivisionError" in str(error)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_a_command_ends_it(error, run, three, tmp_path):
    replace(ONE, raising(error))
    with pytest.raises(type(error)):
        draw_all(Sources(run), tmp_path)


def test_a_full_disk_is_no_fault_of_a_figure(run, three, tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(Path, "write_bytes", raising(full))
    with pytest.raises(Unwritable, match="No space left"):
        draw_all(Sources(run), tmp_path)


def draw_again(capsys, *words: str) -> tuple[int, str, str]:
    status = called(figures.main, figures.flag_values(), words, "normlab.figures")
    return status, *capsys.readouterr()


@pytest.mark.parametrize("asked", [[], [f"--figures={ONE},curves"]])
def test_drawing_again(run, three, tmp_path, capsys, asked, tally):
    """What the command is for is not done: status 1, after the others."""
    tally["figures that cannot be drawn"] += 1
    replace(ONE, no_tex)
    status, out, err = draw_again(capsys, f"--run={run}", f"--out={tmp_path}", *asked)
    names = {"curves"} if asked else OTHERS
    assert drawn(tmp_path) == files(names) and out.count("figure: ") == len(names)
    assert status == 1 and err.count("\n") == 1
    assert err.startswith(f"normlab.figures: error: figure {ONE} cannot be drawn (")


def test_all_of_them_at_once(run, three, tmp_path, capsys):
    for name in FIGURES:
        replace(name, enormous)
    status, out, err = draw_again(capsys, f"--run={run}", f"--out={tmp_path}")
    assert (status, out) == (1, "") and err.count("\n") == 1
    assert all(f"figure {name} cannot be drawn" in err for name in FIGURES)
    assert drawn(tmp_path) == set()


def test_a_run_is_complete_without_it(three, tmp_path, capsys, tally):
    tally["figures that cannot be drawn"] += 1
    replace(ONE, no_tex)
    assert small.sweep(tmp_path / "run", figures=True, norm="none", steps=4) == 0
    paths = RunPaths.at(tmp_path / "run")
    out, err = capsys.readouterr()
    assert "final test_accuracy: median" in out
    assert drawn(paths.figures) == files(OTHERS) and paths.summary.exists()
    told = [line for line in err.splitlines() if "cannot be drawn" in line]
    assert len(told) == 1 and "Traceback" not in err
    assert told[0].startswith(f"{sweep.PROGRAM}: figure {ONE} cannot be drawn (")
    assert told[0].endswith(f"again: python -m normlab.figures --run={paths.root}")
    assert small.sweep(tmp_path / "run", figures=True, norm="none", steps=4) == 0
    assert "complete: nothing is left to run" in capsys.readouterr().out


def test_the_page_has_a_sentence_in_its_place(
    run, three, tmp_path, monkeypatch, capsys, tally
):
    tally["figures that cannot be drawn"] += 1
    replace(ONE, raising(RuntimeError("no <latex> & co")))
    monkeypatch.setattr(document, "ledger", lambda runs: [])
    words = (f"--run={run}", f"--out={tmp_path}")
    assert called(command.main, command.flag_values(), words, "normlab.page") == 0
    out, err = capsys.readouterr()
    said = f"igure {ONE} cannot be drawn (RuntimeError: no <latex> & co)"
    assert err == f"{run.name}: f{said}\n" and out.startswith("page: ")
    found = Page((tmp_path / document.FILE).read_text(encoding="utf-8"))
    assert found.faults == [] and f"F{said}." in found.words
    assert len(found.every("figure")) == 3 and len(found.every("img")) == 2
    assert all(image["alt"] and image["src"] for image in found.every("img"))
    offered = {link.get("download") for link in found.every("a")}
    assert {f"{name}.csv" for name in FIGURES} <= offered  # its numbers are there


@pytest.mark.parametrize("csv", ["", "a,b\n1", 'a\n"'])
def test_the_page_of_a_landscape_whose_table_is_damaged(
    run, three, tmp_path, monkeypatch, csv
):
    monkeypatch.setattr(document, "ledger", lambda runs: [])
    FIGURES.clear()
    path = RunPaths.at(run).figures / "landscape_plane_contour.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(csv)
    try:
        found = Page(document.render([run]))
    finally:
        path.unlink()
    assert "Figure landscape_plane_contour cannot be drawn (" in found.words


def test_a_landscape_keeps_its_other_figure(tmp_path, monkeypatch, capsys, tally):
    tally["figures that cannot be drawn"] += 1
    contour, surface = landscape._DRAWN["plane"].values()
    monkeypatch.setattr(contour, "draw", no_tex)
    monkeypatch.setattr(surface, "draw", lambda table: Figure())
    config = LandscapeConfig(run=str(tmp_path), kind="plane")
    with pytest.raises(ValueError, match="figure landscape_plane_contour cannot be"):
        landscape._draw(landscape_table(), config, PaperStyle())
    assert drawn(tmp_path / "figures") == files({"landscape_plane_surface"})
    assert "landscape_plane_surface.png" in capsys.readouterr().out


def test_a_benchmark_keeps_its_record(tmp_path, monkeypatch, tally):
    tally["figures that cannot be drawn"] += 1
    monkeypatch.setattr(bench, "draw", no_tex)
    out = tmp_path / "bench.json"
    machine = Machine("a machine", 1.0, 1.0)
    undrawn = bench._write(out, {}, machine, [block(norm="none")])
    assert undrawn.startswith("figure bench cannot be drawn (")
    assert drawn(tmp_path) == {"bench.json"}


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf]])
@pytest.mark.parametrize("name", sorted({*OTHERS, ONE}))
def test_tables_without_numbers(name, values, run, tmp_path):
    """Empty, or nowhere finite: a figure, or its own fault; never an error."""
    table = FIGURES[name].tabulate(Sources(run).table("metrics"))
    table = table.iloc[: len(values)].copy()
    for column in ("median", "low", "high"):
        table[column] = values[: len(table)]
    try:
        style.draw_into(tmp_path, name, FIGURES[name].draw, table)
    except ValueError as error:
        assert str(error).startswith(f"figure {name} cannot be drawn (")
