"""Command lines: typed lists, flagfiles, and one line for every mistake."""

import contextlib
import dataclasses
import io
import re
import subprocess
import sys
from typing import Any

import pytest
from absl import flags
from hypothesis import given, settings
from hypothesis import strategies as st

from normlab.config import SweepConfig
from normlab.errors import UserError, did_you_mean
from normlab.flagfiles import flagfile_of
from normlab.flags import RENAMED, define, read, run, write
from normlab.run_options import RunOptions
from normlab.settings import DeviceSettings, flag, grouped
from tests.declared import LARGEST, WORD, strategy

SCREEN = 40  # lines
NAMES = [s.name for kind in (SweepConfig, RunOptions) for s in dataclasses.fields(kind)]


def build_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    define(SweepConfig, values)
    define(RunOptions, values)
    return values


def call(*argv: str) -> tuple[int, str, str, list]:
    """(exit status, stdout, stderr, the configs that were built)."""
    built = []

    def main(values):
        built.extend((read(SweepConfig, values), read(RunOptions, values)))

    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as caught,
    ):
        run(main, build_flags(), program="normlab.sweep", doc="Doc.", argv=argv)
    code = caught.value.code
    assert isinstance(code, int)
    return code, out.getvalue(), err.getvalue(), built


def parsed(*argv: str) -> SweepConfig:
    code, _, err, built = call(*argv)
    assert (code, err) == (0, "")
    return built[0]


def error(*argv: str) -> str:
    code, out, err, built = call(*argv)
    assert code == 1 and not built and out == ""
    assert err.startswith("normlab.sweep: error: ") and err.endswith("\n")
    assert err.count("\n") == 1
    return err


def test_lists_are_typed():
    config = parsed(
        "--steps=3",
        "--lr=1e-4, 1e-3,3",
        "--groups=1,16",
        "--norm=none,batch",
        "--norm_scale=true,False",
    )
    assert config.lr == (1e-4, 1e-3, 3.0) and type(config.lr[2]) is float
    assert config.groups == (1, 16) and type(config.groups[0]) is int
    assert config.norm == ("none", "batch")
    assert config.norm_scale == (True, False)


def test_defaults_are_those_of_the_dataclass():
    assert parsed("--steps=3") == SweepConfig(steps=3)


def test_one_process_parses_as_often_as_it_likes():
    assert parsed("--steps=3", "--lr=1").lr == (1.0,)
    assert parsed("--steps=4").lr == SweepConfig(steps=4).lr
    values = build_flags()
    for lr in ("1", "2"):
        values.unparse_flags()
        values(["program", f"--lr={lr}", "--steps=1"])
        assert read(SweepConfig, values).lr == (float(lr),)


def test_flagfiles(tmp_path):
    inner, outer = tmp_path / "inner.flags", tmp_path / "Å outer.flags"
    inner.write_text("# the inner one\n--lr=1,2,3\n--norm=none\n\n")
    outer.write_text(
        f"# a question\n// a remark\n--flagfile={inner}\n--steps=7\n  --seed=5  \n",
        encoding="utf-8",
    )
    config = parsed(f"--flagfile={outer}", "--lr=0.5")
    assert (config.steps, config.seed, config.norm) == (7, 5, ("none",))
    assert config.lr == (0.5,)  # a later list replaces the flagfile's
    assert parsed("--lr=0.5", "--flagfile", str(outer)).lr == (1.0, 2.0, 3.0)


def test_flagfile_of():
    assert flagfile_of(["--lr=1", "--flagfile=a/b.flags"]) == "a/b.flags"
    assert flagfile_of(["--flagfile", "a/b.flags", "--lr=1"]) == "a/b.flags"
    assert flagfile_of(["-flagfile=x=y", "--flagfile=z"]) == "x=y"
    assert flagfile_of(["--lr=1", "flagfile=x"]) is None
    assert flagfile_of(["--flagfile"]) is None
    assert flagfile_of([]) is None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--lr=abc"], ["--lr=abc", "'abc' is not a number"]),
        (["--lr="], ["--lr", "at least one value"]),
        (["--lr=1e-3,"], ["--lr", "'' is not a number"]),
        (["--lr=1,,2"], ["--lr", "'' is not a number"]),
        (["--lr"], ["lr"]),
        (["--groups=2.5"], ["--groups", "'2.5' is not a whole number"]),
        (["--norm_bias=yes"], ["'yes' is not true or false"]),
        (["--steps=1e3"], ["--steps=1e3", "'1e3' is not a whole number"]),
        (["--num_seeds=x"], ["--num_seeds=x", "'x' is not a whole number"]),
        (["--epochs=x"], ["--epochs=x", "'x' is not a number"]),
        (["--num_seeds=three"], ["--num_seeds=three"]),
        (["--learning_rate=1"], ["learning_rate"]),
        (["--batchsize=5"], ["batchsize", "did you mean --batch_size?"]),
        (["--nrom=batch"], ["unknown flag --nrom; did you mean --norm?"]),
        (["--lr=1e-3", "1e-2"], ["unexpected word '1e-2'"]),
        (["--lr=1e-3, 1e-2", "3"], ["unexpected word '3'"]),
        (["-x"], ["x"]),
        (["--flagfile=no/such.flags"], ["no/such.flags"]),
        (["--flagfile=."], ["."]),
        (["--flagfile"], ["flagfile"]),
        (["--grüße=3"], ["grüße"]),
        (["--lr=٣,x"], ["'x' is not a number"]),
        (["--steps=0"], ["--epochs or --steps"]),
        (["--epochs=1"], ["both given"]),
        (["--lr=-1"], ["--lr=-1.0: must be 0 or more"]),
        (["--lr=a\nb"], ["--lr=a b"]),
    ],
)
def test_a_mistake_is_one_line(argv, words):
    message = error("--steps=3", *argv)
    for word in words:
        assert word in message


def test_a_flagfile_that_is_not_text(tmp_path):
    path = tmp_path / "picture.flags"
    path.write_bytes(b"\x89PNG\xff\xfe--lr=1\n")
    error(f"--flagfile={path}")


def test_a_mistake_in_a_flagfile_is_one_line(tmp_path):
    path = tmp_path / "x.flags"
    path.write_text("--steps=3\n--lr=1e-3 # too high?\n")
    assert "did you mean --lr=1e-3?" in error(f"--flagfile={path}")
    path.write_text("--steps=3\nlr=1e-3\n")
    assert "unexpected word 'lr=1e-3'" in error(f"--flagfile={path}")


def test_values_keep_their_spaces_and_letters():
    code, _, _, built = call("--steps=1", "--out=a b/ü=ñ/実験", "--dataset=x y, ü")
    assert code == 0
    assert built[1].out == "a b/ü=ñ/実験"
    assert built[0].dataset == ("x y", "ü")


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_names_every_flag_in_a_group(word):
    code, out, err, built = call("--lr=abc", word)
    assert (code, err, built) == (0, "", [])
    assert out.startswith("Doc.\n")
    words = out.split()
    for name in NAMES:
        assert words.count(f"--{name}") == 1
    lines = out.splitlines()
    assert len(lines) <= SCREEN and max(map(len, lines)) <= 80
    assert "training: the optimizer and its batches" in lines


def groups() -> set[str]:
    _, out, _, _ = call("--help")
    return set(re.findall(r"^(\w+): ", out, flags=re.MULTILINE))


def test_help_of_a_group_explains_its_flags_on_a_screen():
    explained = []
    for group in groups():
        code, out, err, built = call(f"--help={group}")
        assert (code, err, built) == (0, "", [])
        lines = out.splitlines()
        assert len(lines) <= SCREEN and max(map(len, lines)) <= 80
        explained += re.findall(r"^  --(\w+)", out, flags=re.MULTILINE)
    assert sorted(explained) == sorted([*NAMES, "allow", "verbose"])
    assert "  --norm=none,batch,group  Norm" in call("--help=network")[1]
    assert "--help=mine: there is no such group; known: " in error("--help=mine")


def test_full_help_explains_every_flag():
    out = call("--helpfull")[1]
    explained = re.findall(r"^  --(\w+)", out, flags=re.MULTILINE)
    assert sorted(explained) == sorted([*NAMES, "allow", "verbose", "flagfile"])


def test_a_group_follows_from_the_class_that_declares_a_setting():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class NewSettings:
        """What is new. It has no name of its own."""

        fresh: int = flag(1, "New.")

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Both(DeviceSettings, NewSettings):
        """Says nothing about groups."""

        own: int = flag(1, "Its own.")

    found = {spec.name: group.line for spec, group in grouped(Both)}
    assert found["fresh"] == "new: what is new"
    assert found["own"] == found["devices"]
    assert found["own"].startswith("running: where the data is")
    assert [spec.name for spec, _ in grouped(Both)][:2] == ["own", "data_dir"]
    axes = {spec.name: group.name for spec, group in grouped(SweepConfig)}
    assert axes["lr"] == axes["batch_size"] == "training"
    assert axes["groups"] == "norms" and axes["epochs"] == axes["steps"] == "recording"


def test_the_status_is_what_main_returns(capsys):
    def fails(values):
        raise UserError("two\nlines")

    for main, status in ((lambda _: None, 0), (lambda _: 130, 130), (fails, 1)):
        with pytest.raises(SystemExit) as caught:
            run(main, build_flags(), program="p", doc="", argv=[])
        assert caught.value.code == status
    assert capsys.readouterr().err == "p: error: two lines\n"


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ("lambda values: print('line\\n' * 100_000)", ""),
        ("lambda values: print('line')", ""),
        ("lambda values: os.write(gone, b'x')", "p: error: [Errno 32] Broken pipe"),
    ],
)
@pytest.mark.parametrize("words", [[], ["--help"]])
def test_a_reader_that_is_gone_is_no_error(main, said, words):
    """As with ``| head -1``; any other pipe that breaks is one."""
    said = "" if words else said
    program = (
        "import os; from absl import flags; from normlab.flags import run\n"
        "end, gone = os.pipe(); os.close(end)\n"
        f"run({main}, flags.FlagValues(), program='p', doc='')"
    )
    command = [sys.executable, "-c", program, *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        if not said:
            process.stdout.close()
        assert process.stderr.read().strip() == said
    assert process.returncode == (1 if said else 141)


def test_a_defect_keeps_its_traceback():
    def broken(values):
        raise ValueError("a bug, not a mistake of the user's")

    with pytest.raises(ValueError, match="a bug"):
        run(broken, build_flags(), program="p", doc="", argv=[])


word = WORD


@st.composite
def valid_configs(draw) -> SweepConfig:
    fields: dict[str, Any] = dict(
        epochs=draw(st.floats(0, 1e8, exclude_min=True)), steps=0
    )
    if draw(st.booleans()):
        fields = dict(epochs=0.0, steps=draw(st.integers(1, 10**8)))
    # Seeds must stay below 2**31 together.
    fields |= {"seed": draw(st.integers(0, 2**30))}
    fields |= {"num_seeds": draw(st.integers(1, 2**30))}
    keys = [s.name for s in dataclasses.fields(SweepConfig) if s.name not in fields]
    drawn = {name: draw(strategy(SweepConfig, name)) for name in keys}
    return SweepConfig(**drawn, **fields)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_flag_is_read_by_its_new_name(old, new):
    assert new in NAMES and old not in NAMES
    asked = ["--steps=5", "--probe_every=1"]
    seen = [
        call(*asked, *words)[3]
        for words in ([f"--{new}=7"], [f"--{old}=7"], [f"-{old}", "7"], [])
    ]
    assert seen[0] == seen[1] == seen[2] != seen[3]


@given(valid_configs())
@settings(max_examples=30, deadline=None)
def test_what_is_written_reads_back(config):
    lines = write(config)
    assert len(lines) == len(dataclasses.fields(SweepConfig))
    assert parsed(*lines) == config


@given(
    st.builds(
        RunOptions,
        out=word,
        execution=st.sampled_from(["auto", "loop"]),
        member_chunk=st.integers(1, 99).map(str),
        devices=st.integers(1, 99).map(str),
        checkpoint_seconds=st.floats(0, LARGEST),
        dry_run=st.booleans(),
    )
)
@settings(max_examples=20, deadline=None)
def test_options_read_back(options):
    code, _, _, built = call("--steps=1", *write(options))
    assert (code, built[1]) == (0, options)


names = st.one_of(st.sampled_from([*NAMES, "flagfile", "undefok"]), st.text(max_size=6))
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["1", "1e-3,1e-2", "true", "", ",", "nan", "1e999", "-1", "9" * 400]
    ),
)
words = st.one_of(
    st.builds("--{}={}".format, names, texts),
    st.builds("--{}".format, names),
    st.builds("-{}={}".format, names, texts),
    st.builds("--no{}".format, names),
    texts,
)


@given(st.lists(words, max_size=5))
@settings(max_examples=150, deadline=None)
def test_any_words_parse_or_end_in_one_line(argv):
    code, out, err, built = call("--steps=3", *argv)
    if code == 0:
        assert built or "flags of python -m" in out
    else:
        assert code == 1
        assert err.startswith("normlab.sweep: error: ") and err.count("\n") == 1


def test_a_wrong_name_gets_the_nearest_one():
    assert did_you_mean("btach", ("none", "batch", "group")) == "; did you mean batch?"
    assert did_you_mean("nrom", ("norm", "norm_p"), "--") == "; did you mean --norm?"
    assert did_you_mean("xyz", ("none", "batch")) == ""
