"""Two processes on one cell: the same table, nothing damaged.

Two on one run are in tests/sweep/engines/test_processes.py.
"""

import pytest

from normlab.errors import UserError
from normlab.store.lock import only_writer
from normlab.store.run import cell_status
from tests.faults import small

pytestmark = pytest.mark.faults


def test_two_on_one_cell(tmp_path, tally):
    """While one is at work, in the middle of it, another comes."""
    tally["processes beside another"] += 1
    whole = small.begin(tmp_path / "whole")
    small.go_on(whole)
    paths = small.begin(tmp_path / "run")
    refused = []

    class Company(small.tiny.Silent):
        def advance(self, steps, losses_M):
            with pytest.raises(UserError, match="another process") as caught:
                small.go_on(paths)
            refused.append(caught.value)

    small.go_on(paths, Company())
    assert len(refused) > 3
    small.same_run(paths, whole)


def test_the_lock_of_a_cell_is_free_after_it(tmp_path):
    paths = small.begin(tmp_path / "run")
    small.go_on(paths)
    with only_writer(small.own(paths).lock):
        assert cell_status(small.own(paths)) == "complete"
