"""A workspace goes away, with the folders made for it and what the dead left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from normlab.data.workspace import workspace


def test_it_goes_away_with_the_folders_made_for_it(tmp_path):
    root = tmp_path / "a" / "b"
    with pytest.raises(KeyboardInterrupt), workspace(root) as work:
        assert work.parent == root
        (work / "file").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_was_made_stays(tmp_path):
    root = tmp_path / "a" / "b"
    with workspace(root):
        (root / "result").write_text("whole")
    assert [path.name for path in root.iterdir()] == ["result"]


def test_an_empty_folder_that_was_there_stays(tmp_path):
    with workspace(tmp_path):
        pass
    assert tmp_path.is_dir()


def age(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_what_a_killed_process_left_is_removed(tmp_path):
    code = (
        "import os, signal, sys, pathlib\n"
        "from normlab.data.workspace import workspace\n"
        "with workspace(pathlib.Path(sys.argv[1])) as work:\n"
        "    (work / 'large').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    (left,) = tmp_path.iterdir()
    with workspace(tmp_path):
        assert left.exists()  # too young to be sure
    age(left)
    with workspace(tmp_path):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_live_one_is_left_alone(tmp_path):
    with workspace(tmp_path) as first:
        age(first)
        with workspace(tmp_path):
            assert first.exists()
