"""``python -m normlab.page``: one line of success, or of a mistake."""

import pytest

from normlab.page.__main__ import flag_values, main
from tests.called import called
from tests.page.bare import no_figures


def call(capsys, *words) -> tuple[int, str, str]:
    status = called(main, flag_values(), words, "normlab.page")
    return status, *capsys.readouterr()


def test_it_says_where_the_page_is(plain, tmp_path, capsys, monkeypatch):
    no_figures(monkeypatch)
    status, out, err = call(capsys, f"--run={plain}", f"--out={tmp_path / 'r'}")
    assert (status, err) == (0, "")
    assert out.startswith(f"page: {tmp_path / 'r' / 'index.html'} (0.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "pass --run=RUN"),
        (["--run={run}/cells"], "is not a run directory"),
        (["--run={run}", "--run={run}"], "is given twice"),
        (["--run={run}", "--out={run}/flags.txt"], "cannot write"),
        (["{run}"], "unexpected word"),
    ],
)
def test_a_mistake_is_one_line(words, said, plain, capsys, monkeypatch):
    no_figures(monkeypatch)
    status, out, err = call(capsys, *(word.format(run=plain) for word in words))
    assert status == 1 and out == ""
    assert err.startswith("normlab.page: error: ") and err.count("\n") == 1
    assert said in err
