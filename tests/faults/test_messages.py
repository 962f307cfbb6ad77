"""What messages say: no advice that is none, and one of a thing is no several."""

import re
from pathlib import Path

import pytest

from normlab.data.archives import KINDS, read_archive
from normlab.data.sources import first_arrays, sources
from normlab.errors import UserError
from normlab.figures.tables import place_of
from normlab.landscape import __main__ as landscape
from normlab.store import __main__ as store
from normlab.store.load import load
from normlab.words import counted, plural
from tests.called import called
from tests.data.conftest import Fake
from tests.faults import small

pytestmark = pytest.mark.faults

# One of several, as ``1 cells``; 1e-1 steps and 0.1 points are others.
ONE_OF_SEVERAL = re.compile(r"(?<![\w.-])1 (?:[a-z-]+ )?[a-z-]+s\b(?<!\bhas)")


def test_one_is_not_several():
    assert (plural(1, "cell"), plural(0, "cell"), counted(2, "cell")) == (
        "cell",
        "cells",
        "2 cells",
    )
    for text in ("1 cells", "a: 1 learning rates, 2 epochs", "1 member-steps"):
        assert ONE_OF_SEVERAL.search(text)
    for text in ("11 cells", "1 cell, 2 members", "step 1 of 3 images", "1 of 1 cell"):
        assert not ONE_OF_SEVERAL.search(text)


def test_a_run_of_one_cell_of_one_member_of_one_step(tmp_path, capsys):
    out = tmp_path / "run"
    one = {"lr": "1e-2", "steps": 1, "eval_every": 1, "path_every": 1, "norm": "none"}
    said = ""
    argv = [f"--run={out}", "--kind=path", "--points=3", "--devices=1"]
    for run in (
        lambda: small.sweep(out, **one, shard="1/2"),
        lambda: small.sweep(out, **one, dry_run="true"),
        lambda: small.sweep(out, figures=True, **one),
        lambda: small.sweep(out, **one, status="true"),
        lambda: called(landscape.main, landscape.flag_values(), argv),
        lambda: called(
            store.main, store.flag_values(), [f"--run={out}", f"--out={tmp_path}/thin"]
        ),
    ):
        run()
        shown = capsys.readouterr()
        said += shown.out + shown.err
    assert (
        "plan: 1 network (member) in 1 program (cell), 1 step of batch size 8" in said
    )
    assert "no cell is left for this part; the sweep has 1 cell" in said
    assert "none: 1 member x 1 step\n" in said
    assert "1 of 1 cell complete" in said and "1 member, 1 step" in said
    lost = load(out).assign(diverged=True)
    said += "\n" + place_of(lost)
    assert said.endswith("1 of 1 member diverged")
    assert not ONE_OF_SEVERAL.findall(said)


def test_a_cell_that_fails_is_one(tmp_path, capsys, monkeypatch):
    wild = {"norm": "none", "lr": "1e38", "steps": 4}
    monkeypatch.setattr("normlab.sweep.attempt.run_cell", _fail)
    assert small.sweep(tmp_path / "run", **wild) == 1
    said = capsys.readouterr().err
    assert "1 of 1 cell failed: none: RuntimeError: no. After fixing this, run" in said


def _fail(*_) -> None:
    raise RuntimeError("no")


@pytest.fixture
def fake(tmp_path) -> Fake:
    (tmp_path / "archives").mkdir()
    return Fake(tmp_path / "archives")


def refusal(path: Path, fake: Fake, work: Path) -> str:
    found = sources(work / "data", path, fake.spec, work, {}, [])
    with pytest.raises(UserError) as caught:
        first_arrays(found, fake.spec)
    return str(caught.value)


@pytest.mark.parametrize(
    "name, said",
    [
        ("nothing here", "there is no such file"),
        ("/dev/null", "it is neither a file nor a folder"),
        ("folder", "it is a folder with the files of none of the known archives"),
    ],
)
def test_what_is_no_archive_is_not_to_be_fetched_again(name, said, fake, tmp_path):
    (tmp_path / "folder").mkdir()
    found = refusal(tmp_path / name, fake, tmp_path)
    assert f" is refused: {said}" in found
    assert found.endswith("; name another with --archive=") and "again" not in found


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS["cifar"] if kind.size],
    ids=lambda kind: kind.archive,
)
def test_an_archive_cut_short_says_how_long_it_should_be(kind, fake, tmp_path):
    path = tmp_path / kind.archive
    path.write_bytes(b"half an archive")
    found = refusal(path, fake, tmp_path)
    assert f"it has 15 bytes, and the published archive {kind.size};" in found
    assert found.endswith("; fetch it again, or name another with --archive=")


def test_a_file_cut_short_says_how_long_it_should_be(fake, tmp_path):
    name = "cifar-10-batches-bin/test_batch.bin"
    path = fake.archive("binary", edit={name: b"short"})
    wanted = fake.spec.rows * (1 + fake.spec.image_bytes)
    with pytest.raises(UserError, match=f"{name} in it has 5 bytes, not {wanted}"):
        read_archive(path, fake.spec)
