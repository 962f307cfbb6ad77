"""The report's curves, which come with the package."""

import tomllib
from pathlib import Path

import pytest

import normlab
from normlab.figures.reference import report

FOLDER = Path(report.__file__).with_name("report_curves")


def test_each_experiment_has_its_six_curves():
    table = report.read()
    assert set(table["experiment"]) == {f"E{k}" for k in range(1, 8)}
    curves = table.groupby(["experiment", "metric", "curve"])
    assert len(curves) == 7 * 3 * 2
    for (_, metric, _), rows in curves:
        epochs = list(rows["epoch"])
        assert epochs == sorted(set(epochs)) and epochs[0] == 1 and epochs[-1] == 20
        assert rows["mean"].between(0, 3 if metric == "batch_loss" else 1).all()


@pytest.mark.parametrize(
    ("experiment", "metric", "curve", "value"),
    [
        ("E1", "test_accuracy", "none", 0.6853),
        ("E3", "test_accuracy", "norm", 0.7338),
        ("E7", "train_accuracy", "norm", 0.9359),
        ("E2", "batch_loss", "none", 0.5621),
    ],
)
def test_last_epochs(experiment, metric, curve, value):
    assert report.last_epoch(experiment, metric, curve) == value


def test_there_is_no_such_curve():
    with pytest.raises(ValueError, match="no curve E8, test_accuracy, none"):
        report.last_epoch("E8", "test_accuracy", "none")


def test_the_source_is_told_and_packaged():
    words = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "read off its 21 plots" in words
    project = Path(normlab.__file__).parents[1] / "pyproject.toml"
    if not project.exists():
        pytest.skip("normlab is not run from a checkout")
    with open(project, "rb") as file:
        data = tomllib.load(file)["tool"]["setuptools"]["package-data"]
    assert "report_curves/*" in data["normlab.figures.reference"]
