"""Output in an encoding that lacks letters: it degrades, and never dies."""

import contextlib
import functools
import io
import os
import subprocess
import sys

import pytest

from normlab.claims import __main__ as claims
from normlab.claims import ledger
from normlab.flags import run
from normlab.page import document
from tests.faults import small
from tests.faults.commands import commands
from tests.marks import slow
from tests.page.bare import no_figures

pytestmark = pytest.mark.faults

COMMANDS = commands()
# Without letters beyond ASCII, with some, with nearly none of those used here, wide.
ENCODINGS = ["ascii", "latin-1", "cp1252", "shift_jis", "utf-7", "utf-16", "cp037"]
NAME = "Läufe 実験 η"
# What each says of a run that is there. The other commands are given one that is not.
READS = {
    "claims": ["--out=l"],
    "figures": ["--figures=curves"],
    "page": ["--out=Bericht ä"],
    "store": ["--out=dünn 実験"],
    "tensorboard": [],
    "analysis": ["--quantities=gradient_norm"],
    "landscape": ["--kind=line", "--points=3", "--images=8"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run; the command that made it wrote to streams in ASCII."""
    folder = tmp_path_factory.mktemp("encodings")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = small.words(NAME, norm="none", steps=2, eval_every=1)
        status, out, err = ends("sweep", words, "ascii")
        assert status == 0, err
        assert r"L\xe4ufe \u5b9f\u9a13 \u03b7" in out
    return folder


@pytest.fixture(scope="module", autouse=True)
def computed_once():
    """The encoding is of what is said, not of the numbers, which cost seconds."""
    judged = functools.cache(ledger)
    with pytest.MonkeyPatch.context() as patch:
        for user in (claims, document):
            patch.setattr(user, "ledger", lambda runs: judged(tuple(map(str, runs))))
        no_figures(patch)
        yield


def ends(name: str, words: list[str], encoding: str) -> tuple[int, str, str]:
    """(status, output, errors) of a command whose streams are in ``encoding``."""
    command = COMMANDS[f"normlab.{name}"]
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, newline="") for _ in "oe"]
    with (
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
        pytest.raises(SystemExit) as stop,
    ):
        run(command.main, command.values(), program=name, doc="η 実", argv=words)
    said = []
    for stream in streams:
        stream.flush()
        said.append(stream.buffer.getvalue().decode(encoding))
    assert isinstance(stop.value.code, int)
    return stop.value.code, *said


# All of them for one command that is quick; the others meet two, by turns.
PAIRS = [("claims", encoding) for encoding in ENCODINGS]
PAIRS += [(name, "ascii") for name in READS if name != "claims"]
PAIRS += [
    slow(*pair)
    for pair in zip([x for x in READS if x != "claims"], ENCODINGS[1:], strict=True)
]


@pytest.mark.parametrize(("name", "encoding"), PAIRS)
def test_a_command_says_all_in_any_encoding(name, encoding, folder, monkeypatch, tally):
    tally["encodings of output"] += 1
    monkeypatch.chdir(folder)
    words = [w.replace("dünn", f"dünn {encoding}") for w in READS[name]]
    status, out, err = ends(name, [f"--run={NAME}", *words], encoding)
    assert status == 0, err
    assert out


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistake_and_help_are_told_in_any_encoding(name, encoding, tally):
    tally["encodings of output"] += 1
    name = name.removeprefix("normlab.")
    status, out, err = ends(name, [f"--{NAME}=1"], encoding)
    assert (status, out, err.count("\n")) == (1, "", 1)
    status, out, err = ends(name, ["--help"], encoding)
    assert (status, err) == (0, "") and out.count("\n") > 2


@pytest.mark.parametrize(
    "encoding",
    [
        "latin-1:strict",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("ascii", "utf-16")),
    ],
)
def test_a_process_of_its_own(encoding, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "normlab.claims"],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        cwd=tmp_path,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert r"\u" in done.stdout.decode(encoding.partition(":")[0]) or "utf" in encoding
