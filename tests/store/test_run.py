"""A run directory: made, reopened, refused."""

import dataclasses
import json

import pytest

from normlab.cell import CellConfig
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.flags import write
from normlab.settings import earlier
from normlab.store import reopen, run
from normlab.store.layout import RunPaths, read_json, write_json
from normlab.store.run import cell_status, open_run, read_cell, write_cell
from tests.store.handmade import make_cell

CELLS = (make_cell(), make_cell(norm="group", groups=4))
CONFIG = SweepConfig(steps=20)


def start(paths: RunPaths, session: dict | None, **changes) -> None:
    config = dataclasses.replace(CONFIG, **changes)
    open_run(paths, config, CELLS, write(config), session)


@pytest.fixture
def paths(tmp_path) -> RunPaths:
    return RunPaths.at(tmp_path / "run")


def test_a_new_run(paths):
    start(paths, {"started": "first"})
    record = read_json(paths.sweep)
    assert record["format"] == reopen.FORMAT
    assert record["config"]["lr"] == [0.001]
    assert record["cells"] == [cell.id for cell in CELLS]
    assert record["sessions"] == [{"started": "first"}]
    assert paths.flags.read_text().splitlines() == write(CONFIG)
    assert {p.name for p in paths.root.iterdir()} == {
        "sweep.json",
        "flags.txt",
        "lock",
    }


def test_an_empty_folder_is_taken(paths):
    paths.root.mkdir()
    start(paths, {"started": "first"})
    assert paths.sweep.exists()


def test_every_start_is_remembered(paths):
    start(paths, {"started": "first"})
    start(paths, {"started": "second"})
    sessions = read_json(paths.sweep)["sessions"]
    assert [session["started"] for session in sessions] == ["first", "second"]


def test_a_run_from_before_a_setting_came_goes_on(paths):
    start(paths, {"started": "first"})
    record = read_json(paths.sweep)
    for name in earlier(SweepConfig):
        del record["config"][name]
    write_json(paths.sweep, record)
    start(paths, {"started": "second"})
    assert len(read_json(paths.sweep)["sessions"]) == 2
    with pytest.raises(UserError, match=r"--grouping: \['sequential'\] there"):
        start(paths, {"started": "third"}, grouping=("random",))
    with pytest.raises(UserError, match="eval_epochs: 1.0 there, 0.5 requested"):
        start(paths, {"started": "third"}, eval_epochs=0.5)


def test_a_renamed_setting_is_told_by_its_new_name(paths):
    start(paths, {"started": "first"})
    assert read_json(paths.sweep)["config"]["bn_eval"] == ["running"]
    message = r"--eval_statistics: \['running'\] there, \['batch'\] requested"
    with pytest.raises(UserError, match=message):
        start(paths, {"started": "second"}, eval_statistics=("batch",))


def test_without_a_session_nothing_is_written(paths):
    start(paths, None)
    assert not paths.root.exists()
    start(paths, {"started": "first"})
    before = paths.sweep.read_bytes(), paths.sweep.stat().st_mtime_ns
    start(paths, None)
    assert (paths.sweep.read_bytes(), paths.sweep.stat().st_mtime_ns) == before


@pytest.mark.parametrize("session", [None, {"started": "again"}])
def test_another_configuration_is_refused(paths, session):
    start(paths, {"started": "first"})
    before = paths.sweep.read_bytes()
    with pytest.raises(UserError) as caught:
        start(paths, session, lr=(0.01, 0.1))
    message = str(caught.value)
    assert f"--out={paths.root} has another configuration" in message
    assert "--lr: [0.001] there, [0.01, 0.1] requested" in message
    assert "choose another --out" in message
    assert paths.sweep.read_bytes() == before


def test_other_cells_are_refused(paths):
    start(paths, {"started": "first"})
    before = paths.sweep.read_bytes()
    with pytest.raises(UserError, match="begun by another version"):
        open_run(paths, CONFIG, CELLS[:1], write(CONFIG), {"started": "second"})
    assert paths.sweep.read_bytes() == before


def test_foreign_files_are_left_alone(paths):
    paths.root.mkdir()
    thesis = paths.root / "thesis.tex"
    thesis.write_text("mine")
    with pytest.raises(UserError, match="contains files of something else"):
        start(paths, {"started": "first"})
    assert list(paths.root.iterdir()) == [thesis]


def test_what_a_killed_start_left_is_not_foreign(paths, monkeypatch):
    # Killed while writing sweep.json: only its temporary is there.
    paths.root.mkdir()
    (paths.root / ".sweep.json.123.tmp").write_text("{")
    start(paths, {"started": "second"})
    # Killed between the two files.
    paths.flags.unlink()
    start(paths, {"started": "third"})
    assert len(read_json(paths.sweep)["sessions"]) == 2
    assert paths.flags.exists()


def test_a_start_killed_between_its_files_can_be_repeated(paths, monkeypatch):
    def killed(path, text):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            start(paths, {"started": "first"})
    start(paths, {"started": "second"})
    assert paths.flags.exists()


@pytest.mark.parametrize("below", ["", "deeper/run"])
def test_a_file_in_place_of_the_folder(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    paths = RunPaths.at(tmp_path / "file" / below)
    with pytest.raises(UserError, match="cannot (use|write) .*file"):
        start(paths, {"started": "first"})
    assert (tmp_path / "file").read_text() == "mine"


def test_another_format_is_refused(paths):
    start(paths, {"started": "first"})
    record = read_json(paths.sweep)
    write_json(paths.sweep, record | {"format": 0})
    with pytest.raises(UserError, match=r"sweep\.json has format 0; .* reads 3"):
        start(paths, {"started": "second"})


@pytest.mark.parametrize("damage", [{"config": None}, {"config": []}, {"sessions": 3}])
def test_a_damaged_sweep_is_refused(paths, damage):
    start(paths, {"started": "first"})
    write_json(paths.sweep, read_json(paths.sweep) | damage)
    with pytest.raises(UserError, match=r"sweep\.json is damaged"):
        start(paths, {"started": "second"})


def test_a_cell_and_back(paths):
    own = paths.cell("x")
    assert cell_status(own) == "absent"
    write_cell(own, CELLS[1], "running")
    assert cell_status(own) == "running"
    assert read_cell(own) == CELLS[1]
    write_cell(own, CELLS[1], "complete", run_seconds=1.5)
    assert cell_status(own) == "complete"
    assert read_json(own.config)["run_seconds"] == 1.5
    assert read_cell(own).id == CELLS[1].id


@pytest.mark.parametrize(
    "damage",
    [
        {"members": None},
        {"members": [{"seed": 0}]},
        {"config": {}},
        {"config": 3},
    ],
)
def test_a_damaged_cell_is_named(paths, damage):
    own = paths.cell("x")
    write_cell(own, CELLS[0], "running")
    write_json(own.config, read_json(own.config) | damage)
    with pytest.raises(UserError):
        read_cell(own)
    own.config.write_text(json.dumps({"status": "running"}))
    with pytest.raises(UserError, match=r"cell\.json is damaged"):
        read_cell(own)


def test_a_cell_from_before_a_setting_came_is_read(paths):
    cell = CELLS[0]
    place = paths.cell(cell.id)
    write_cell(place, cell, "complete")
    value = read_json(place.config)
    for name in earlier(CellConfig):
        del value["config"][name]
    write_json(place.config, value)
    assert read_cell(place) == cell


def test_a_lost_record_is_made_again(paths):
    start(paths, {"started": "first"})
    write_cell(paths.cell(CELLS[0].id), CELLS[0], "complete")
    paths.sweep.unlink()
    with pytest.raises(UserError, match="belong to another configuration"):
        open_run(paths, CONFIG, CELLS[1:], write(CONFIG), {"started": "second"})
    start(paths, {"started": "second"})
    assert [x["started"] for x in read_json(paths.sweep)["sessions"]] == ["second"]
    assert cell_status(paths.cell(CELLS[0].id)) == "complete"
