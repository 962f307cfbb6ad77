"""Adopted parameters: what normlab trained, handed in again, gives what it gave."""

import json
import logging

import jax
import numpy as np
import pandas as pd
import pytest
from flax import serialization

import normlab
from normlab.adoption.__main__ import flag_values, main
from normlab.analysis.__main__ import flag_values as analysis_flags
from normlab.analysis.__main__ import main as analysis
from normlab.claims.evidence import Evidence
from normlab.errors import UserError
from normlab.landscape.__main__ import flag_values as landscape_flags
from normlab.landscape.__main__ import main as landscape
from normlab.store import RunPaths
from normlab.store.path import read_path
from tests.api.small import SETTINGS

ONE = SETTINGS | {"norm": "batch", "lr": 0.1, "num_seeds": 1, "progress": False}
NETWORK = {k: v for k, v in ONE.items() if k not in ("steps", "devices", "progress")}
NETWORK.pop("compilation_cache")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of normlab itself, and step -> its variables, without the member axis."""
    out = tmp_path_factory.mktemp("trained") / "run"
    run = normlab.run(**ONE | {"path_every": 3, "out": out})
    (cell,) = (RunPaths.at(run.path).root / "cells").iterdir()
    points = dict(read_path(cell / "path"))
    return run, {k: jax.tree.map(lambda x: x[0], v) for k, v in points.items()}


@pytest.fixture(scope="module")
def adopted(trained, tmp_path_factory):
    _, points = trained
    return normlab.adopt(points, out=tmp_path_factory.mktemp("a") / "run", **NETWORK)


def test_the_evaluations_are_those_of_the_training(trained, adopted):
    columns = ["train_loss", "test_loss", "train_accuracy", "test_accuracy"]
    frames = [run.frame.set_index("step")[columns] for run in (trained[0], adopted)]
    frames[0] = frames[0].loc[[0, 3, 6]]
    assert frames[0]["test_loss"].nunique() == 3
    pd.testing.assert_frame_equal(*frames, rtol=1e-6)
    assert adopted.complete
    assert adopted.best()["median"] == trained[0].best()["median"]


def test_it_is_told_apart(trained, adopted, tmp_path, caplog):
    assert set(adopted.frame["label"]) == {"batch, adopted"}
    assert adopted.summary["setting"].tolist() == ["batch, adopted"]
    labels = [t.get_text() for t in adopted.figure("curves").findobj() if _is_text(t)]
    assert any("adopted" in label for label in labels)
    thin = tmp_path / "thin"
    normlab_store_thin(adopted.path, thin)
    with caplog.at_level(logging.WARNING):
        evidence = Evidence.read([trained[0].path, adopted.path, thin])
    assert evidence.runs == (str(trained[0].path),)
    assert caplog.text.count("its networks were trained elsewhere") == 2
    (cell,) = (adopted.path / "cells").glob("*/cell.json")
    sources = json.loads(cell.read_text(encoding="utf-8"))["adopted"]
    assert [source["step"] for source in sources] == [0, 3, 6]
    assert len({source["sha256"] for source in sources}) == 3
    with pytest.raises(UserError, match="is an adopted run, which cannot be resumed"):
        normlab.run(**ONE | {"out": adopted.path})


def _is_text(item) -> bool:
    return hasattr(item, "get_text")


def normlab_store_thin(run, out) -> None:
    from normlab.store.thin import thin

    thin(run, out)


@pytest.mark.slow
def test_quantities_and_landscapes_are_those_of_the_training(trained, adopted, capsys):
    found = []
    for run in (trained[0], adopted):
        call(analysis, analysis_flags(), run=run.path, quantities="gradient_norm")
        found.append(run.quantity("gradient_norm")["l2"].to_numpy())
        given = {"kind": "line", "points": 3, "statistics": "running"}
        call(landscape, landscape_flags(), run=run.path, **given)
        table = pd.read_csv(run.path / "figures/landscape_line_line.csv")
        found.append(table["loss"].to_numpy())
    np.testing.assert_allclose(found[0], found[2], rtol=1e-5)
    np.testing.assert_allclose(found[1], found[3], rtol=1e-5)
    assert set(table["setting"]) == {"batch, adopted"}
    assert "batch, adopted, seed 0" in capsys.readouterr().err


def call(command, values, **given) -> None:
    values(["", *(f"--{name}={value}" for name, value in given.items())])
    command(values)


def test_files_by_command(trained, tmp_path, capsys, monkeypatch):
    run, points = trained
    flat = {
        "/".join(key.key for key in path): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(points[6])[0]
    }
    np.savez(tmp_path / "last.npz", **flat)
    first = serialization.msgpack_serialize(points[0])
    (tmp_path / "first.msgpack").write_bytes(first)
    monkeypatch.chdir(tmp_path)
    given = NETWORK | {"params": "first.msgpack,last.npz", "at": "0,6"}
    call(main, flag_values(), **given, out="run")
    told = capsys.readouterr().out
    assert f"test_loss {run.frame['test_loss'].iloc[-1]:.4g}" in told
    again = normlab.adopt("last.npz", steps=6, out="one", **NETWORK)
    assert (
        again.frame["test_loss"].iloc[-1]
        == normlab.read_run("run").frame["test_loss"].iloc[-1]
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"norm": ["none", "batch"]}, "--norm: give one value"),
        ({"lr": [0.1, 0.2]}, "give one value"),
        ({"quantities": "gradient_norm"}, "normlab.analysis measures them"),
        ({"stats": False}, "params has no running averages, which --norm=batch needs"),
        ({"norm": "none"}, "params has more than the parameters asked for: "),
        ({"classes": 1}, "params: dense1/bias has the shape"),
        ({"validation": 10}, "--validation=10: it is not known which images"),
        ({"steps": 7}, "the last parameters are those after step 6"),
        ({"speed": 1}, "normlab.adopt: unknown setting 'speed'"),
    ],
)
def test_what_does_not_fit_is_one_line(trained, tmp_path, change, says):
    params = jax.tree.map(np.copy, trained[1][6])
    if not change.pop("stats", True):
        params = params["params"]
    if change.pop("classes", 0):
        params["params"]["dense1"]["bias"] = np.zeros(2, np.float32)
    with pytest.raises(UserError, match=says) as error:
        normlab.adopt({6: params}, out=tmp_path / "run", **NETWORK | change)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_files_is_refused(trained, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="is not empty"):
        normlab.adopt(trained[1], out=tmp_path, **NETWORK)
