"""``python -m normlab.page``: one line of success, or of a mistake."""

import pytest

from normlab.errors import UserError
from normlab.page import document
from normlab.page.__main__ import flag_values, main
from tests.called import called
from tests.page.bare import no_figures
from tests.store.handmade import make_cell, write_run


def call(capsys, *words) -> tuple[int, str, str]:
    status = called(main, flag_values(), words, "normlab.page")
    return status, *capsys.readouterr()


def test_it_says_where_the_page_is(plain, tmp_path, capsys, monkeypatch):
    no_figures(monkeypatch)
    status, out, err = call(capsys, f"--run={plain}", f"--out={tmp_path / 'r'}")
    assert (status, err) == (0, "")
    assert out.startswith(f"page: {tmp_path / 'r' / 'index.html'} (0.")


def test_a_page_is_replaced_and_another_file_is_not(
    plain, tmp_path, capsys, monkeypatch
):
    no_figures(monkeypatch)
    words = (f"--run={plain}", f"--out={tmp_path}")
    page = tmp_path / "index.html"
    own = "<html>the user's own; all networks were trained by normlab on one GPU</html>"
    page.write_text(own)
    status, out, err = call(capsys, *words)
    assert status == 1 and out == "" and err.count("\n") == 1
    assert f"{page} is not a page of normlab" in err
    with pytest.raises(UserError, match="is not a page of normlab"):
        document.write([plain], tmp_path)  # as `Run.page` does
    assert [*tmp_path.iterdir()] == [page] and page.read_text() == own
    page.write_text("<footer>Made 2025-01-01 by normlab 0.1</footer>")
    for _ in range(2):  # one from before, and one of today
        status, out, err = call(capsys, *words)
        assert (status, err) == (0, "") and out.endswith(
            "in place of an earlier page\n"
        )
    whole = page.read_text(encoding="utf-8")
    tag, footer = '<meta name="generator" content="normlab">', "by normlab"
    assert whole.count(tag) == whole.count(footer) == 1
    for mark in (tag, footer):  # each is enough
        page.write_text(whole.replace(mark, ""), encoding="utf-8")
        assert document.is_page(page)


def test_a_file_in_place_of_the_folder_is_found_before_the_work(
    plain, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(document, "ledger", lambda runs: pytest.fail("it works on"))
    (tmp_path / "page").touch()
    for extra in ((), ("--self_contained",)):
        words = (f"--run={plain}", f"--out={tmp_path / 'page'}", *extra)
        status, out, err = call(capsys, *words)
        assert status == 1 and out == "" and err.count("\n") == 1
        assert f"{tmp_path / 'page'}: a file is in its place" in err


def test_it_tells_of_every_run(plain, tmp_path, capsys, monkeypatch):
    no_figures(monkeypatch)
    write_run(tmp_path / "other", [make_cell()])
    words = (f"--run={plain}", f"--run={tmp_path / 'other'}", f"--out={tmp_path / 'r'}")
    status, out, err = call(capsys, *words)
    assert status == 0 and out.count("\n") == 1
    assert [line.removeprefix("normlab.page: ") for line in err.splitlines()] == [
        "judging the claims", "1 of 2 runs: plain", "2 of 2 runs: other",
    ]  # fmt: skip


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
