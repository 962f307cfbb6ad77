"""A signal while a command starts: one line and 128 + it; when it ends: no matter."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.commands import commands

RESUMED = ("normlab.sweep", "normlab.landscape")
pytestmark = pytest.mark.faults
BOTH = [signal.SIGTERM, signal.SIGINT]

# Python runs it before the command. The signal comes when the first package that is
# not Python's own is imported, or at the very end.
FIRST_IMPORT = """
import os, signal, sys, time

class Finder:
    @staticmethod
    def find_spec(name, *_):
        first = name.partition(".")[0]
        if first != "normlab" and first not in sys.stdlib_module_names:
            os.kill(os.getpid(), {signum})
            time.sleep(0)
            os.write(1, b"still here")

sys.meta_path.insert(0, Finder)
"""
AT_EXIT = """
import atexit, os
atexit.register(os.kill, os.getpid(), {signum})
"""
# Modules are taken apart when Python has forgotten all handlers.
IN_PIECES = """
import os
class Last:
    def __del__(self, kill=os.kill, me=os.getpid()):
        kill(me, {signum})
last = Last()
"""


def end(folder: Path, code: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs Python with ``code`` before anything else."""
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )


@pytest.mark.parametrize("name", commands())
def test_a_signal_while_a_command_imports(name, tmp_path, tally):
    signum = BOTH[len(name) % 2]
    tally["signals"] += 1
    code = FIRST_IMPORT.format(signum=int(signum))
    done = end(tmp_path, code, ["-m", name, "--help"])
    again = ". Run the same command again to continue." * (name in RESUMED)
    said = f"{name}: stopped by {signum.name}{again}\n"
    assert (done.returncode, done.stdout, done.stderr) == (128 + signum, "", said)


# Half of the combinations: each two of the three meet.
COMBINED = [
    pytest.param(
        code, signum, word, status, marks=pytest.mark.slow if (i + j + k) % 2 else ()
    )
    for i, code in enumerate((AT_EXIT, IN_PIECES))
    for j, signum in enumerate(BOTH)
    for k, (word, status) in enumerate([("--info", 0), ("--nothing", 1)])
]


@pytest.mark.parametrize(("code", "signum", "word", "status"), COMBINED)
def test_a_signal_when_all_is_done(code, signum, word, status, tmp_path, tally):
    tally["signals"] += 1
    words = ["-m", "normlab.data", word, f"--data_dir={tmp_path}"]
    done = end(tmp_path, code.format(signum=int(signum)), words)
    assert done.returncode == status
    assert ("digits" in done.stdout) == (status == 0)
    assert done.stderr.count("\n") == status


IMPORT = "import signal; a = signal.getsignal(15), signal.getsignal(2); import normlab;"
IMPORT += "assert a == (signal.getsignal(15), signal.getsignal(2)); print('as before')"


def test_an_import_of_normlab_answers_no_signal(tmp_path):
    done = end(tmp_path, "", ["-c", IMPORT])
    assert done.stdout == "as before\n"
    # Nor where another program is started by its module's name.
    (tmp_path / "other").mkdir()
    for name in ("__init__", "__main__"):
        (tmp_path / "other" / f"{name}.py").write_text(IMPORT, encoding="utf-8")
    done = end(tmp_path, "", ["-m", "other", "normlab.sweep"])
    assert done.stdout == "as before\nas before\n"


NOHUP = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "normlab.data", "--info"])
"""


def test_what_nohup_ignores_is_ignored_while_a_command_imports(tmp_path):
    code = FIRST_IMPORT.format(signum=int(signal.SIGTERM))
    done = end(tmp_path, code, ["-c", NOHUP])
    assert done.returncode == 0 and "still here" in done.stdout, done.stderr
