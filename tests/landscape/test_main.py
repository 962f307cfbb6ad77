"""``python -m normlab.landscape``: what it writes and says, and every mistake."""

import pandas as pd
import pytest

from normlab.landscape import __main__ as command
from tests.called import called
from tests.landscape import made
from tests.marks import slow

QUICK = ("--points=3", "--images=12", "--devices=1")


def call(*words: str) -> int:
    argv = [*QUICK, *words]
    return called(command.main, command.flag_values(), argv, command.PROGRAM)


@pytest.mark.parametrize(
    ("kind", "figures"),
    [
        ("plane", ["contour", "surface"]),
        slow("path", ["contour", "surface"]),
        slow("line", ["line"]),
        slow("between", ["line"]),
    ],
)
def test_figures(run, capsys, kind, figures):
    assert call(f"--run={run.root}", f"--kind={kind}") == 0
    shown = capsys.readouterr()
    points = 3 if kind in ("line", "between") else 9
    for label in ("none", "batch", "group (G=2)"):
        assert f"{label}, seed 0, lr 0.01: " in shown.err
        assert f"of {points} points computed in" in shown.err
    for what in figures:
        name = run.figures / f"landscape_{kind}_{what}"
        assert f"figure: {name}.png (and .pdf, .csv)" in shown.out
        for suffix in (".png", ".pdf", ".csv"):
            assert name.with_suffix(suffix).stat().st_size > 1000
        table = pd.read_csv(name.with_suffix(".csv"))
        assert table["setting"].nunique() == 3
    assert call(f"--run={run.root}", f"--kind={kind}") == 0
    assert f"0 of {points} points computed" in capsys.readouterr().err


def test_some_of_the_cells_by_another_name_in_another_style(run, capsys, tmp_path):
    style = tmp_path / "paper.toml"
    style.write_text('width = 2.5\nformats = ["svg"]\n', encoding="utf-8")
    words = (f"--run={run.root}", "--kind=line", "--norm=none", "--lr=0.1")
    assert call(*words, "--name=rates", f"--style={style}") == 0
    shown = capsys.readouterr()
    assert "none, seed 0, lr 0.1: 3 of 3" in shown.err and "batch" not in shown.err
    assert "rates_line.svg (and .csv)" in shown.out
    picture = (run.figures / "rates_line.svg").read_text(encoding="utf-8")
    assert f'width="{2.5 * 72:.0f}pt"' in picture
    assert not (run.figures / "rates_line.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], ["--run="]),
        (["--run=nowhere"], ["nowhere is not a run directory"]),
        (["--run=RUN", "--points=4"], ["--points=4", "odd"]),
        (["--run=RUN", "--style=no.toml"], ["--style=no.toml cannot be read"]),
        (["--run=RUN", "--norm=layer"], ["--norm=layer", "batch"]),
        (["--run=RUN", "--lr=1"], ["--lr=1", "0.01, 0.1"]),
        (["--run=RUN", "--step=5"], ["no point at step 5", "every 4 steps"]),
        (["--run=RUN", "--kind=between", "--from_step=5"], ["no point at step 5"]),
    ],
)
def test_a_mistake_is_one_line(run, capsys, words, said):
    assert call(*(word.replace("RUN", str(run.root)) for word in words)) == 1
    error = capsys.readouterr().err
    line = error.splitlines()[-1]
    assert line.startswith("normlab.landscape: error: ")
    assert error.count("\n") == 1
    for word in said:
        assert word in line


def test_figures_that_cannot_be_written(tmp_path, capsys):
    run = made.write_run(tmp_path / "run", made.cell("none"))
    run.figures.write_text("in the way")
    assert call(f"--run={run.root}", "--kind=line") == 1
    assert f"cannot write {run.figures}" in capsys.readouterr().err
