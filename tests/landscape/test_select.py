"""Which cells and members a command is about."""

import pytest

from normlab.errors import UserError
from normlab.landscape.select import origin_member, selected_cells, selected_members
from tests.landscape import made

CELL = made.cell()


def names(run, **changes) -> list[str]:
    return [cell.config.norm for _, cell in selected_cells(made.config(run, **changes))]


def test_cells(run):
    assert names(run.root) == list(made.NORMS)
    assert names(run.root, norm=("group", "none")) == ["none", "group"]
    batch = CELL.id
    assert names(run.root, cell=(batch,)) == ["batch"]
    assert names(run.root, cell=("tiny-tiny-n", batch[:-2])) == ["none", "batch"]
    for own, cell in selected_cells(made.config(run.root)):
        assert own == run.cell(cell.id)


def test_cells_that_are_not_there(run, tmp_path):
    with pytest.raises(UserError, match="--norm=layer: the run has none, batch, group"):
        names(run.root, norm=("layer",))
    with pytest.raises(UserError, match="--cell=digits: no such cell; .*tiny-"):
        names(run.root, cell=("digits",))
    with pytest.raises(UserError, match="is not a run directory"):
        names(tmp_path)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0]),
        ({"lr": (0.1,)}, [1]),
        ({"seed": (1,)}, [2]),
        ({"seed": (1, 0), "lr": (0.1, 0.01)}, [0, 1, 2, 3]),
    ],
)
def test_members(changes, expected):
    assert selected_members(CELL, made.config(**changes)) == expected


def test_members_that_are_not_there():
    with pytest.raises(UserError, match="--lr=0.5: members of .* have 0.01, 0.1"):
        selected_members(CELL, made.config(lr=(0.5,)))
    with pytest.raises(UserError, match="--seed=7: members of .* have 0, 1"):
        selected_members(CELL, made.config(seed=(0, 7)))
    with pytest.raises(UserError, match="--from_seed=2: members of .* have 0, 1"):
        origin_member(CELL, 0, made.config(from_seed=2))


def test_where_an_interpolation_starts():
    assert origin_member(CELL, 1, made.config()) == 1
    assert origin_member(CELL, 1, made.config(from_seed=1)) == 3
    assert origin_member(CELL, 1, made.config(from_lr=0.01)) == 0
    assert origin_member(CELL, 1, made.config(from_lr=0.01, from_seed=1)) == 2
