"""The table of the figures: which landscape is which."""

import numpy as np
import pytest

from normlab.errors import UserError
from normlab.landscape.compute import CellLandscapes
from normlab.landscape.table import load_landscapes, tabulate
from tests.landscape import made


def compute(run, norm: str, members=(0,), **changes):
    cell = made.cell(norm)
    config = made.config(run.root, **changes)
    own = CellLandscapes(run.cell(cell.id), cell, config)
    return [own.compute(i, made.silent) for i in members]


def test_norms_side_by_side(run):
    found = [one for norm in made.NORMS for one in compute(run, norm, kind="line")]
    table = tabulate(found)
    assert list(dict.fromkeys(table["setting"])) == ["none", "batch", "group (G=2)"]
    assert table.groupby("setting", sort=False).size().tolist() == [3, 6, 3]
    assert table.groupby("setting")["running"].first().tolist() == [True, False, False]
    assert (table["seed"] == 0).all() and (table["lr"] == 0.01).all()
    assert (table["step"] == 12).all() and (table["batch"] == 5).all()
    assert table["path_step"].isna().all()
    assert np.isfinite(table["loss"]).all()


def test_members_side_by_side(run):
    table = tabulate(compute(run, "none", (1, 2), kind="line"))
    assert list(dict.fromkeys(table["setting"])) == [
        "none, seed 0, lr 0.1",
        "none, seed 1, lr 0.01",
    ]


def test_a_path_has_rows_of_its_own(run):
    table = tabulate(compute(run, "batch", kind="path"))
    path = table[table["path_step"].notna()]
    assert path["loss"].isna().all() and len(path) == 2 * len(made.STEPS)
    for _, rows in path.groupby("statistics"):
        assert rows["path_step"].tolist() == list(made.STEPS)
    assert len(table) - len(path) == 2 * 9
    assert table["share_a"].nunique() == 1


def test_what_a_run_holds(tmp_path):
    run = made.write_run(tmp_path / "run", made.cell("none"), made.cell("group"))
    with pytest.raises(UserError, match="no line is stored in .*--kind=line"):
        load_landscapes(run.root, "line")
    expected = [*compute(run, "none", kind="line"), *compute(run, "group", kind="line")]
    compute(run, "none")
    found = load_landscapes(run.root, "line")
    assert found.equals(tabulate(expected))
