"""The tables of a run in readers that know nothing of it: one glob, one table."""

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from normlab.analysis import __main__ as analysis
from normlab.metrics import METRICS
from normlab.store import load, load_quantity
from normlab.store.thin import thin
from normlab.sweep import execute
from tests.called import called
from tests.faults import small

pytestmark = pytest.mark.faults
QUANTITIES = ("gradient_norm", "activation_moments")
# Norms with one kind of evaluation and with two; a member that diverges.
SETTINGS = {
    "norm": "none,batch",
    "eval_statistics": "running,batch",
    "lr": "1e-2,1e38",
    "steps": 7,
    "eval_every": 5,
    "quantities": ",".join(QUANTITIES),
    "probe_every": 3,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of two cells with a part for every call; most have no evaluation."""
    out = tmp_path_factory.mktemp("read") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))
        assert small.sweep(out, **SETTINGS) == 0
    argv = [f"--run={out}", "--quantities=gradient_norm", "--devices=1"]
    assert called(analysis.main, analysis.flag_values(), argv, analysis.PROGRAM) == 0
    return out


@pytest.fixture(scope="module", params=["whole", "thin"])
def folder(request, run, tmp_path_factory) -> Path:
    if request.param == "whole":
        return run
    return thin(run, tmp_path_factory.mktemp("thin") / "run").root


def globs(folder: Path) -> dict[str, str]:
    """What a user would write for each kind of part, and how many rows it has."""
    found = {"metrics": "metrics/*.parquet"}
    for name in QUANTITIES:
        found[f"probes of {name}"] = f"probes/{name}/*.parquet"
    found["analysis"] = "analysis/gradient_norm.parquet"
    return {
        kind: f"{folder}/cells/*/{glob}"
        for kind, glob in found.items()
        if list(folder.glob(f"cells/*/{glob}"))
    }


def parts(glob: str) -> list[Path]:
    root, _, pattern = glob.partition("/cells/")
    return sorted(Path(root).glob(f"cells/{pattern}"))


def test_all_parts_of_a_kind_have_one_schema(folder, tally):
    for kind, glob in globs(folder).items():
        files = parts(glob)
        tally["parts whose schemas were compared"] += len(files)
        assert len(files) > (3 if folder.name == "whole" else 1), kind
        first, *others = (pq.read_schema(file).remove_metadata() for file in files)
        assert all(schema.equals(first) for schema in others), kind


KEPT = Path(__file__).parents[2] / "experiments" / "results"


@pytest.mark.parametrize("name", sorted(p.parent.name for p in KEPT.glob("*/cells")))
def test_kept_runs_are_one_table(name, tally):
    """Those of an earlier revision, too, of every kind of part that they have."""
    found = (KEPT / name).glob("cells/*/*/*.parquet")
    kinds = {
        f.parent.name if f.parent.name == "metrics" else f"*/{f.name}" for f in found
    }
    assert "metrics" in kinds
    for kind in kinds:
        glob = f"{KEPT / name}/cells/*/{kind}" + "/*.parquet" * (kind == "metrics")
        files = parts(glob)
        tally["parts whose schemas were compared"] += len(files)
        rows = sum(pq.read_metadata(file).num_rows for file in files)
        duck: Any = duckdb.sql(f"select count(*) from read_parquet('{glob}')")
        arrow = pads.dataset([str(file) for file in files]).to_table()
        assert len(pl.read_parquet(glob)) == len(arrow) == rows, kind
        assert duck.fetchall() == [(rows,)], kind


def test_most_parts_have_no_evaluation(run):
    """Else the tests here would not see what they are about."""
    files = parts(globs(run)["metrics"])
    empty = [f for f in files if pq.read_table(f)["test_loss"].null_count]
    assert len(empty) > 3 and len(files) >= 6


def test_polars_duckdb_and_pyarrow_take_one_glob(folder):
    for kind, glob in globs(folder).items():
        columns = pq.read_schema(parts(glob)[0]).names
        rows = sum(pq.read_metadata(file).num_rows for file in parts(glob))
        polars = pl.read_parquet(glob)
        duck: Any = duckdb.sql(f"select * from read_parquet('{glob}')")
        arrow = pads.dataset([str(file) for file in parts(glob)]).to_table()
        assert polars.columns == duck.columns == arrow.column_names == columns, kind
        assert len(polars) == len(duck) == len(arrow) == rows, kind


def test_metrics_are_what_load_says(run):
    """Null is not measured, and NaN not a number; both are NaN in pandas."""
    glob, frame = globs(run)["metrics"], load(run)
    polars = pl.read_parquet(glob)
    assert polars.columns == ["member", "step", *METRICS]
    for name in METRICS:
        measured = frame[name].notna().sum() if name in frame else 0
        found = polars[name].is_not_null() & polars[name].is_not_nan()
        assert found.sum() == measured, name
        here = f"read_parquet('{glob}') where not isnan({name})"
        counted: Any = duckdb.sql(f"select count({name}) from {here}")
        assert counted.fetchall() == [(measured,)], name
    lost = polars.filter(pl.col("batch_loss").is_nan())
    assert len(lost) > 9 and lost["batch_accuracy"].is_nan().all()
    before = polars.filter(pl.col("step") == 1)
    assert before["test_accuracy"].is_null().all() and len(before) == 4


def test_quantities_are_what_load_says(run):
    found = pl.read_parquet(globs(run)["probes of activation_moments"])
    frame = load_quantity(run, "activation_moments")
    assert len(found) == len(frame)
    assert found["mean"].is_not_nan().sum() == frame["mean"].notna().sum()


def test_a_regression_has_no_accuracy(tmp_path):
    settings = {"dataset": "gaussian", "model": "deep_linear", "width": 0.2}
    own = {"lr": "1e-7", "steps": 2, "norm": "none"}
    assert small.sweep(tmp_path / "run", **settings | own) == 0
    found = pl.read_parquet(globs(tmp_path / "run")["metrics"])
    for name in METRICS:
        if "accuracy" in name:
            assert found[name].is_null().all(), name
    assert found["test_loss"].is_not_null().any()
    assert load(tmp_path / "run")["test_accuracy"].isna().all()
