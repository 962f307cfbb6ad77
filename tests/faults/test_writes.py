"""A sweep writes to --out, the compilation cache and the system's temporary folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.slow]

# Tells every file that Python opens for writing, makes, renames or removes, and every
# program that is started.
WATCHED = """
import atexit, json, os, runpy, sys

seen = []

def hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and isinstance(path, (str, bytes)):
            seen.append(["write", os.path.abspath(os.fsdecode(path))])
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink",
                   "os.link", "os.truncate", "shutil.rmtree"):
        for path in arguments[:2]:
            if isinstance(path, (str, bytes)):
                seen.append(["write", os.path.abspath(os.fsdecode(path))])
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        seen.append(["start", str(arguments[0])])
    elif event == "pickle.find_class":
        seen.append(["pickle", str(arguments)])
    elif event == "socket.connect":
        seen.append(["network", str(arguments[1])])

def tell(file=open(sys.argv.pop(1), "w"), dump=json.dump):
    dump(list(seen), file)
    file.close()

atexit.register(tell)
sys.dont_write_bytecode = True
sys.addaudithook(hook)
sys.argv = ["sweep", *sys.argv[1:]]
runpy.run_module("normlab.sweep", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("watched")
    for name in ("home", "here", "data", "out", "tmp"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(scope="module")
def seen(folder) -> list[list[str]]:
    words = [
        "--train_size=60", "--batch_size=20", "--norm=batch", "--steps=2",
        "--num_seeds=1", "--width=0.1", "--path_every=1", "--quantities=gradient_norm",
        f"--out={folder / 'out' / 'run'}", f"--data_dir={folder / 'data'}",
    ]  # fmt: skip
    home, temporary = str(folder / "home"), str(folder / "tmp")
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(folder / "seen.json"), *words],
        cwd=folder / "here",
        env={
            **os.environ,
            "HOME": home,
            "XDG_CACHE_HOME": f"{home}/.cache",
            "MPLCONFIGDIR": temporary,
            "TMPDIR": temporary,
            "JAX_PLATFORMS": "cpu",
            "MPLBACKEND": "Agg",
        },
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "seen.json").read_text())


def test_nothing_is_written_elsewhere(folder, seen):
    written = {Path(path) for kind, path in seen if kind == "write"}
    assert any(path.is_relative_to(folder / "out" / "run") for path in written)
    allowed = [folder / name for name in ("out", "data", "tmp")]
    allowed += [Path("/dev"), Path("/proc/self")]
    odd = {p for p in written if not any(p.is_relative_to(a) for a in allowed)}
    assert not odd


def test_nothing_is_left_elsewhere(folder, seen):
    """What libraries write without Python is found on the disk."""
    for name in ("home", "here"):
        assert not [*(folder / name).rglob("*")]
    assert {path.name for path in (folder / "data").iterdir()} <= {"compiled"}


def test_nothing_is_started_but_git(seen):
    started = {Path(what).name for kind, what in seen if kind == "start"}
    assert started <= {"git", "fc-list"}  # matplotlib's, once, for its list of fonts


def test_nothing_is_unpickled_or_fetched(seen):
    assert not [what for kind, what in seen if kind in ("pickle", "network")]
