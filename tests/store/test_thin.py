"""A thin copy says what its run says, at the steps it keeps."""

import math

import numpy as np
import pandas as pd
import pytest

from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.figures import Sources, draw_all
from normlab.flags import write
from normlab.store import __main__ as command
from normlab.store import load, load_quantity
from normlab.store.layout import read_json, write_json
from normlab.store.quantities import to_table, write_analysis
from normlab.store.run import open_run
from normlab.store.thin import thin
from tests.called import called
from tests.store.handmade import losses, make_cell, write_run

CELLS = (make_cell(), make_cell(norm="group", groups=4))
KEYS = ["cell", "member", "step"]


def both(tmp_path, until=None, loss=losses) -> tuple[pd.DataFrame, pd.DataFrame]:
    run = write_run(tmp_path / "run", CELLS, until=until, loss=loss)
    return load(run.root), load(thin(run.root, tmp_path / "thin").root)


def test_evaluations_stay_as_they_are(tmp_path):
    whole, small = both(tmp_path)
    names = [c for c in whole.columns if c.startswith(("train_", "test_"))]
    kept = whole[whole["test_loss"].notna()].reset_index(drop=True)
    assert len(small) == len(kept) < len(whole)
    pd.testing.assert_frame_equal(small[[*KEYS, *names]], kept[[*KEYS, *names]])
    assert set(small.columns) == set(whole.columns)


def test_what_is_measured_every_step_is_averaged_since_the_row_before(tmp_path):
    whole, small = both(tmp_path)
    one = (small["cell"] == CELLS[0].id) & (small["member"] == 2)
    steps = small[one]["step"].tolist()
    assert steps == [0, 10, 20]
    own = whole[(whole["cell"] == CELLS[0].id) & (whole["member"] == 2)]
    loss = own.set_index("step")["batch_loss"]
    expected = [loss[0], loss.loc[1:10].mean(), loss.loc[11:19].mean()]
    np.testing.assert_allclose(small[one]["batch_loss"], expected, rtol=1e-6)
    assert expected[1] != pytest.approx(loss[10], rel=1e-3)


@pytest.mark.parametrize("lost", [math.inf, math.nan])
def test_a_member_that_diverged_is_known_for_it(tmp_path, lost):
    def loss(member, step):
        return lost if step == 7 and member.seed == 1 else losses(member, step)

    whole, small = both(tmp_path, loss=loss)
    at_end = [
        frame[frame["step"] == 20].set_index(KEYS[:2]) for frame in (whole, small)
    ]
    assert at_end[0]["diverged"].sum() == 4
    pd.testing.assert_series_equal(at_end[0]["diverged"], at_end[1]["diverged"])


def test_the_flagfile_names_no_folder_of_the_machine(tmp_path):
    run = write_run(tmp_path / "run", CELLS)
    run.flags.write_text(f"--norm=batch\n--out={run.root}\n--lr=0.1\n")
    assert thin(run.root, tmp_path / "thin").flags.read_text() == (
        "--norm=batch\n--lr=0.1\n"
    )


def test_an_unfinished_run_is_copied_as_far_as_it_came(tmp_path):
    whole, small = both(tmp_path, until={CELLS[1].id: 13})
    other = small[small["cell"] == CELLS[1].id]
    assert other["step"].max() == 12
    assert other.loc[other["step"] == 12, "test_loss"].isna().all()


def test_quantities_come_along_or_those_that_are_named(tmp_path):
    run = write_run(tmp_path / "run", CELLS)
    for name in ("one", "two"):
        values = {"value": np.arange(6, dtype=np.float32)}
        table = to_table(0, values, (), {})
        write_analysis(run.cell(CELLS[0].id), name, table, {})
    everything = thin(run.root, tmp_path / "all")
    expected = load_quantity(run.root, "one")
    pd.testing.assert_frame_equal(load_quantity(everything.root, "one"), expected)
    some = thin(run.root, tmp_path / "some", ["two"])
    assert len(load_quantity(some.root, "two")) == 6
    with pytest.raises(UserError, match="one was not measured .*; a new run with"):
        load_quantity(some.root, "one")
    some.cell(CELLS[0].id).path.mkdir()
    with pytest.raises(UserError, match="normlab.analysis .* from the stored path"):
        load_quantity(some.root, "one")


def test_figures_are_drawn_of_it(tmp_path):
    run = write_run(tmp_path / "run", CELLS)
    small = thin(run.root, tmp_path / "thin")
    drawn, _ = draw_all(Sources(small.root), tmp_path / "figures", ["curves"])
    assert [path.suffix for path in drawn] == [".png", ".pdf", ".csv"]


def test_cells_that_were_run_in_several_places(tmp_path):
    """Each from where it came furthest, whatever the order; the rest is the first's."""
    batch, group = CELLS
    first = write_run(tmp_path / "run", CELLS, until={batch.id: 20, group.id: 10})
    rest = write_run(tmp_path / "rest", (group,))
    begun = write_run(tmp_path / "begun", (batch,), until={batch.id: 10})
    small = thin(first.root, tmp_path / "thin", more=[rest.root, begun.root])
    wanted = write_run(tmp_path / "whole", CELLS)
    found = load(small.root)
    pd.testing.assert_frame_equal(
        found, load(thin(wanted.root, tmp_path / "other").root)
    )
    once = load(thin(first.root, tmp_path / "alone").root)
    assert len(once) < len(found)
    stamps = [read_json(run.sweep)["sessions"] for run in (small, first, rest, begun)]
    assert stamps[0] == [one for own in stamps[1:] for one in own] != []


def test_the_command(tmp_path, capsys):
    write_run(tmp_path / "run", CELLS, until={CELLS[1].id: 10})
    write_run(tmp_path / "rest", CELLS[1:])
    words = [
        f"--run={tmp_path}/run",
        f"--run={tmp_path}/rest",
        f"--out={tmp_path}/thin",
    ]
    assert called(command.main, command.flag_values(), words) == 0
    assert "thin copy" in capsys.readouterr().out
    assert set(load(tmp_path / "thin").groupby("cell")["step"].max()) == {20}
    for lacking in (words[:2], words[2:]):
        assert called(command.main, command.flag_values(), lacking) == 1
        assert "give --run=RUN and --out=FOLDER" in capsys.readouterr().err


def test_another_sweep_is_no_part_of_it(tmp_path):
    run = write_run(tmp_path / "run", CELLS[:1])
    other = write_run(tmp_path / "other", CELLS)
    seeds = write_run(tmp_path / "seeds", CELLS[:1])
    sweep = read_json(seeds.sweep)
    write_json(seeds.sweep, sweep | {"config": sweep["config"] | {"num_seeds": 1}})
    for part, said in (
        (other, f"no cell {CELLS[1].id}"),
        (seeds, "has --num_seeds: 3, not 1"),
        (run, "given twice"),
    ):
        with pytest.raises(UserError, match=said):
            thin(run.root, tmp_path / "thin", more=[part.root])
    assert not (tmp_path / "thin").exists()


def test_it_is_not_gone_on_with(tmp_path):
    run = write_run(tmp_path / "run", CELLS)
    small, config = thin(run.root, tmp_path / "thin"), SweepConfig(steps=20)
    with pytest.raises(UserError, match="a thin copy of a run"):
        open_run(small, config, CELLS, write(config), None)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    run = write_run(tmp_path / "run", CELLS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        thin(run.root, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]
