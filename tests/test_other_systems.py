"""What Linux has and other systems lack is not needed: it is hidden from Python."""

import os
import subprocess
import sys

import pytest

# filelock and psutil come first: they have a way of their own for each system.
HIDE = """
import sys
import filelock, psutil
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None
for name in ("array_record", "uvloop"):  # packages without a wheel for Windows
    sys.modules[name] = None
"""
IMPORT_ALL = """
import importlib, pkgutil
import normlab
try:
    import fcntl
except ImportError:
    print("hidden")
for module in pkgutil.walk_packages(normlab.__path__, "normlab."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        if error.name not in ("torch", "ray", "playwright"):  # extras
            raise
print("imported")
"""
SWEEP = """
from normlab.flags import run
from normlab.sweep.__main__ import flag_values, main
run(main, flag_values(), program="normlab.sweep", doc="", argv=sys.argv[1:])
"""
TINY = (
    "--dataset=digits",
    "--train_size=60",
    "--batch_size=20",
    "--norm=batch",
    "--steps=2",
    "--path_every=1",
    "--num_seeds=1",
    "--devices=1",
    "--train_eval_size=20",
    "--compilation_cache=none",
)


def child(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", HIDE + code, *words],
        env=variables | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_every_module_imports():
    done = child(IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["hidden", "imported"]


@pytest.mark.slow
def test_a_sweep_runs(tmp_path):
    done = child(SWEEP, *TINY, f"--out={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "final test_accuracy" in done.stdout
    assert (tmp_path / "run" / "summary.csv").exists()
    assert list((tmp_path / "run" / "cells").glob("*/path/*"))
