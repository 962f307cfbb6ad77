"""Whatever is on a command line or in a flagfile: it runs, or ends in one line."""

import os
import resource
import time
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from normlab.api import sweep as steps
from normlab.data import DATASETS
from normlab.data import prepare as preparing
from normlab.errors import UserError
from normlab.grouping import GROUPINGS
from normlab.models import INITS, MODELS
from normlab.norms import NORMS
from normlab.quantities import QUANTITIES
from normlab.sweep import backend, cell_plan
from normlab.train.optimizers import OPTIMIZERS
from tests.faults.commands import Ended, assert_fine, call, commands

pytestmark = pytest.mark.faults

COMMANDS = commands()
NAMES = {name: sorted(made.values()) for name, made in COMMANDS.items()}
SECONDS, BYTES = 20.0, 2**30
TINY = (
    "--train_size=60",
    "--batch_size=20",
    "--norm=batch",
    "--steps=2",
    "--num_seeds=1",
    "--width=0.1",
)

KNOWN = sorted(
    {*NORMS, *MODELS, *INITS, *OPTIMIZERS, *QUANTITIES, *GROUPINGS}
    | {*DATASETS, "running", "batch", "precise", "flip", "report", "fixed", "current"}
    | {"auto", "none", "map", "vmap", "loop", "true", "false", "inf", "1", "2", "3"}
)
NUMBERS = ["", ",", "0", "-1", "1", "1e-320", "1e39", "1e308", "inf", "nan", "1e9"]
NUMBERS += [str(2**31 - 1), str(2**31), str(2**63), str(10**18), "9" * 5000, "1,1"]
EDGES = (
    [*NUMBERS, " ", ",,", "-0", "0.5", "-inf", "1e400", "1_000", "0x10", "None", "'1'"]
    + ["1 2", str(2**32)]
    + [
        "1,1",
        "1,2,3",
        "true,false",
        "²",
        "٣",
        "\0",
        "a\0b",
        "\udcff",
        "\u202e",
        "\ufeff",
    ]
    + ["a\nb", "a\r\nb", "\x1b[2J", "../x", "/dev/null", "/proc/x", "~nobody/x", "."]
    + ["x" * 5000, "$x^$", "<script>", "%s%n", "{0}", "--lr=1", "=", "\\"]
)
TRIED: Counter[str] = Counter()  # command lines, by command
MANY = ",".join(map(str, range(200_000)))


def assert_one_ending(name: str, argv: list[str]) -> Ended:
    """The oracle: an ending that is fine, soon, and without taking the memory."""
    TRIED[name] += 1
    before, started = peak_bytes(), time.process_time()
    ended = call(name, COMMANDS[name], argv)
    assert_fine(name, ended)
    assert time.process_time() - started < SECONDS
    assert peak_bytes() - before < BYTES
    return ended


def peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def plans(argv) -> Ended:
    """A sweep's plan, which is where a sweep's mistakes are found."""
    return assert_one_ending("normlab.sweep", [*TINY, *argv, "--dry_run"])


@pytest.fixture(scope="module", autouse=True)
def _harmless(tmp_path_factory, tally):
    """Nothing is trained, fetched or written, whatever is asked for."""

    def no(*args, **kwargs):
        raise UserError("a test trains and fetches nothing")

    folder, old = tmp_path_factory.mktemp("here"), Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "open_run", no)
        patch.setattr(backend, "_use_compilation_cache", lambda options: None)
        patch.setattr(preparing, "prepare", no)
        patch.setenv("NORMLAB_DATA_DIR", str(folder / "data"))
        patch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))  # --deterministic
        os.chdir(folder)
        yield
        os.chdir(old)
        tally["command lines tried"] += TRIED.total()
        # The ledger of no run is one, in whatever file it is asked for.
        written = [path for path in folder.rglob("*") if path.is_dir() or _other(path)]
        assert not written


def _other(path: Path) -> bool:
    return not path.read_text().startswith("id,")


@pytest.fixture
def untraced(monkeypatch):
    """Plans whose programs are built and not traced, which costs a second each."""

    def functions(program, cell, dataset, call_steps):
        indices = jax.ShapeDtypeStruct((call_steps, cell.config.batch_size), jnp.int32)
        state = jax.ShapeDtypeStruct((), jnp.float32)
        return ((lambda state, indices: state, (state, indices)),)

    monkeypatch.setattr(cell_plan, "functions_of", functions)


def lists(word):
    return st.lists(word, min_size=1, max_size=3).map(",".join)


values = st.one_of(
    st.sampled_from(EDGES),
    st.sampled_from(KNOWN),
    lists(st.sampled_from(KNOWN)),
    lists(st.sampled_from(EDGES[:40])),
    st.integers(-2, 70).map(str),
    st.floats().map(repr),
    st.text(max_size=12),
    st.just(MANY),
)


def words(name: str):
    """A command line of ``name``: its flags, others, and no flags at all."""
    own = st.sampled_from(NAMES[name])
    other = st.sampled_from(
        ["flagfile", "undefok", "nrom", "help_", "x" * 3000, "é", "", "-", "="]
    )
    some = st.one_of(own, own, own, own, other)
    return st.one_of(
        st.builds("--{}={}".format, some, values),
        st.builds("--{}={}".format, some, values),
        st.builds("--{}={}".format, own, st.sampled_from(KNOWN)),
        st.builds("-{}={}".format, some, values),
        st.builds("--{}".format, some),
        st.builds("--no{}".format, own),
        st.sampled_from(["--", "-", "", "x", "--help=", "a b"]),
        values,
    )


named = st.sampled_from(sorted(COMMANDS)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(words(name), max_size=5))
)
sweeps = st.lists(words("normlab.sweep"), max_size=4)
often = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


# What it found.
@example(["--" + "x" * 3000 + "=1"])
@example(["--eval_epochs=1e308"])
@example(["--member_chunk=" + "9" * 5000])
@example(["--devices=" + "9" * 5000])
@example(["--devices=1000000000"])
@example(["--epsilon=1e300"])
@example(["--lr=1e39"])
@example(["--width=1e300"])
@example(["--call_steps=2147483647"])
@example(["--num_seeds=1000000000"])
@example([f"--lr={MANY}"])
@example([f"--train_size={MANY}"])
@example(["--out=\udcff"])
@example(["--data_dir=a\0b"])
@example(["--lr=" + "x" * 10**6])
@example(["--quantities=hessian_top", "--probe_iterations=2147483647"])
@example(["--quantities=effective_smoothness", "--probe_etas=1e300"])
@given(sweeps)
@often
def test_any_words_plan_a_sweep_or_end_in_one_line(untraced, argv):
    plans(argv)


@given(named)
@often
def test_any_words_to_any_command(untraced, found):
    name, argv = found
    if name == "normlab.sweep":
        argv = [*TINY, *argv, "--dry_run"]
    assert_one_ending(name, argv)


def test_every_command_is_tried():
    assert {"sweep", "data", "analysis", "page", "bench.conv", "bench.whole"} <= {
        name.removeprefix("normlab.") for name in COMMANDS
    }


# Any text is a name of a folder, or an address, until it is used; but for none at all,
# and one that is too long for a file system.
ANY = {"compilation_cache", "data_dir", "out", "ray_address"}


@pytest.mark.parametrize("name", NAMES["normlab.sweep"])
def test_every_flag_of_a_sweep_at_its_edges(untraced, name):
    # Every third number: three flags next to each other are given all.
    own = NUMBERS[1 + NAMES["normlab.sweep"].index(name) % 3 :: 3]
    tried = [value for value in own if name not in ANY or 0 < len(value) < 200]
    endings = {plans([f"--{name}={value}"]).status for value in tried}
    assert (1 in endings) == (name not in ANY)
    plans([f"--{name}="])


# Programs are traced here: one that cannot be, or that no memory holds, is refused.
@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--width=10000"], "GiB are free"),
        (["--call_steps=2147483647"], "GiB are free"),
        (["--epsilon=1e-320"], "0 in float32"),
        (["--epsilon=1.2e-38"], ""),
        (["--weight_decay=3e38", "--lr=1.2e-38"], ""),
        (["--norm=group", "--groups=2147483647"], "do not divide"),
        (["--width=1e-300"], ""),
        (["--width=1e-300,1e-3"], "rounded to the same channels in small_cnn"),
        (["--width=1,1.0000001"], "rounded to the same channels in small_cnn"),
        (["--width=1,1.002"], ""),  # 257 channels for 256
        (["--eval_batch_size=2147483647"], ""),
    ],
)
def test_programs_at_the_edges(argv, said):
    ended = plans(argv)
    assert (ended.status == 1) == bool(said) and said in ended.err


LINES = st.one_of(
    st.sampled_from(
        ["# a comment", "// another", "", "   ", "--", "steps=3", "--lr=1,2"]
    ),
    st.builds(
        "--flagfile={}".format, st.sampled_from(["a", "b", ".", "no", "", "/dev/zero"])
    ),
    words("normlab.sweep"),
)
CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda lines, end, start, cut: (
            start + end.join(lines).encode("utf-8", "replace")
        )[: -cut or None],
        st.lists(LINES, max_size=6),
        st.sampled_from(["\n", "\r\n", "\r", "\0", "\n\n"]),
        st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe"]),
        st.integers(0, 3),
    ),
    st.sampled_from(
        [b"--lr=" + b"1," * 600_000, b"--steps=2\n" * 20_000, b"\n" * 10**6]
    ),
)


@given(CONTENTS, CONTENTS)
@often
def test_any_flagfiles(untraced, tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("flagfiles")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "a").write_bytes(first)
        (folder / "b").write_bytes(second)
        plans(["--flagfile=a"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"--flagfile=a", "includes itself"),
        (b"--flagfile=./a\n--lr=x", "includes itself"),
        (b"--flagfile=b\n", "flagfiles include each other"),
        (b"--flagfile=.", "cannot be read: Is a directory"),
        (b"--flagfile=no", "cannot be read: No such file"),
        (b"--flagfile", "names no file"),
        (b"--flagfile=/dev/zero", "more than 1000000 bytes"),
        (b"--steps=3\n" * 20_000, "more than 10000 lines"),
        (b"\xff\xfe-\0-\0", "is not text"),
        (b"\xef\xbb\xbf# saved by an editor\r\n--lr=1\r\n", ""),
    ],
)
def test_flagfiles_that_never_end(untraced, tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_bytes(content)
    for number in range(60):  # each twice the one before
        name = "b" if not number else f"b{number}"
        (tmp_path / name).write_text(f"--flagfile=b{number + 1}\n" * 2)
    (tmp_path / "b60").write_text("")
    ended = plans(["--flagfile=a"])
    assert (ended.status == 1) == bool(said) and said in ended.err


@pytest.mark.slow
@given(sweeps)
@settings(often, max_examples=10_000, derandomize=False)
def test_very_many_words_plan_a_sweep(untraced, argv):
    plans(argv)


@pytest.mark.slow
@given(named)
@settings(often, max_examples=10_000, derandomize=False)
def test_very_many_words_to_any_command(untraced, found):
    name, argv = found
    if name == "normlab.sweep":
        argv = [*TINY, *argv, "--dry_run"]
    assert_one_ending(name, argv)


@pytest.mark.slow
@given(
    st.lists(
        st.builds("--{}={}".format, st.sampled_from(NAMES["normlab.sweep"]), values),
        max_size=2,
    )
)
@settings(often, max_examples=200)
def test_programs_of_any_words(argv):
    plans(argv)
