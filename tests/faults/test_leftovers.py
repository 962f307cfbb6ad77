"""What a killed write left is removed by the next holder of the lock, not before."""

import pytest

from normlab.errors import UserError
from normlab.store.leftovers import remove_leftovers
from normlab.store.lock import only_writer
from tests.faults import small

pytestmark = pytest.mark.faults


@pytest.mark.slow
def test_half_written_files_are_removed(tmp_path, tally):
    whole = small.begin(tmp_path / "whole")
    small.go_on(whole)
    paths = small.begin(tmp_path / "run")
    small.interrupt(paths, 3)
    own = small.own(paths)
    half = [
        own.root / ".cell.json.7.tmp",
        own.metrics / ".part-00000009.parquet.7.tmp",
        own.probes / "gradient_norm" / ".part-00000009.parquet.7.tmp",
        own.checkpoints / "9.orbax-checkpoint-tmp" / "default" / "x",
        own.path / "9.orbax-checkpoint-tmp-1" / "x",
    ]
    others = [own.analysis / ".parameter_norm.parquet.7.tmp", own.root / "notes.txt"]
    for file in (*half, *others):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("half")
    tally["leftovers"] += len(half)
    with only_writer(own.lock), pytest.raises(UserError):
        small.go_on(paths)
    assert all(file.exists() for file in half)
    small.go_on(paths)
    assert not [file for file in half if file.exists()]
    assert all(file.exists() for file in others)
    small.same_run(paths, whole)


def test_nothing_is_there(tmp_path):
    remove_leftovers(small.CellPaths(tmp_path / "none"))
