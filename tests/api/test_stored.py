"""`normlab.Run`: its tables, its best point, its figures and its page."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

import normlab
from normlab.figures import FIGURES
from normlab.page import drawn
from normlab.store import load, load_quantity
from tests.api import small


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> "normlab.Run":
    out = tmp_path_factory.mktemp("runs") / "run"
    return small.run(out, quantities="gradient_norm")


def test_its_tables_are_the_stores(run):
    pd.testing.assert_frame_equal(run.frame, load(run.path), check_exact=True)
    found, stored = (
        run.quantity("gradient_norm"),
        load_quantity(run.path, "gradient_norm"),
    )
    pd.testing.assert_frame_equal(found, stored, check_exact=True)
    with pytest.raises(normlab.UserError, match="hessian_top was not measured"):
        run.quantity("hessian_top")
    again = normlab.read_run(str(run.path))
    pd.testing.assert_frame_equal(again.frame, run.frame, check_exact=True)


def test_what_is_no_run(tmp_path):
    with pytest.raises(normlab.UserError, match="is not a run directory"):
        normlab.read_run(tmp_path)


def test_a_run_with_a_link_out_of_it_is_not_read(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "sweep.json").write_text("{}")
    (tmp_path / "run" / "figures").symlink_to(tmp_path)
    with pytest.raises(normlab.UserError, match="leads out of the run"):
        normlab.read_run(tmp_path / "run")


# The best point, from final values that are put into the table.

SEEDS, POINTS = 2, [("none", 0.01), ("none", 0.1), ("batch", 0.01), ("batch", 0.1)]


def with_finals(run, metric: str, finals: dict, diverged=()) -> "normlab.Run":
    """``run``, where the members of a point end with these values, one each seed."""
    frame = run.frame.copy()
    last = frame["step"] == frame["steps"]
    for (norm, lr), values in finals.items():
        at = last & (frame["norm"] == norm) & (frame["lr"] == lr)
        for seed, value in enumerate(values):
            frame.loc[at & (frame["seed"] == seed), metric] = value
        frame.loc[at, "diverged"] = (norm, lr) in diverged
    changed = normlab.Run(run.path)
    changed.__dict__["frame"] = frame
    return changed


def accuracies(*medians: float) -> dict:
    pairs = [(x - 0.01, x + 0.01) for x in medians]
    return dict(zip(POINTS, pairs, strict=True))


def point(found: dict) -> tuple[str, float]:
    return found["setting"], found["lr"]


def test_the_best_has_the_highest_median(run):
    found = with_finals(run, "test_accuracy", accuracies(0.2, 0.3, 0.9, 0.4)).best()
    assert point(found) == ("batch", 0.01) and found["metric"] == "test_accuracy"
    assert found["median"] == pytest.approx(0.9) and found["n"] == SEEDS
    assert found["low"] == pytest.approx(0.89) and found["diverged"] == 0
    cells = run.frame[run.frame["norm"] == "batch"]["cell"]
    assert found["cell"] == cells.iloc[0] and found["label"] == "batch"


def test_of_a_loss_the_lowest(run):
    losses = accuracies(0.5, 0.1, 0.3, 0.2)
    found = with_finals(run, "train_loss", losses).best("train_loss")
    assert point(found) == ("none", 0.1) and found["metric"] == "train_loss"


def test_of_equal_points_the_first(run):
    found = with_finals(run, "test_accuracy", accuracies(0.2, 0.7, 0.7, 0.7)).best()
    assert point(found) == ("none", 0.1)


@pytest.mark.parametrize(
    ("metric", "survivor"), [("test_accuracy", 0.99), ("train_loss", 0.001)]
)
def test_a_seed_that_is_lost_is_the_worst(run, metric, survivor):
    """One seed of two is excellent, the other has no value: the median is lost."""
    finals = accuracies(0.5, 0.5, 0.5, 0.5) | {("batch", 0.1): (survivor, np.nan)}
    changed = with_finals(run, metric, finals, diverged=[("batch", 0.1)])
    assert point(changed.best(metric)) == ("none", 0.01)


def test_nothing_can_be_best(run):
    lost = dict.fromkeys(POINTS, (np.nan, np.nan))
    changed = with_finals(run, "test_accuracy", lost, diverged=POINTS)
    with pytest.raises(normlab.UserError, match="every point of .* diverged"):
        changed.best()
    begun = normlab.Run(run.path)
    begun.__dict__["frame"] = run.frame[run.frame["step"] < 6]
    with pytest.raises(normlab.UserError, match="no member of .* has finished"):
        begun.best()


@pytest.mark.parametrize("metric", ["accuracy", "batch_loss", "test_loss_batch", "lr"])
def test_what_is_no_metric(run, metric):
    known = "train_loss, train_accuracy, test_loss, test_accuracy"
    with pytest.raises(normlab.UserError) as caught:
        run.best(metric)
    said = f"{metric!r} is no metric of this run; known: {known}"
    assert str(caught.value) == f"best: {said}"
    with pytest.raises(normlab.UserError) as caught:
        run.differences("norm", "batch", "none", metric)
    assert str(caught.value) == f"differences: {said}"


def test_its_differences(run):
    found = run.differences("norm", "batch", "none")
    accuracies = run.frame[run.frame["step"] == 6].set_index(["norm", "lr", "seed"])
    by_norm = accuracies["test_accuracy"].unstack("norm")
    wanted = (by_norm["batch"] - by_norm["none"]).groupby("lr").mean()
    assert list(found["lr"]) == [0.01, 0.1] and list(found["n"]) == [SEEDS] * 2
    np.testing.assert_allclose(found["mean"], wanted)


def test_figures_are_matplotlibs_and_notebooks_show_them(run):
    figure = run.figure("lr_sensitivity")
    assert isinstance(figure, Figure)
    image = Image.open(io.BytesIO(figure._repr_png_()))  # type: ignore[attr-defined]
    size = figure.get_size_inches() * figure.dpi
    np.testing.assert_allclose(image.size, size, atol=1)
    assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 10
    assert run.figure("gradient_norm_layers").axes  # of a quantity alone


def test_figures_that_there_are_not(run):
    with pytest.raises(normlab.UserError, match="unknown figure 'accuracy'"):
        run.figure("accuracy")
    with pytest.raises(normlab.UserError, match="hessian_top was not measured"):
        run.figure("sharpness")
    assert "sharpness" in FIGURES


def test_its_page(run, tmp_path, monkeypatch):
    """Written by this process. A script without a main guard has no other."""
    for name in FIGURES.keys() - {"curves", "lr_sensitivity"}:
        monkeypatch.delitem(FIGURES, name)
    monkeypatch.setattr(drawn, "_WORTH", 1)  # else there are too few figures
    monkeypatch.setattr(drawn, "ProcessPoolExecutor", None)
    monkeypatch.setattr(drawn, "cores", lambda: 4)
    path = run.page()
    assert path == run.path / "page" / "index.html"
    assert "lr_sensitivity" in path.read_text(encoding="utf-8")
    assert run.page(tmp_path / "there").parent == tmp_path / "there"
    assert isinstance(path, Path) and run.complete
    assert small.run(run.path, quantities="gradient_norm").complete  # is no obstacle
