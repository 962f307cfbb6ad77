"""A flagfile in, figures out; again, nothing changes; replayed, the same numbers."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from normlab.figures import FIGURES, METRICS
from normlab.store import load
from normlab.store.layout import read_json
from tests.forked import Job, forked
from tests.quick import WITHOUT_EMITTERS

FLAGS = """\
# Question: does everything work together?
--dataset=digits
--train_size=64
--batch_size=16
--norm=none,batch
--lr=1e-3,1e-2
--num_seeds=2
--steps=6
--eval_every=3
--path_every=3
--train_eval_size=32
--eval_statistics=running,batch,precise
--compilation_cache=compiled
"""
# Compiling takes nearly all the time: less of it.
QUICK = " ".join(
    [
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        *(f"--{name}=false" for name in WITHOUT_EMITTERS),
    ]
)
OUT = "out put/résumé"
# Of a run without probes, and without what some figures are about.
DRAWN = ("curves", "lr_sensitivity", "gradient_norm")


def sweep(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "normlab.sweep", *words],
        cwd=folder,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "my sweeps ü 実験"
    folder.mkdir()
    (folder / "tiny ñ.flags").write_text(FLAGS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def printed(folder) -> str:
    return sweep(folder, "--flagfile=tiny ñ.flags", f"--out={OUT}")


@pytest.fixture(scope="module")
def frame(folder, printed) -> pd.DataFrame:
    return load(folder / OUT)


def test_it_says_what_it_does(printed, folder):
    assert "plan: 8 networks (members) in 2 programs (cells), 48 steps" in printed
    assert f"out: {folder / OUT}\n" in printed
    assert "final test_accuracy: median [min, max of 2 seeds]" in printed
    drawn = f"figures in {folder / OUT}/figures: {', '.join(DRAWN)} (.png, .pdf, .csv)"
    page = f" -m normlab.page --run={folder / OUT} --out=page"
    *_, figures, what, command, _, other = printed.splitlines()
    assert figures == drawn and "page/index.html" in what
    assert command.endswith(page) and other.endswith(" -m normlab.figures --help")


@pytest.mark.faults
def test_the_table(frame):
    assert len(frame) == 8 * 7
    assert list(dict.fromkeys(frame["label"])) == ["none", "batch"]
    assert not frame["diverged"].any()
    measured = frame[frame["test_accuracy"].notna()]
    assert set(measured["step"]) == {0, 3, 6}
    assert frame.loc[frame["step"] < 6, "batch_loss"].notna().all()
    assert frame.loc[frame["step"] == 6, "batch_loss"].isna().all()
    for name in ("train_accuracy", "test_accuracy"):
        assert measured[name].between(0, 1).all()
    first, last = (measured[measured["step"] == t]["train_loss"] for t in (0, 6))
    assert last.median() < first.median()


def test_evaluations_with_other_statistics(frame):
    batch, others = frame["label"] == "batch", frame["label"] == "none"
    measured = frame["test_accuracy"].notna()
    for split in ("train", "test"):
        for kind in ("running", "batch", "precise"):
            for metric in ("loss", "accuracy"):
                column = frame[f"{split}_{metric}_{kind}"]
                assert column[batch & measured].notna().all()
                assert column[others].isna().all()
    rows = frame[batch & measured]
    np.testing.assert_array_equal(rows["test_loss"], rows["test_loss_running"])
    trained = rows[rows["step"] > 0]
    assert (trained["test_loss_running"] != trained["test_loss_batch"]).all()
    assert (trained["test_loss_running"] != trained["test_loss_precise"]).all()


def test_the_figures(folder, frame):
    figures = folder / OUT / "figures"
    for name in DRAWN:
        assert FIGURES[name].reads == (METRICS,)
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        wanted = FIGURES[name].tabulate(frame).reset_index(drop=True)
        found = pd.read_csv(figures / f"{name}.csv")
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    summary = pd.read_csv(folder / OUT / "summary.csv")
    assert len(summary) == 4 and set(summary["n"]) == {2}
    last = frame[(frame["step"] == 6) & (frame["label"] == "batch")]
    median = last[last["lr"] == 1e-2]["test_accuracy"].median()
    row = summary[(summary["setting"] == "batch") & (summary["lr"] == 1e-2)]
    assert row["median"].item() == pytest.approx(median)


def test_the_path(folder, frame):
    from normlab.store.path import read_path

    for cell in frame["cell"].unique():
        points = list(read_path(folder / OUT / "cells" / cell / "path"))
        assert [step for step, _ in points] == [0, 3, 6]
        for _, variables in points:
            assert set(variables) == {"params", "batch_stats"}
            assert bool(variables["batch_stats"]) == ("-batch-" in cell)
            assert variables["params"]["dense1"]["kernel"].shape[0] == 4


def test_the_record(folder, frame):
    record = read_json(folder / OUT / "sweep.json")
    assert record["cells"] == list(frame["cell"].unique())
    assert len(record["sessions"]) == 1
    assert record["sessions"][0]["versions"]["jax"]
    for cell in record["cells"]:
        note = read_json(folder / OUT / "cells" / cell / "cell.json")
        assert note["status"] == "complete" and note["steps_run"] == 6


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(folder.rglob("*"))
    }


# The same command again, again where a figure is missing, and a plan; and what is
# there before and after each.
IMPORTS = """
import jax, matplotlib.figure
import normlab.figures, normlab.flags, normlab.sweep.execute, tests.test_end_to_end
"""
AGAIN = ("-m", "normlab.sweep", "--flagfile=tiny ñ.flags", f"--out={OUT}")
STAMPS = """
import pickle, sys
from pathlib import Path
from tests.test_end_to_end import stamps
Path(sys.argv[2]).write_bytes(pickle.dumps(stamps(Path(sys.argv[1]))))
"""
# As if it had been killed before its last word.
SPOIL = f"""
from pathlib import Path
Path({OUT!r}, "summary.csv").unlink()
Path({OUT!r}, "figures", "curves.png").unlink()
"""


@pytest.fixture(scope="module")
def afterwards(folder, frame, tmp_path_factory):
    """What the processes said that came after the first, and the stamps."""
    results = tmp_path_factory.mktemp("results")
    jobs = {
        "stamps 0": Job(["-c", STAMPS, ".", str(results / "0")]),
        "again": Job(AGAIN),
        "stamps 1": Job(["-c", STAMPS, ".", str(results / "1")]),
        "spoil": Job(["-c", SPOIL]),
        "stamps 2": Job(["-c", STAMPS, f"{OUT}/cells", str(results / "2")]),
        "draw": Job(AGAIN),
        "stamps 3": Job(["-c", STAMPS, f"{OUT}/cells", str(results / "3")]),
        # The two-word form of the flag, too.
        "plan": Job(["-m", "normlab.sweep", "--flagfile", "tiny ñ.flags", "--dry_run"]),
    }
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK}
    said = forked(IMPORTS, jobs, results, folder, env)
    for done in said.values():
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr and "Traceback" not in done.stderr
    return said, [pickle.loads((results / f"{i}").read_bytes()) for i in range(4)]


@pytest.mark.faults
def test_again_it_says_complete_and_changes_nothing(afterwards):
    said, (before, after, *_) = afterwards
    assert "complete: nothing is left to run" in said["again"].stdout
    assert "final test_accuracy" in said["again"].stdout
    assert before and after == before


def test_figures_that_are_missing_are_drawn_again(folder, afterwards):
    run, (*_, before, after) = folder / OUT, afterwards[1]
    assert (run / "figures" / "curves.png").exists() and (run / "summary.csv").exists()
    assert before and not {p for p, s in after.items() if s != before.get(p)}


@pytest.mark.slow
def test_the_stored_flags_replay_it(folder, frame):
    flags = f"--flagfile={OUT}/flags.txt"
    sweep(folder, flags, "--out=replay", "--compilation_cache=compiled")
    again = load(folder / "replay")
    pd.testing.assert_frame_equal(again, frame, check_exact=True)


def test_the_flagfile_names_the_run(folder, afterwards):
    plan = afterwards[0]["plan"].stdout
    assert f"out: {folder}/runs/tiny ñ\n" in plan
    assert not (folder / "runs").exists()
