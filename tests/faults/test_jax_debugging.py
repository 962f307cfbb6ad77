"""JAX's switches for finding a NaN: they stop no healthy cell, and find a real one."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from normlab.analysis import __main__ as analysis
from normlab.landscape import __main__ as landscape
from normlab.members.over import OverMembers, nan_is_a_result
from normlab.members.placement import Placement
from normlab.settings.devices import EXECUTIONS
from normlab.store import RunPaths, load, load_quantity
from normlab.store.load import measured
from normlab.store.run import read_record
from tests.called import called
from tests.faults import small

pytestmark = pytest.mark.faults
SWITCHES = {
    "nans": jax.debug_nans,
    "infs": jax.debug_infs,
    "leaks": jax.checking_leaks,
    "no jit": jax.disable_jit,
}
SETTINGS = {
    "norm": "batch",
    "groups": 2,
    "grouping": "correlated",
    "eval_statistics": "running,batch,precise",
    "lr": "0,1e-2",
    "steps": 3,
    "eval_every": 2,
    # Ratios to the distance that a learning rate of 0 moves are not finite.
    "quantities": "effective_smoothness,gradient_lipschitz",
    "path_every": 1,
}
# Operation by operation, a program takes a hundred times as long as compiled.
NO_JIT = ("no jit", "nans")
BOTH = [("nans", "infs"), pytest.param(NO_JIT, marks=pytest.mark.slow)]


@contextlib.contextmanager
def switched(*names: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(SWITCHES[name]())
        yield


def tables(run: Path) -> dict[str, pd.DataFrame]:
    return {"metrics": load(run)} | {k: load_quantity(run, k) for k in measured(run)}


def same(run: Path, other: Path, exact: bool) -> None:
    """The same bits; or, where nothing was compiled, the same losses to rounding."""
    found, wanted = tables(run), tables(other)
    assert found.keys() == wanted.keys()
    for name in found if exact else ():
        pd.testing.assert_frame_equal(
            found[name], wanted[name], check_exact=True, check_like=True
        )
    losses = [name for name in wanted["metrics"] if str(name).endswith("_loss")]
    assert losses
    for name in losses:
        np.testing.assert_allclose(
            found["metrics"][name], wanted["metrics"][name], rtol=1e-2, err_msg=name
        )


@pytest.fixture(scope="module")
def probed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("probed") / "run"
    assert small.sweep(out, **SETTINGS) == 0
    found = load_quantity(out, "effective_smoothness")
    assert 0 < np.isfinite(found["beta"]).sum() < len(found)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("names", BOTH)
def test_a_healthy_cell_is_not_stopped(names, probed, tmp_path, tally):
    """Nor by what is not defined where a probe measures."""
    tally["cells under JAX's debugging switches"] += 1
    out = tmp_path / "run"
    with switched(*names):
        assert small.sweep(out, **SETTINGS) == 0
    same(out, probed, exact="no jit" not in names)


@pytest.mark.slow
@pytest.mark.parametrize("names", BOTH)
def test_nor_one_that_groups_its_channels(names, tmp_path, tally):
    tally["cells under JAX's debugging switches"] += 1
    grouped = {"norm": "group_correlated", "steps": 2, "eval_every": 2}
    own = SETTINGS | grouped | {"quantities": "", "path_every": 0}
    assert small.sweep(tmp_path / "plain", **own) == 0
    with switched(*names):
        assert small.sweep(tmp_path / "run", **own) == 0
    exact = "no jit" not in names
    same(tmp_path / "run", tmp_path / "plain", exact=exact)


@pytest.mark.slow
def test_nor_by_a_search_for_leaks(tmp_path, tally):
    """Which traces all anew, so that a cell with less to trace has to do."""
    tally["cells under JAX's debugging switches"] += 1
    small_cell = {"eval_statistics": "batch", "steps": 2, "eval_every": 2}
    assert small.sweep(tmp_path / "plain", **small_cell) == 0
    with switched("leaks"):
        assert small.sweep(tmp_path / "run", **small_cell) == 0
    same(tmp_path / "run", tmp_path / "plain", exact=True)


def test_what_is_not_defined_stops_no_analysis(probed, tmp_path, tally):
    tally["cells under JAX's debugging switches"] += 1
    out = small.copy(RunPaths.at(probed), tmp_path / "run").root
    argv = [f"--run={out}", "--quantities=effective_smoothness", "--devices=1"]
    with switched("nans", "infs"):
        command = analysis.main, analysis.flag_values(), argv, analysis.PROGRAM
        assert called(*command) == 0
    found = load_quantity(out, "effective_smoothness")
    wanted = load_quantity(probed, "effective_smoothness")
    at_both = found.merge(wanted, on=["member", "step", "eta"])
    assert len(at_both) == len(wanted)
    finite = at_both[np.isfinite(at_both["beta_y"])]
    np.testing.assert_allclose(finite["beta_x"], finite["beta_y"], rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("names", BOTH)
def test_a_landscape(names, probed, tmp_path, tally):
    tally["landscapes under JAX's debugging switches"] += 1
    out = small.copy(RunPaths.at(probed), tmp_path / "run").root
    argv = [f"--run={out}", "--kind=line", "--points=3", "--images=20", "--devices=1"]
    with switched(*names):
        command = landscape.main, landscape.flag_values(), argv, landscape.PROGRAM
        assert called(*command) == 0


@pytest.mark.slow
@pytest.mark.parametrize("names", BOTH)
def test_a_regression_which_has_no_accuracy(names, tmp_path, tally):
    tally["cells under JAX's debugging switches"] += 1
    settings = {"dataset": "gaussian", "model": "deep_linear", "width": 0.2}
    own = {"lr": "1e-7", "steps": 2, "norm": "none"}
    with switched(*names):
        assert small.sweep(tmp_path / "run", **settings | own) == 0
    found = load(tmp_path / "run")
    assert found["test_accuracy"].isna().all() and found["test_loss"].notna().any()


@pytest.mark.parametrize(
    "names, execution, where",
    [
        (("nans",), "map", "in train"),
        pytest.param(("nans",), "vmap", "in train", marks=pytest.mark.slow),
        pytest.param(("nans",), "loop", "in train", marks=pytest.mark.slow),
        # Operation by operation.
        pytest.param(NO_JIT, "map", "normlab/train/", marks=pytest.mark.slow),
    ],
)
def test_a_real_nan_is_the_failure_of_its_cell(
    names, execution, where, tmp_path, capsys, tally
):
    tally["members that diverged"] += 1
    out = tmp_path / "run"
    wild = {"norm": "none", "lr": "1e-2,1e38", "steps": 4, "execution": execution}
    with switched(*names):
        assert small.sweep(out, **wild) == 1
    small.one_line(capsys.readouterr().err)
    (cell,) = RunPaths.at(out).cells.iterdir()
    record = read_record(RunPaths.at(out).cell(cell.name))
    assert record["status"] == "failed"
    assert "FloatingPointError: " in record["reason"] and "\n" not in record["reason"]
    said = "in the network of seed 0, lr 1e+38. Without JAX_DEBUG_NANS"
    assert said in record["reason"] and "lr 0.01" not in record["reason"]
    error = (cell / "error.txt").read_text()
    assert error.startswith("Traceback") and where in error
    # Without the switch the same command goes on, and says that it diverged.
    assert small.sweep(out, **wild) == 0
    assert load(out)["diverged"].any()


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_nan_is_found_whatever_was_excused_before(execution):
    """JAX itself no longer looks, once a thread was in ``jax.debug_nans(False)``."""
    log = OverMembers(jnp.log, (True,), execution)
    with jax.debug_nans(True):
        np.testing.assert_array_equal(log(jnp.ones(2)), 0)
        with nan_is_a_result():
            assert np.isnan(
                OverMembers(jnp.log, (True,), execution)(-jnp.ones(2))
            ).all()
        for _ in range(2):
            with pytest.raises(FloatingPointError, match="nan"):
                log(-jnp.ones(2))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_members_over_devices_without_compiling(execution):
    place = Placement(jax.local_devices()[: 1 if execution == "loop" else 2])
    log = OverMembers(jnp.log, (True,), execution, donate=(0,), placement=place)
    x = place.split(jnp.arange(1.0, 5.0))
    with jax.disable_jit():
        np.testing.assert_allclose(log(x), np.log(np.arange(1, 5)), rtol=1e-6)


def test_a_program_is_not_handed_over_where_it_may_run_again():
    """What JAX runs again, operation by operation, needs its arguments still."""
    double = OverMembers(lambda x: 2 * x, (True,), "vmap", donate=(0,))
    x = jnp.array([1.0, 3e38])
    with jax.debug_infs(True), pytest.raises(FloatingPointError, match="inf"):
        double(x)
    assert not x.is_deleted()


@pytest.mark.slow
@pytest.mark.parametrize("names", ["JAX_DEBUG_NANS", "JAX_DISABLE_JIT JAX_DEBUG_NANS"])
def test_by_the_environment(names, tmp_path, tally):
    """The report's network, as a user asks for it."""
    tally["cells under JAX's debugging switches"] += 1
    own = {"model": "small_cnn", "init": "standard", "width": 0.1, "devices": "auto"}
    words = small.words(tmp_path / "run", **own, steps=2)
    command = [sys.executable, "-m", "normlab.sweep", *words]
    env = os.environ | dict.fromkeys(names.split(), "1")
    ended = subprocess.run(command, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert load(tmp_path / "run")["test_loss"].notna().any()
