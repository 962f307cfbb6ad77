"""A full disk: one line, nothing lost, and with room again the same command goes on."""

import json

import pytest

from tests.faults import namespace

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_a_disk_that_is_full_at_every_write_in_turn(tmp_path, tally):
    """Each start has a little more room, so another write is the one that fails."""
    disk, elsewhere = tmp_path / "disk", tmp_path / "elsewhere"
    disk.mkdir()
    elsewhere.mkdir()
    mount = f"mount -t tmpfs -o size=16m none {disk}"
    done = namespace.python(
        mount, "tests.faults.on_full_disk", str(disk), str(elsewhere)
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    errors = found["errors"]
    tally["times out of disk"] += len(errors)
    assert found["leftovers"] == []
    assert all("No space left on device" in error for error in errors)
    for what in ("sweep.json", "metrics/part-", "path/", "checkpoints/", "figures"):
        assert any(what in error for error in errors), "\n".join(errors)
