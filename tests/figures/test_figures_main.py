"""``python -m normlab.figures``: the figures of a run again; mistakes in one line."""

import pytest

from normlab.figures.__main__ import flag_values, main
from tests.called import called
from tests.figures import made


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return made.write(folder, made.RUNS["one seed"], ("effective_smoothness",)).root


def call(capsys, *words) -> tuple[int, str, str]:
    status = called(main, flag_values(), words, "normlab.figures")
    return status, *capsys.readouterr()


def test_all_that_the_run_has(run, capsys, quick):
    status, out, err = call(capsys, f"--run={run}")
    names = {"curves", "lr_sensitivity", "gradient_norm", "santurkar_4"}
    names |= {"santurkar_11", "smoothness_by_eta"}
    assert (status, err) == (0, "")
    figures = run / "figures"
    expected = {f"figure: {figures / name}.png (and .pdf, .csv)" for name in names}
    assert set(out.splitlines()) == expected
    assert {path.stem for path in figures.iterdir()} == names


def test_some_into_another_folder(run, capsys, tmp_path, quick):
    names = "--figures=smoothness_by_eta,curves"
    status, out, _ = call(capsys, f"--run={run}", names, f"--out={tmp_path / 'new'}")
    assert status == 0 and len(out.splitlines()) == 2
    assert len(list((tmp_path / "new").iterdir())) == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "pass --run=RUN"),
        (["--run={run}", "--figures=curve"], "unknown figure 'curve'; known: curves,"),
        (["--figures=curve"], "pass --run=RUN"),
        (["--run={run}", "--figures=penalty"], "--figures=penalty: loss_range was not"),
        (["--run={run}", "--figures=penalty"], "; a new run with --quan"),
        (["--run={run}", "--figures=santurkar_1"], "it shows a VGG (--model=vgg16)"),
        (["--run={run}/cells"], "is not a run directory"),
        (["--run={run}", "--out={run}/flags.txt"], "flags.txt"),
        (["--run={run}", "curves"], "unexpected word 'curves'"),
    ],
)
def test_a_mistake_is_one_line(words, said, run, capsys):
    status, out, err = call(capsys, *(word.format(run=run) for word in words))
    assert status == 1 and out == ""
    assert err.startswith("normlab.figures: error: ") and err.count("\n") == 1
    assert said in err
