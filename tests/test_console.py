"""``normlab COMMAND``: what ``python -m normlab.COMMAND`` does, by a shorter name."""

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import normlab
from normlab import __main__ as console
from normlab import commands
from tests.faults.commands import commands as modules

ROOT = Path(normlab.__file__).parents[1]
# What pip makes of the entry point.
SCRIPT = "import sys; from normlab.__main__ import main; sys.exit(main())"


def process(*words: str, script: bool = True, **options) -> subprocess.CompletedProcess:
    start = ["-c", SCRIPT] if script else ["-m", "normlab"]
    paths = [str(ROOT), *filter(None, sys.path)]
    return subprocess.run(
        [sys.executable, *start, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=600,
        **options,
    )


def called(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["normlab", *words])
    return console.main()


@pytest.mark.parametrize("words", [(), ("--help",), ("help",)])
def test_it_says_what_there_is(monkeypatch, capsys, words):
    assert called(monkeypatch, *words) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    named = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert {f"normlab.{name}" for name in named} == set(modules())
    assert named["sweep"].startswith("Trains a grid of networks over norms")
    assert all(purpose.endswith(".") for purpose in named.values())


def test_no_such_command(monkeypatch, capsys):
    assert called(monkeypatch, "swep") == 1
    err = capsys.readouterr().err
    assert err == "normlab: error: no command 'swep'; did you mean sweep?\n"
    assert called(monkeypatch, "x") == 1
    assert "known: adoption, analysis, bench, " in capsys.readouterr().err


def test_the_version(monkeypatch, capsys):
    assert called(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"{normlab.__version__}\n"


def test_a_command_runs_as_a_module_with_the_folder_it_is_in(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(commands, "_prefix", commands._prefix)
    monkeypatch.setattr(console, "at_start", lambda module: seen.append(module))
    monkeypatch.setattr(sys, "path", ["/a/venv/bin", *sys.path])
    monkeypatch.chdir(tmp_path)

    def run_module(name: str, **how) -> None:
        seen.append((name, how, sys.argv[1:], sys.path[0]))

    monkeypatch.setattr(runpy, "run_module", run_module)
    assert called(monkeypatch, "bench.whole", "--out=x", "sweep") == 0
    how = {"run_name": "__main__", "alter_sys": True}
    assert seen == [
        "normlab.bench.whole",
        ("normlab.bench.whole", how, ["--out=x", "sweep"], str(tmp_path)),
    ]
    assert commands.as_called("normlab.bench.whole") == "normlab bench.whole"


def test_messages_and_status_are_those_of_the_module(tmp_path):
    done = process("data", "--prepare=svhn", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("normlab.data: error: ")
    assert done.stderr.count("\n") == 1
    done = process("data", "--help", cwd=tmp_path)
    assert done.returncode == 0 and "flags of normlab data:" in done.stdout
    done = process("data", "--help", script=False, cwd=tmp_path)
    assert "flags of python -m normlab data:" in done.stdout


@pytest.mark.faults
def test_a_signal_while_a_command_imports(tmp_path):
    """The module ends in one line with the same status, and so does the script."""
    (tmp_path / "numpy.py").write_text(
        f"import os\nos.kill(os.getpid(), {int(signal.SIGTERM)})\n"
    )
    done = process("sweep", cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr.startswith("normlab.sweep: stopped by SIGTERM")


def test_a_command_to_paste_starts_this_interpreter(monkeypatch, tmp_path):
    own = tmp_path / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(own))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(own.parent))
    assert commands.to_paste("normlab.page") == "python -m normlab.page"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commands.to_paste("normlab.page") == ".venv/bin/python -m normlab.page"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert commands.to_paste("normlab.page") == f"{own} -m normlab.page"
    monkeypatch.setattr(commands, "_prefix", "normlab ")
    assert commands.to_paste("normlab.page") == "normlab page"
