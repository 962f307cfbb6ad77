"""Two processes on one cell and on one run: the same table, nothing damaged."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from normlab.errors import UserError
from normlab.store import load
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


@pytest.mark.slow
def test_two_on_one_run(tmp_path, tally):
    """Both start at once; whoever is refused says so, and a third finds all done."""
    tally["processes beside another"] += 1
    settings = {"norm": "none,batch", "model": "small_cnn", "init": "standard"}
    settings["compilation_cache"] = str(tmp_path / "compiled")

    def start(out):
        return subprocess.Popen(
            [sys.executable, "-m", "normlab.sweep", *small.words(out, **settings)],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "MPLBACKEND": "Agg"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(process) -> tuple[int, str]:
        _, said = process.communicate(timeout=300)
        return process.returncode, said

    assert end(start(tmp_path / "whole"))[0] == 0
    out = tmp_path / "run"
    for status, said in [end(process) for process in [start(out), start(out)]]:
        assert "Traceback" not in said
        if status:
            assert status == 1 and "another process" in said.splitlines()[-1], said
    status, said = end(start(out))
    assert status == 0, said
    pd.testing.assert_frame_equal(load(out), load(tmp_path / "whole"), check_exact=True)
