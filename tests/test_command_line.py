"""``python -m normlab.sweep``: every mistake is one line, and a plan writes nothing."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from normlab.flags import run
from normlab.sweep import __main__ as command
from normlab.sweep.engines.inline import Inline
from tests.called import called

TINY = (
    "--dataset=digits",
    "--train_size=60",
    "--batch_size=20",
    "--norm=batch",
    "--steps=2",
    "--num_seeds=1",
    "--compilation_cache=none",
)

# Name -> (more words on the command line, what the line must say).
MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "unknown flag": (["--learning_rate=1"], ["learning_rate"]),
    "misspelt flag": (["--batchsize=5"], ["batchsize", "batch_size"]),
    "lr not a number": (["--lr=abc"], ["--lr=abc", "'abc' is not a number"]),
    "lr negative": (["--lr=-1"], ["--lr=-1", "must be 0 or more"]),
    "groups": (["--norm=group", "--groups=5"], ["5", "16", "channels"]),
    "dataset": (["--dataset=svhn"], ["svhn", "cifar10", "digits", "mnist"]),
    "norm": (
        ["--norm=weight"],
        ["weight", "none", "batch", "group", "layer", "instance"],
    ),
    "model": (["--model=vit"], ["vit", "small_cnn"]),
    "optimizer": (["--optimizer=adamx"], ["adamx", "adam", "sgd", "momentum"]),
    "init": (["--init=zeros"], ["zeros", "standard", "report"]),
    "not prepared": (
        ["--dataset=cifar10", "--data_dir=empty"],
        ["empty", "python -m normlab.data --prepare=cifar10"],
    ),
    "another configuration": (
        ["--out=taken", "--lr=0.5"],
        ["taken", "another configuration", "--lr", "0.5", "choose another --out"],
    ),
    "foreign files": (["--out=foreign"], ["foreign", "choose another --out"]),
    "out is a file": (["--out=a file"], ["a file"]),
    "out below a file": (["--out=a file/run"], ["a file"]),
    "out is too long": ([f"--out={'x' * 300}"], ["name too long"]),
    "epochs and steps": (["--epochs=1"], ["--epochs", "--steps", "give one"]),
    "no length": (["--steps=0"], ["--epochs or --steps"]),
    "batch": (["--batch_size=61"], ["--batch_size=61", "60", "digits"]),
    "subset": (["--train_size=5000"], ["--train_size=5000", "digits"]),
    "flagfile": (["--flagfile=no/such.flags"], ["no/such.flags"]),
    "stray word": (["--lr=1e-3", "1e-2"], ["'1e-2'", "--name=value"]),
    "read-only": (["--out=/proc/normlab"], ["/proc/normlab"]),
}
PLANS: dict[str, list[str]] = {
    "plan": ["--norm=none,group", "--groups=4,8", "--num_seeds=3", "--dry_run"],
    "plan of a taken folder": ["--out=taken", "--lr=0.5", "--dry_run"],
    "help": ["--help"],
}


SWEEP = ("-m", "normlab.sweep")


def environment(folder: Path) -> dict[str, str]:
    variables = {**os.environ, "JAX_PLATFORMS": "cpu", "MPLBACKEND": "Agg"}
    variables.pop("NORMLAB_DATA_DIR", None)
    # A home of its own: whether it is written to can be seen.
    home = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    return variables | home | {"MPLCONFIGDIR": matplotlib.get_cachedir()}


def call(folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *SWEEP, *words],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=600,
    )


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:  # a run that has not trained yet
        patch.chdir(folder)
        patch.setattr(Inline, "run", lambda engine, paths: [])
        words = [*TINY, "--out=taken"]
        assert called(command.main, command.flag_values(), words) == 0
    assert (folder / "taken" / "sweep.json").exists()
    (folder / "a file").write_text("mine")
    (folder / "foreign").mkdir()
    (folder / "foreign" / "thesis.tex").write_text("mine")
    return folder


@pytest.fixture(scope="module")
def before(folder) -> dict[str, bytes | None]:
    return contents(folder)


def here(words: list[str]) -> subprocess.CompletedProcess[str]:
    """The command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as stop,
    ):
        run(
            command.main,
            command.flag_values(),
            program=command.PROGRAM,
            doc=command.__doc__ or "",
            argv=words,
        )
    code = stop.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def results(folder, before) -> dict[str, subprocess.CompletedProcess[str]]:
    """What each of the command lines came to."""
    words = {name: words for name, (words, _) in MISTAKES.items()} | PLANS
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("NORMLAB_DATA_DIR", raising=False)
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        return {name: here([*TINY, *own]) for name, own in words.items()}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_status_1(name, results):
    done = results[name]
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("normlab.sweep: error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    for word in MISTAKES[name][1]:
        assert word in done.stderr


def test_a_process_of_its_own_says_the_same(folder, results):
    done, same = call(folder, [*TINY, *MISTAKES["batch"][0]]), results["batch"]
    assert (done.returncode, done.stdout, done.stderr) == (
        same.returncode,
        same.stdout,
        same.stderr,
    )


def test_neither_mistakes_nor_plans_write_anything(folder, before, results):
    assert contents(folder) == before
    assert len(results) == len(MISTAKES) + len(PLANS)


def test_the_plan(results, folder):
    done = results["plan"]
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    size = "9 networks (members) in 3 programs (cells), 18 steps of batch size 20"
    names = ["none", "group (G=4)", "group (G=8)"]
    assert lines == [
        f"plan: {size}",
        *(f"  {name}: 3 members x 2 steps" for name in names),
        f"out: {folder}/runs/sweep",
    ]


def test_a_plan_does_not_mind_what_is_there(results):
    assert results["plan of a taken folder"].returncode == 0


def test_help(results):
    done = results["help"]
    assert (done.returncode, done.stderr) == (0, "")
    assert "--flagfile=experiments/quickstart.flags" in done.stdout
    for name in ("lr", "norm", "num_seeds", "out", "dry_run", "flagfile"):
        assert f"--{name}" in done.stdout
