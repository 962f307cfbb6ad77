"""The published curves that come with the package."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import normlab
from normlab.figures import reference
from normlab.figures.reference import CURVES, beside, read
from normlab.figures.tables import with_names
from normlab.store import load
from tests.figures import made

FOLDER = Path(reference.__file__).with_name("santurkar")
# Figure -> (points of a curve, steps between them, last step); where the paper's
# program left out points on straight lines, the number is the most there can be.
GRIDS = {
    "1a": (151, 100, 15000),
    "1b": (16, 1000, 15000),
    "4a": (151, 100, 15000),
    "4b": (151, 100, 15000),
    "4c": (151, 100, 15000),
    "5a": (151, 100, 15000),
    "5b": (201, 50, 10000),
    "10a": (201, 50, 10000),
    "10b": (201, 50, 10000),
    "10c": (201, 50, 10000),
    "12d": (151, 100, 15000),
}
WHOLE = ("1b", "4a", "4b", "10a", "10b")


def test_each_file_is_a_curve():
    assert {path.stem for path in FOLDER.glob("*.csv")} == set(CURVES)
    assert {curve.figure for curve in CURVES.values()} == {*GRIDS, "11a"}
    words = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "recovered from the vector paths" in words and "1805.11604v3" in words


@pytest.mark.parametrize("name", CURVES)
def test_a_curve(name):
    figure = CURVES[name].figure
    table = read(name)
    if figure == "11a":
        assert list(table.columns) == ["order", "eta", "difference"]
        assert len(table) == 51 * 4 and table["order"].is_monotonic_increasing
        assert list(table["eta"][:4]) == [0.05, 0.1, 0.2, 0.4]
        assert (table["difference"] > 0).all()
        return
    count, every, last = GRIDS[figure]
    assert list(table.columns) == ["step", "low", "high"]
    if figure in WHOLE:
        assert list(table["step"]) == list(range(0, last + 1, every))
    assert len(table) <= count and not table["step"].duplicated().any()
    assert table["step"].iloc[0] == 0 and table["step"].iloc[-1] == last
    assert (np.diff(table["step"]) > 0).all() and not (table["step"] % every).any()
    assert (table["low"] <= table["high"]).all() and (table["low"] >= 0).all()
    assert name.startswith(f"fig{figure}_")
    raw = pd.read_csv(FOLDER / f"{name}.csv")
    assert np.abs(raw["step"] - table["step"]).max() < 1.2
    if "acc" in raw:
        assert table["high"].max() <= 1.0 and table["high"].max() > 0.08


def test_numbers_that_the_paper_or_its_figures_state():
    final = {x: read(f"fig1b_testacc_{x}")["low"].iloc[-1] for x in "ABCD"}
    expected = {"A": 0.800, "B": 0.829, "C": 0.100, "D": 0.802}
    assert final == pytest.approx(expected, abs=1e-3)
    losses = {
        name: read(f"fig5b_dln_loss_{name}")["low"].iloc[-1]
        for name in ("standard", "bn", "L1")
    }
    assert losses == pytest.approx({"standard": 1660, "bn": 479, "L1": 97}, abs=1)
    width = {}
    for name in ("standard", "bn"):
        band = read(f"fig4a_loss_{name}")
        width[name] = (band["high"] - band["low"]).median()
    assert width == pytest.approx({"standard": 0.94, "bn": 0.20}, abs=0.01)
    beta = [read(f"fig4c_beta_{name}")["low"].median() for name in ("standard", "bn")]
    assert beta == pytest.approx([20, 20], abs=0.3)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("run")
    return with_names(load(made.write(folder, made.RUNS["vgg"], ()).root))


def test_curves_stand_beside_their_counterparts_alone(vgg):
    found = beside(vgg, "4a")
    assert set(found["setting"]) == {"none", "batch"}
    points = {p for p in vgg["point"] if p.startswith("lr 0.1,")}
    assert set(found["point"]) == points and len(points) == 2
    assert list(found["step"].unique()) == [0, 100]  # the run ends at 20
    whole = beside(vgg.assign(step=750 * vgg["step"]), "4a")
    assert len(whole) == 2 * 2 * 151
    assert set(beside(vgg, "12d")["setting"]) == {
        "none", "batch", "batch l1", "batch l2", "batch linf"
    }  # fmt: skip
    for other in (
        vgg.assign(model="small_cnn"),
        vgg.assign(dataset="digits"),
        vgg.assign(lr=0.2),
        vgg.assign(label="layer"),
        vgg.assign(optimizer="adam"),
        vgg.assign(optimizer="momentum", momentum=0.9),
        vgg.assign(momentum=0.9),
    ):
        assert beside(other, "4a").empty
    assert beside(vgg, "10a").empty
    untold = vgg.drop(columns=["optimizer", "momentum"])
    assert len(beside(untold, "4a")) == len(found)


def test_a_wheel_has_them():
    project = Path(normlab.__file__).parent.parent / "pyproject.toml"
    if not project.exists():
        pytest.skip("normlab is not run from a checkout")
    with open(project, "rb") as file:
        data = tomllib.load(file)["tool"]["setuptools"]["package-data"]
    assert "santurkar/*" in data["normlab.figures.reference"]
