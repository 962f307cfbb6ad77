"""A run directory from someone else: it can neither run code nor lead out of itself."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.page import document
from normlab.store import checkpoints, load
from normlab.store.layout import RunPaths, read_json, write_json
from normlab.store.quantities import to_table, write_analysis
from normlab.store.run import open_run
from tests.faults.commands import Ended, assert_fine, call, commands
from tests.page.bare import no_figures
from tests.store.handmade import make_cell, write_run

pytestmark = pytest.mark.faults

COMMANDS = commands()
# Each with a run, and what else it needs.
READERS = {
    "normlab.figures": ["--figures=curves"],
    "normlab.page": ["--out={out}"],
    "normlab.claims": ["--out={out}/ledger.csv"],
    "normlab.store": ["--out={out}"],
    "normlab.tensorboard": [],
    "normlab.analysis": ["--quantities=gradient_norm"],
    "normlab.landscape": [],
}
WRITERS = [name for name in READERS if name not in ("normlab.page", "normlab.claims")]
READERS["normlab.sweep"] = ["--status", "--out={run}"]


@pytest.fixture
def run(tmp_path) -> RunPaths:
    cell = make_cell((1e-3,), seeds=2)
    paths = write_run(tmp_path / "run", [cell])
    own = paths.cell(cell.id)
    fields = {"norm": np.ones((2, 1), np.float32)}
    table = to_table(0, fields, ("part",), {"part": ["all"]})
    write_analysis(own, "gradient_norm", table, {})
    return paths


@pytest.fixture
def cell() -> Cell:
    return make_cell((1e-3,), seeds=2)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def use(name: str, run: RunPaths) -> Ended:
    """The command on ``run``; nothing but RUN and ``out`` beside it is written to."""
    folder = run.root.parent
    given = [] if name == "normlab.sweep" else ["--run={run}"]
    words = [w.format(out=folder / "out", run=run.root) for w in given + READERS[name]]
    before = tree(folder)
    ended = call(name, COMMANDS[name], words)
    assert_fine(name, ended)
    after = tree(folder)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert {Path(path).parts[0] for path in changed} <= {"run", "out"}
    return ended


def edit(path: Path, change) -> None:
    """Changes what is said, as who means harm would: with the digest of it."""
    value = read_json(path)
    change(value)
    write_json(path, value)


NAMES = ["../../x", "/etc", "..", ".", "", "a/b", 7, None, {"a": 1}, "a\0b", "a\nb"]


@pytest.mark.parametrize("name", NAMES)
def test_cells_of_odd_names(run, name):
    def change(sweep):
        sweep["cells"] = [name]

    edit(run.sweep, change)
    for command in READERS:
        ended = use(command, run)
        assert ended.status == 1 and "no cell is called" in ended.err


@pytest.mark.parametrize("cells", [{}, "abc", 5, None])
def test_cells_that_are_no_list(run, cells):
    edit(run.sweep, lambda sweep: sweep.update(cells=cells))
    with pytest.raises(UserError, match="not a list"):
        load(run.root)


VALUES = [
    ("dataset", "../../../outside"),
    ("norm", "/tmp/outside"),
    ("model", ".."),
    ("norm", "batch\x1b[2J"),
    ("norm", "$\\undefined$"),
    ("norm", "x" * 5000),
    ("steps", "20"),
    ("steps", 10**30),
    ("steps", True),
    ("width", "wide"),
    ("probes", "gradient_norm"),
    ("probes", [["a"]]),
    ("groups", 1.5),
]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_settings_that_could_be_something_else(run, cell, name, value):
    edit(run.cell(cell.id).config, lambda found: found["config"].update({name: value}))
    for command in READERS:
        ended = use(command, run)
        if command == "normlab.sweep":  # it says so, of the cell
            assert ended.status == 0 and "1 damaged" in ended.out
        else:
            assert ended.status == 1


@pytest.mark.parametrize("members", [[], {}, "ab", [7], [{"seed": "../x"}]])
def test_members_that_are_none(run, cell, members):
    edit(run.cell(cell.id).config, lambda found: found.update(members=members))
    with pytest.raises(UserError):
        load(run.root)


LINKS = [
    "",
    "metrics",
    "analysis",
    "landscapes",
    "tensorboard",
    "checkpoints/20",
    "lock",
]


@pytest.mark.parametrize("where", LINKS)
def test_links_that_lead_out(run, cell, where):
    outside = run.root.parent / "outside"
    outside.mkdir()
    place = run.cell(cell.id).root / where
    if place.exists():
        place.rename(run.root.parent / "moved")
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside)
    for command in WRITERS:
        ended = use(command, run)
        assert ended.status == 1 and "leads out of the run" in ended.err
    with pytest.raises(UserError, match="leads out of the run"):
        open_run(run, SweepConfig(steps=20), (cell,), [], {"started": "now"})
    assert not [*outside.iterdir()]


def test_links_within_the_run_and_to_it(run, tmp_path, cell):
    (run.root / "latest").symlink_to(run.cell(cell.id).root)
    (tmp_path / "name").symlink_to(run.root)
    (run.root / "circle").symlink_to(run.root / "circle")
    linked = RunPaths.at(tmp_path / "name")
    with pytest.raises(UserError, match="circle"):
        open_run(linked, SweepConfig(steps=20), (cell,), [], None)
    (run.root / "circle").unlink()
    open_run(linked, SweepConfig(steps=20), (cell,), [], None)


def test_a_flagfile_that_names_another(run):
    """What it names is read as flags and nothing else; no line of it is carried out."""
    run.flags.write_text("--flagfile=/etc/passwd\n")
    words = [f"--flagfile={run.flags}", "--dry_run"]
    ended = call("normlab.sweep", COMMANDS["normlab.sweep"], words)
    assert_fine("normlab.sweep", ended)
    assert ended.status == 1 and "unexpected word" in ended.err


EVIL = "<script>alert(1)</script>"


def test_a_page_shows_what_a_run_says_as_text(run, monkeypatch, cell):
    own = run.cell(cell.id)
    evil = "<img src=x onerror=alert(1)>"
    edit(own.config, lambda found: found["config"].update(dataset=evil, model=evil))
    edit(own.config, lambda found: found.update(status=EVIL, run_seconds=EVIL))
    (own.analysis / "gradient_norm.parquet").rename(own.analysis / f"{evil}.parquet")
    stamp = {"started": EVIL, "device": EVIL, "versions": {EVIL: EVIL}}
    edit(run.sweep, lambda sweep: sweep.update(sessions=[stamp]))
    run.flags.write_bytes(EVIL.encode() + b"\xff\xfe")
    no_figures(monkeypatch)
    monkeypatch.setattr(document, "ledger", lambda runs: [])
    text = document.render([run.root])
    assert "alert(1)" in text
    assert EVIL not in text and evil not in text
    assert text.count("<script") == 2  # its own, and the curves'


RECORDS = [
    (5, None),
    ([5, None, "a"], []),
    ([{"started": 5}], {"lr": 5, "norm": {"a": [1]}}),
    ([{"versions": ["a"], "device": {}}], {}),
]


@pytest.mark.parametrize(("sessions", "config"), RECORDS)
def test_a_page_of_odd_records(run, monkeypatch, sessions, config):
    edit(run.sweep, lambda sweep: sweep.update(sessions=sessions, config=config))
    no_figures(monkeypatch)
    monkeypatch.setattr(document, "ledger", lambda runs: [])
    assert "Origin of the results" in document.render([run.root])


def test_tables_and_checkpoints_run_nothing(run, tmp_path, cell):
    """By what Python's audit hooks are told while hostile ones are read."""
    seen: list[str] = []
    reading = [False]

    def hook(event, arguments):
        if reading[0] and event in (
            "pickle.find_class", "exec", "os.system", "subprocess.Popen",
            "marshal.loads", "ctypes.dlopen",
        ):  # fmt: skip
            seen.append(f"{event} {arguments}")

    sys.addaudithook(hook)
    part = next(run.cell(cell.id).metrics.glob("*.parquet"))
    table = pq.read_table(part)
    evil = {
        b"pandas": json.dumps({"columns": [], "index_columns": ["os.system('x')"]}),
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": b"\x80\x02cos\nsystem\nU\x04trueR.",
    }
    fields = [pa.field(f.name, f.type, metadata=evil) for f in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), part, write_page_checksum=True)
    tree = {"a": np.arange(3, dtype=np.float32)}
    checkpoints.save(tmp_path / "states", 1, tree, keep=None)
    checkpoints.load(tmp_path / "states", 1, tree)  # what is imported is imported
    for path in (tmp_path / "states").rglob("*"):
        if path.is_file() and path.name.startswith("_"):
            text = path.read_text()
            path.write_text(text.replace("dict", "os.system").replace("numpy", "os"))
    load(run.root)
    reading[0] = True
    load(run.root)
    try:
        checkpoints.load(tmp_path / "states", 1, tree)
    except UserError as error:
        assert "\n" not in str(error)
    reading[0] = False
    assert seen == []
