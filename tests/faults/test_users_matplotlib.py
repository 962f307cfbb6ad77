"""A user's settings of matplotlib change no figure, and stop none."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.font_manager import FontManager
from matplotlib.lines import Line2D
from matplotlib.text import Text

from normlab.bench import figure as bench
from normlab.figures import (
    FIGURES,
    Sources,
    candidates,
    landscape_contour,
    landscape_line,
    landscape_surface,
    plotted,
)
from normlab.figures.style import save
from normlab.store import load
from tests.bench.small import block
from tests.faults import small
from tests.figures import made
from tests.figures.test_landscape_figures import table as landscape
from tests.forked import Job, forked
from tests.marks import slow

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
# There is no TeX here, nor such a font; the others would be seen.
HOSTILE: dict[Any, Any] = {
    "text.usetex": True,
    "font.family": "No Such Font",
    "font.size": 31,
    "axes.prop_cycle": cycler(color=["red"]),
    "axes.facecolor": "black",
    "lines.linewidth": 21,
    "figure.constrained_layout.use": True,
    "figure.autolayout": False,
    "savefig.dpi": 20_000,
    "savefig.format": "svgz",
    "savefig.bbox": "tight",
    "savefig.transparent": True,
    "figure.facecolor": "red",
    "legend.loc": "upper right",
    "path.sketch": (5, 5, 5),
    "axes.formatter.use_mathtext": True,
    "axes.unicode_minus": False,
    "xtick.major.size": 44,
    "agg.path.chunksize": 1,
    "pdf.compression": 0,
    "image.cmap": "hsv",
}
RUNS = [made.RUNS["plain"], made.RUNS["vgg"], made.RUNS["linear"]]
STORED = ["report_bn", "report_gn", "postmortem_batch_size", "postmortem_groups"]


@pytest.fixture
def hostile() -> Iterator[None]:
    with matplotlib.rc_context(HOSTILE):
        yield


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """What every figure plots, of some run."""
    runs = [made.write(tmp_path_factory.mktemp("run"), cells).root for cells in RUNS]
    runs += [ROOT / "experiments" / "results" / name for name in STORED]
    found: dict[str, pd.DataFrame] = {}
    for run in runs:
        sources = Sources(run)
        for name in set(candidates(sources)) - set(found):
            table = plotted(name, sources)
            if table is not None:
                found[name] = table
    return found


def assert_ours(figure: Figure) -> None:
    texts = figure.findobj(Text)
    assert texts and not any(text.get_usetex() for text in texts)
    assert {tuple(text.get_fontfamily()) for text in texts} == {("sans-serif",)}
    assert all(float(text.get_fontsize()) < 31 for text in texts)
    lines = figure.findobj(Line2D)
    assert all(line.get_linewidth() < 21 for line in lines)
    assert all(line.get_sketch_params() is None for line in lines)
    assert figure.get_facecolor() == (1, 1, 1, 1)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_as_without_them(name, tables, hostile, tally):
    tally["settings of a user's matplotlib"] += 1
    assert_ours(FIGURES[name].draw(tables[name]))


def of_batch_norm(kind: str) -> pd.DataFrame:
    """Panels of both kinds of statistics, and no more to draw."""
    table = landscape(kind)
    return table[table["setting"] == "batch"]


BESIDE = {
    "contour": (landscape_contour.draw, of_batch_norm("plane")),
    "surface": (landscape_surface.draw, of_batch_norm("plane")),
    "line": (landscape_line.draw, of_batch_norm("line")),
    "bench": (bench.draw, bench.tabulate([block(norm="none")], "a machine")),
}


@pytest.mark.parametrize("name", [*map(slow, BESIDE), "curves"])
def test_files_are_the_same_to_the_byte(name, tables, tmp_path, tally, monkeypatch):
    tally["settings of a user's matplotlib"] += 1
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # of the PDF
    entry = BESIDE.get(name)
    draw, table = entry or (FIGURES[name].draw, tables[name])
    expected = save(draw(table), table, tmp_path / "without", name)
    with matplotlib.rc_context(HOSTILE):
        figure = draw(table)
        assert_ours(figure)
        found = save(figure, table, tmp_path / "with", name)
    for one, other in zip(found, expected, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert sorted(path.suffix for path in found) == [".csv", ".pdf", ".png"]


RC = """text.usetex: True
font.family: No Such Font
savefig.dpi: 20000
axes.prop_cycle: cycler(color=['red'])
no such key: 1
no colon
font.size: huge
backend: nonsense
"""


def known_fonts(config: Path) -> None:
    """Spares a process the search for all fonts of the machine."""
    for file in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):
        shutil.copy(file, config)


def settings(folder: Path, kind: str) -> tuple[dict[str, str], Path]:
    """Variables, and where to start, of a user with settings of that kind."""
    (folder / "home").mkdir()
    config, here = folder / "home", ROOT
    known_fonts(config)
    variables = {"MPLBACKEND": "TkAgg"}
    if kind == "no such backend":
        variables["MPLBACKEND"] = "nonsense"
    elif kind == "a matplotlibrc":
        (config / "matplotlibrc").write_text(RC)
    elif kind == "a matplotlibrc of bytes":
        (config / "matplotlibrc").write_bytes(b"\xff\xfe\x00text.usetex: True")
    elif kind == "a matplotlibrc of bytes, here":
        (folder / "matplotlibrc").write_bytes(b"\xff\xfe\x00")
        here = folder
    elif kind == "a matplotlibrc elsewhere":
        (folder / "rc").write_text(RC)
        variables["MATPLOTLIBRC"] = str(folder / "rc")
    elif kind == "a broken style":
        (config / "stylelib").mkdir()
        (config / "stylelib" / "own.mplstyle").write_bytes(b"\xff\xfe\x00")
    elif kind == "a folder that is a file":
        config = folder / "file"
        config.write_text("")
    elif kind == "a folder that cannot be":
        config = Path("/proc/no/such")
    else:
        assert kind == "a broken list of fonts"
        version = FontManager.__version__
        (config / f"fontlist-v{version}.json").write_text("{garbage")
    return variables | {"MPLCONFIGDIR": str(config)}, here


KINDS = [
    "no such backend",
    "a matplotlibrc",
    "a matplotlibrc of bytes",
    "a matplotlibrc of bytes, here",
    "a matplotlibrc elsewhere",
    "a broken style",
    "a folder that is a file",
    "a folder that cannot be",
    "a broken list of fonts",
]
# What is drawn is small, and soon saved: every figure was drawn above.
ONE = """
import sys
from pathlib import Path
import pandas as pd
from normlab.figures.style import band, draw_into, style
from matplotlib.figure import Figure

def draw(table):
    with style():
        figure = Figure(figsize=(2, 2))
        look = {"color": "black"}
        band(figure.subplots(), table["x"], table, look=look, label="a - b")
        figure.suptitle("a title")
    return figure

table = pd.DataFrame({"x": [1, 2], "low": [0, 1], "median": [1, 2], "high": [3, 3]})
print(draw_into(Path(sys.argv[1]), "line", draw, table)[0].exists())
"""


SEEN = (
    "import normlab.figures, matplotlib; "
    "print(matplotlib.rcParams['lines.linewidth'], matplotlib.rcParams['backend'])"
)
SWEEP = """
import contextlib, sys
from tests import tiny
from tests.called import called
with contextlib.ExitStack() as stack:
    [stack.enter_context(patch) for patch in tiny.models()]
    from normlab.sweep import __main__ as sweep
    assert called(sweep.main, sweep.flag_values(), sys.argv[1:], sweep.PROGRAM) == 0
"""
# Nothing of matplotlib: that is left to each process.
IMPORTS = """
import numpy, pandas, jax, flax.linen, optax, orbax.checkpoint, PIL.Image, sys
import cycler, dateutil.parser, dateutil.rrule, fontTools.subset, kiwisolver, pyparsing
import packaging.version, xml.etree.ElementTree, contourpy
import normlab.store, normlab.sweep.execute, tests.tiny
assert "matplotlib" not in sys.modules
"""
MODULES = ["bench.figure", "page.drawn", "landscape"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("users")


@pytest.fixture(scope="module")
def ended(folder):
    """Processes that begin with such settings, by what each is about."""
    jobs = {}
    for kind in KINDS:
        (own := folder / kind).mkdir()
        variables, here = settings(own, kind)
        words = ["-c", ONE, str(own / "figures")]
        jobs[kind] = Job(words, variables, str(here))
    for module in MODULES:
        code = f"import normlab.{module}"
        jobs[module] = Job(["-c", code], {"MPLBACKEND": "nonsense"})
    (own := folder / "sound").mkdir()
    known_fonts(own)
    (own / "matplotlibrc").write_text("lines.linewidth: 7\n")
    variables = {"MPLBACKEND": "TkAgg", "MPLCONFIGDIR": str(own)}
    jobs["sound"] = Job(["-c", SEEN], variables)
    (own := folder / "sweep").mkdir()
    variables, _ = settings(own, "a matplotlibrc")
    words = ["-c", SWEEP, *small.words(own / "run", norm="none", steps=2)]
    jobs["sweep"] = Job(words, variables | {"MPLBACKEND": "nonsense"})
    (folder / "results").mkdir()
    return forked(IMPORTS, jobs, folder / "results", ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_begins_with_them_draws(kind, ended, tally):
    tally["settings of a user's matplotlib"] += 1
    done = ended[kind]
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n" and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_whatever_imports_matplotlib_first(module, ended, tally):
    """Each module that draws, as its command comes to import it."""
    tally["settings of a user's matplotlib"] += 1
    assert ended[module].returncode == 0, ended[module].stderr


@pytest.mark.slow
def test_what_matplotlib_can_read_stays_for_others(ended):
    assert ended["sound"].stdout.lower() == "7.0 tkagg\n"


@pytest.mark.slow
def test_a_sweep_from_its_beginning_to_its_figures(folder, ended, tally):
    """The whole command: the networks are trained, and their figures drawn."""
    tally["settings of a user's matplotlib"] += 1
    done, out = ended["sweep"], folder / "sweep" / "run"
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "cannot be drawn" not in done.stderr
    assert (out / "summary.csv").exists() and len(load(out))
    names = {path.name for path in (out / "figures").iterdir()}
    assert {"curves.png", "curves.pdf", "curves.csv", "lr_sensitivity.png"} <= names


def test_the_tables_are_those_of_every_figure(tables):
    """So that none is passed over above."""
    assert set(tables) == set(FIGURES)
