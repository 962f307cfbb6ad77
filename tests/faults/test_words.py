"""What a shell would take away from a word, and names that folders may have."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from normlab.errors import UserError
from normlab.flagfiles import expand
from normlab.words import check_once, check_path, check_text, checked, path_of
from tests.faults.commands import call, commands

pytestmark = pytest.mark.faults

COMMANDS = commands()

# Word -> what the line says.
SLIPS = {
    "--out=runs/x # note": "needs a line of its own; did you mean --out=runs/x?",
    "--out=runs/x\t# note": "did you mean --out=runs/x?",
    "--out=runs/x #": "did you mean --out=runs/x?",
    "--out=runs/x #3": "did you mean --out=runs/x?",
    "--out=runs/x // note": "of its own; did you mean --out=runs/x?",
    "--out= # where?": "did you mean --out=?",
    "--lr=0.1 # note": "a comment needs a line of its own; did you mean --lr=0.1?",
    "--norm=batch,none  # both": "did you mean --norm=batch,none?",
    "runs/x # note": "did you mean runs/x?",
    "--out='a b'": "quotes would become part of it; did you mean --out=a b?",
    '--out="a b"': "did you mean --out=a b?",
    "--out= 'a b'": "did you mean --out=a b?",
    "--out='it's'": "did you mean --out=it's?",
    "--out=runs/'a b'": "did you mean --out=runs/a b?",
    '--out="runs"/a': "did you mean --out=runs/a?",
    '--out="runs/a"': "did you mean --out=runs/a?",
    '"--out=a b"': "did you mean --out=a b?",
    "--out=“a b”": "did you mean --out=a b?",
    "'a b'": "did you mean a b?",
    "--norm='batch'": "did you mean --norm=batch?",
    "--out=a --num_seeds=2": "each flag needs a line of its own; "
    "did you mean --out=a and --num_seeds=2?",
    "--out=a --dry_run": "did you mean --out=a and --dry_run?",
    "--out=a -lr=2": "did you mean --out=a and -lr=2?",
    "--out=a  --lr=1  --steps=3": "did you mean --out=a and --lr=1 and --steps=3?",
    "--dry_run --out=a": "did you mean --dry_run and --out=a?",
    "--out=a —num_seeds=2": "did you mean --out=a and —num_seeds=2?",
    "--out='a": "a quote is opened but not closed",
    "--out=a b --steps=3": "did you mean --out=a b and --steps=3?",
    "--out=a \\": "a line must not end with a backslash; did you mean --out=a?",
    "--out=a\\": "did you mean --out=a?",
    "--out=a && x": "shell syntax does not work here; did you mean --out=a?",
    "--out=a || x": "shell syntax does not work here; did you mean --out=a?",
    "--out=a &&x": "did you mean --out=a?",
    "--out=a &": "did you mean --out=a?",
    "--out=a > log": "shell syntax does not work here; did you mean --out=a?",
    "--out=a >log": "did you mean --out=a?",
    "--out=a >> log": "did you mean --out=a?",
    "--out=a 2>&1": "did you mean --out=a?",
    "--out=a 2> log": "did you mean --out=a?",
    "--out=a &> log": "did you mean --out=a?",
    "--out=a < b": "did you mean --out=a?",
    "--out=a b > log": "did you mean --out=a b?",
    "--out=a > log 2>&1 &": "did you mean --out=a?",
    "--lr=0.1 > log": "did you mean --lr=0.1?",
    "--out=a num_seeds=2": "each flag needs a line of its own; "
    "did you mean --out=a and --num_seeds=2?",
    "--out=a num_seeds = 2": "did you mean --out=a and --num_seeds = 2?",
    "--out=a  lr=0.1 momentum=0.9": "mean --out=a and --lr=0.1 and --momentum=0.9?",
    "--out=a -dry_run": "did you mean --out=a and -dry_run?",
    "--out=a -num_seeds 2": "did you mean --out=a and -num_seeds 2?",
    "--out=a -nodry_run": "did you mean --out=a and -nodry_run?",
    "--lr=0.1 momentum=0.9": "did you mean --lr=0.1 and --momentum=0.9?",
    "--out=$HOME/runs": "variables and commands are not expanded here",
    "--out=runs/${USER}": "variables and commands are not expanded here",
    "--out=runs/$(date)": "variables and commands are not expanded here",
    "--out=runs/`date`": "variables and commands are not expanded here",
}
NAMES = [
    "my runs/Läufe 実験 ñ",
    "runs/a#3",
    "#3",
    "runs/#3",
    "C# and F#",
    "Anna's runs",
    "the runners' runs",
    'a 5" disk',
    "rock 'n' roll",
    "a - b",
    "a -b",
    "a--b",
    "lr=0.1, momentum=0.9",
    "-1",
    "100 $",
    "$",
    "a/b/../c",
    "~/runs",
    "https://example.org//x",
    "a\\b",
    "«a»",
    "a & b; c | d (e) [f] {g} !*?",
    "a -> b",
    "a&&b",
    "a>b",
    "R&D",
    "I <3 norms",
    "a n=2",
    "num_seeds=2",
    "a -dry",
    "a num_seeds 2",
    "全角　空白",
]
FLAGS = list(COMMANDS["normlab.sweep"].values())


@pytest.mark.parametrize("word", SLIPS)
def test_a_slip_is_said_with_what_was_meant(word):
    with pytest.raises(UserError) as caught:
        checked(word, FLAGS)
    assert str(caught.value).startswith(word[:6])
    assert str(caught.value).endswith(SLIPS[word])


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_may_have_any_other_name(name):
    for flags in ((), FLAGS):
        assert checked(name, flags) == name
        assert checked(f"--out={name}", flags) == f"--out={name}"
    check_path("out", name)


def test_spaces_around_a_value_are_no_part_of_it():
    assert checked("--out = runs/x y ") == "--out=runs/x y"
    assert checked("--lr= 0.1") == "--lr=0.1"
    assert checked("--out= ") == "--out="
    assert checked(" --dry_run ") == "--dry_run"


WRITES = ("sweep", "figures", "claims", "page", "store", "tensorboard", "bench")
WRITES += ("bench.conv", "bench.whole", "bench.torch_script")
READS = ("figures", "analysis", "landscape", "tensorboard", "claims", "page", "store")


@pytest.mark.parametrize(
    "slip", ["x # note", "'a b'", "a --run=b", "a \\", "$HOME/a", "a && x"]
)
def test_no_command_makes_such_a_folder(slip, tmp_path, monkeypatch, tally):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text(f"--out={slip}\n", encoding="utf-8")
    tried = [(name, [f"--out={slip}"]) for name in WRITES]
    tried += [(name, ["--flagfile=f"]) for name in WRITES]
    tried += [(name, [f"--run={slip}"]) for name in READS]
    tried += [(name, ["--out", slip]) for name in WRITES]
    tried += [("data", [f"--data_dir={slip}"]), ("data", [f"--archive={slip}"])]
    tried += [("sweep", [f"--flagfile={slip}"])]
    for name, words in tried:
        tally["slips"] += 1
        ended = call(f"normlab.{name}", COMMANDS[f"normlab.{name}"], words)
        assert ended.status == 1 and ended.err.count("\n") == 1
        suggested = "did you mean" in ended.err or "not expanded" in ended.err
        assert suggested, (name, ended.err)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


PATHS = ("run", "out", "archive", "data_dir", "compilation_cache", "name")
PATHS += ("experiments",)
GIVEN = [
    (command, flag)
    for command, made in COMMANDS.items()
    for flag in PATHS
    if flag in made.values()
]


@pytest.mark.parametrize(
    "value, said",
    {
        "": "is empty; give a value, or leave the flag out",
        " ": "is empty; give a value, or leave the flag out",
        "a\nb": "'a\\nb': it contains a control character",
        "a\tb": "'a\\tb': it contains a control character",
        "a\x1b[31mb": "it contains a control character",
        "a\x7fb": "it contains a control character",
        "a\x85b": "it contains a control character",
        "a\u2028b": "it contains a control character",
    }.items(),
)
def test_what_names_no_path(value, said, tmp_path, monkeypatch, tally):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").mkdir()
    for command, flag in GIVEN:
        tries = [[f"--{flag}={value}"], [f"--{flag}", value]]
        if value.isprintable():
            (tmp_path / "f" / flag).write_text(f"--{flag}={value}\n", "utf-8")
            tries.append([f"--flagfile=f/{flag}"])
        for words in tries:
            tally["paths that name nothing"] += 1
            ended = call(command, COMMANDS[command], words)
            assert (ended.status, ended.err.count("\n")) == (1, 1), words
            assert f"error: --{flag}=" in ended.err and said in ended.err, ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_no_flag_that_names_a_path_is_forgotten():
    """The help of a flag that names a path speaks of a file or a folder."""
    told = re.compile(r"folder|director|\.json|CSV|archive", re.IGNORECASE)
    no_path = {"info", "params"}  # the latter is a list of files
    for command, made in COMMANDS.items():
        values = made.values()
        named = {name for name in values if told.search(values[name].help or "")}
        assert named - no_path <= set(PATHS), command


ONE = ("analysis", "landscape", "tensorboard")


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize(
    "words",
    [
        ["--run=A", "--run=B"],
        ["--run", "A", "--run=B"],
        ["-run=A", "--run", "B"],
        ["--run=A", "--flagfile=none", "--run=B"],
        ["--flagfile=two"],
    ],
)
def test_a_command_of_one_run_is_given_one(name, words, tmp_path, monkeypatch, tally):
    tally["slips"] += 1
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").write_text("# nothing\n", encoding="utf-8")
    (tmp_path / "two").write_text("--run=A\n--run=B\n", encoding="utf-8")
    ended = call(f"normlab.{name}", COMMANDS[f"normlab.{name}"], words)
    said = "error: --run=A --run=B: this command takes one run; give one\n"
    assert (ended.status, ended.err) == (1, f"normlab.{name}: {said}")


def test_the_command_line_replaces_a_flagfiles_run(tmp_path):
    file = tmp_path / "f"
    file.write_text("--run=A\n", encoding="utf-8")
    words = expand([f"--flagfile={file}", "--run=B"], ["run"])
    assert words == ["--run=A", "--run=B"]
    file.write_text("--run = A\n --run =B\n", encoding="utf-8")
    with pytest.raises(UserError, match="--run=A --run=B: this command takes one"):
        expand([f"--flagfile={file}"], ["run"])
    check_once(
        ["--run=A", "--run=A", "--runs=B", "run", "B", "--lr=1", "--lr=2"], ["run"]
    )


@pytest.mark.parametrize("name", ["claims", "page", "store"])
def test_a_command_of_several_runs_takes_them(name):
    words = ["--run=A", "--run=B", "--out=no"]
    ended = call(f"normlab.{name}", COMMANDS[f"normlab.{name}"], words)
    assert ended.status == 1 and "one run" not in ended.err


def test_a_home_that_nobody_has():
    assert path_of("~/runs") == Path.home() / "runs"
    with pytest.raises(UserError, match="cannot use '~no such user/x': "):
        path_of("~no such user/x")


def test_bytes_that_are_no_text():
    check_text("Läufe 実験")
    with pytest.raises(UserError, match=r"'L\\udce4ufe' is not text in UTF-8$"):
        check_text("L\udce4ufe")


# Names are ASCII where somebody has told Python not to use UTF-8.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("text", ["Läufe", "L\udcc3\udca4ufe"])
def test_letters_that_names_cannot_have(text, tmp_path):
    code = f"from normlab.words import check_text; check_text({text!a})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=ASCII | {"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        encoding="utf-8",
    )
    said = f"{text!a} is not text in ASCII; PYTHONUTF8=1 makes Python use UTF-8"
    assert done.stderr.splitlines()[-1].endswith(said)
