"""A folder that may be read and not written, for root as well: a read-only mount."""

import pytest

from tests.faults import namespace, small

pytestmark = pytest.mark.faults


def sweep(out, mount, *more):
    words = small.words(out, norm="none", steps=2, model="small_cnn", init="standard")
    command = f"mount --bind {mount} {mount} && mount -o remount,bind,ro {mount}"
    return namespace.python(command, "normlab.sweep", *words, *more)


def test_a_new_run_is_refused_in_one_line(tmp_path, tally):
    tally["read-only folders"] += 1
    done = sweep(tmp_path / "run", tmp_path)
    assert done.returncode == 1, done.stderr
    small.one_line(done.stderr)
    assert "Read-only file system" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_finished_run_is_read_and_an_unfinished_one_refused(tmp_path, tally):
    tally["read-only folders"] += 2
    out = tmp_path / "run"
    words = small.words(out, norm="none", steps=2, model="small_cnn", init="standard")
    done = namespace.python("true", "normlab.sweep", *words)
    assert done.returncode == 0, done.stderr
    expected = small.load(out)
    done = sweep(out, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "complete: nothing is left to run" in done.stdout
    for record in out.glob("cells/*/cell.json"):
        record.unlink()
    done = sweep(out, tmp_path)
    assert done.returncode == 1
    small.one_line(done.stderr)
    assert "Read-only file system" in done.stderr
    done = namespace.python("true", "normlab.sweep", *words)
    assert done.returncode == 0, done.stderr
    small.pd.testing.assert_frame_equal(small.load(out), expected, check_exact=True)
