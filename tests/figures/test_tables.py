"""The numbers of the figures of quantities, against what they are by definition."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from normlab.data import DATASETS
from normlab.figures import FIGURES, Sources, histograms, reference
from normlab.figures.panels import grid, shown
from normlab.figures.scales import log_axis
from normlab.figures.tables import (
    PAPER,
    NotDrawn,
    binned,
    few,
    is_regression,
    middle,
    over_seeds,
    place_of,
    stack,
    with_names,
    with_origin,
)
from normlab.store import load
from normlab.store.thin import thin
from tests.figures import made
from tests.store.handmade import make_cell, write_run

FOLDER = Path(reference.__file__).with_name("santurkar")


@pytest.fixture(scope="module")
def vgg(tmp_path_factory) -> Sources:
    folder = tmp_path_factory.mktemp("run")
    return Sources(made.write(folder, made.RUNS["vgg"]).root)


def one(table: pd.DataFrame, **values) -> pd.DataFrame:
    for name, value in values.items():
        table = table[table[name] == value]
    return table


POINT = "lr 0.1, weight_decay 0.0005"
WHERE = {"label": "batch", "lr": 0.1, "weight_decay": 5e-4, "step": 10}


def test_few():
    assert few("abc", 3) == ["a", "b", "c"] and few([], 2) == []
    assert few(range(9), 3) == [0, 4, 8]
    assert middle([1, 2, 3]) == 2 and middle([1]) == 1


def test_over_seeds_counts_what_is_finite():
    rows = pd.DataFrame(
        {"setting": list("aaabb"), "x": [1.0, 2.0, np.inf, np.nan, 5.0]}
    )
    found = over_seeds(rows, ["setting"], "x")
    assert list(found["n"]) == [2, 1]
    assert list(found["median"]) == [1.5, 5.0]
    nothing = over_seeds(rows.assign(x=np.nan), ["setting"], "x")
    assert nothing.empty
    assert stack([nothing, found]).equals(found)
    assert stack([nothing, nothing]).empty


def test_bins_are_means_or_medians(vgg):
    frame = with_names(vgg.table("metrics"))
    mine = one(frame, label="none", lr=0.1, weight_decay=0.0, seed=1)
    for how in ("mean", "median"):
        table = binned(frame, "batch_loss", how, bins=5)  # 20 steps: of 4 each
        member = mine["member"].iloc[0]
        found = one(table, setting="none", member=member)
        assert set(table["steps_averaged"]) == {4}
        assert list(found["step"]) == [1.5, 5.5, 9.5, 13.5, 17.5]
        blocks = mine["batch_loss"].to_numpy()[:20].reshape(5, 4)
        wanted = getattr(np, how)(blocks, axis=1)
        np.testing.assert_allclose(found["batch_loss"], wanted, rtol=1e-6)


def test_a_row_of_a_thin_copy_is_the_steps_it_stands_for(tmp_path):
    """Its bins are no narrower than its rows, and its means those of the run."""
    write_run(
        tmp_path / "run",
        [make_cell(lrs=(0.1,), seeds=1, steps=40, eval_every=8)],
        loss=lambda member, step: float(step),
    )
    whole, part = (
        with_names(load(run))
        for run in (tmp_path / "run", thin(tmp_path / "run", tmp_path / "thin").root)
    )
    for bins, width in ((5, 8), (100, 8)):
        table = binned(part, "batch_loss", bins=bins)
        assert set(table["steps_averaged"]) == {width}
        # A row ends its steps: 0 to 8, then 9 to 16, ...; of 40 there is no loss.
        ends = [0, 9, 17, 25, 33, 40]
        means = [np.mean(range(*pair)) for pair in itertools.pairwise(ends)]
        assert list(table["batch_loss"]) == pytest.approx(means)
        assert list(table["step"])[:-1] == pytest.approx(means[:-1])
    assert set(binned(whole, "batch_loss", bins=100)["steps_averaged"]) == {1}


def test_the_band_is_over_the_papers_trial_steps(vgg):
    frame = vgg.table("effective_smoothness")
    # A longer grid changes nothing: the paper's steps are 0.5 to 4 learning rates.
    more = pd.concat([frame, frame.assign(eta=0.125, loss=0.0, beta=1e9)])
    for rows in (frame, more):
        table = one(FIGURES["santurkar_4"].tabulate(rows), source="run", point=POINT)
        mine = one(frame, **WHERE).groupby("seed")
        for measure, edge in (("loss", "low"), ("loss", "high"), ("beta", "high")):
            value = mine[measure].agg({"low": "min", "high": "max"}[edge])
            found = one(table, measure=measure, edge=edge, setting="batch", step=10)
            assert found["median"].item() == pytest.approx(value.median())
            assert found["low"].item() == pytest.approx(value.min())
            assert found["n"].item() == 3
    assert "batch l1" not in set(table["setting"])
    assert "batch l1" in set(tables_of(vgg, "santurkar_12")["setting"])


def test_a_trial_step_that_diverges_leaves_no_range(vgg):
    frame = vgg.table("effective_smoothness")
    here = (frame[list(WHERE)] == pd.Series(WHERE)).all(axis=1)
    lost = here & (frame["seed"] == 1) & (frame["eta"] == 2.0)
    assert lost.sum() == 1
    values = {m: frame[m].mask(lost) for m in ("loss", "difference", "beta")}
    table = FIGURES["santurkar_4"].tabulate(frame.assign(**values))
    others = one(frame[frame["seed"] != 1], **WHERE).groupby("seed")
    for measure in values:
        ends = others[measure].agg(low="min", high="max")
        for edge in ("low", "high") if measure != "beta" else ("high",):
            found = one(table, source="run", measure=measure, edge=edge, point=POINT)
            found = one(found, setting="batch", step=10)
            assert found["n"].item() == 2
            assert found["median"].item() == pytest.approx(ends[edge].median())


def tables_of(sources: Sources, name: str) -> pd.DataFrame:
    drawing = FIGURES[name]
    return drawing.tabulate(*(sources.table(read) for read in drawing.reads))


def test_other_trial_steps_count_where_none_is_the_papers(vgg):
    frame = vgg.table("effective_smoothness")
    table = FIGURES["santurkar_4"].tabulate(frame.assign(eta=frame["eta"] * 100))
    assert not one(table, source="run").empty


def test_the_gradients_change_by_the_length_of_the_step(vgg):
    table = tables_of(vgg, "santurkar_11")
    assert set(table["point"]) == {
        "lr 0.1, weight_decay 0"
    }  # the paper has lines of it
    own = one(table, source="run", setting="batch")
    assert len(own) == 3 * 4  # steps, trial steps
    frame = vgg.table("effective_smoothness")
    frame = one(frame, label="batch", lr=0.1, weight_decay=0.0)
    for step in made.STEPS:
        for eta in (0.5, 1.0, 2.0, 4.0):
            values = sorted(one(frame, step=step, eta=eta)["difference"])
            rows = own[(own["step"] == step) & np.isclose(own["length"], 0.1 * eta)]
            found = rows[["low", "median", "high"]].to_numpy().tolist()
            assert found == [values]  # of three seeds
            assert rows["time"].item() == step / 20 and rows["n"].item() == 3
    raw = pd.read_csv(FOLDER / "fig11a_bn.csv")
    paper = one(table, source=PAPER, setting="batch")
    assert len(raw) == 51 and len(paper) == 51 * 4
    for order in (0, 17, 50):
        mine = one(paper, time=order / 50)
        assert list(mine["length"]) == [0.05, 0.1, 0.2, 0.4]
        for name in ("median", "low", "high"):
            assert list(mine[name]) == list(raw.iloc[order, 1:])
        assert set(mine["step"]) == {300 * order}


def test_smoothness_by_eta_is_of_the_later_half(vgg):
    table = tables_of(vgg, "smoothness_by_eta")
    frame = vgg.table("effective_smoothness")
    later = frame[frame["step"].isin([10, 20])]
    mine = one(later, label="batch", lr=0.1, weight_decay=5e-4, eta=2.0)
    for metric in ("beta", "norm_ratio", "cosine"):
        wanted = mine.groupby("seed")[metric].median().median()
        found = one(table, metric=metric, setting="batch", point=POINT)
        assert list(found["length"]) == pytest.approx([0.05, 0.1, 0.2, 0.4])
        assert found["median"].iloc[2] == pytest.approx(wanted)


def test_both_readings_of_the_smoothness_are_marked(vgg):
    figure = FIGURES["smoothness_by_eta"].draw(tables_of(vgg, "smoothness_by_eta"))
    labels = {t.get_text() for legend in figure.legends for t in legend.get_texts()}
    assert {"1/η, as if g' = 0", "2/lr"} <= labels
    for ax in (ax for ax in figure.axes if ax.get_title()):
        lr = float(ax.get_title().split(",")[0].removeprefix("lr "))
        lines = {str(line.get_label()): line for line in ax.get_lines()}
        points = np.asarray(lines["1/η, as if g' = 0"].get_xydata())
        np.testing.assert_allclose(points[:, 1], 1 / points[:, 0])
        levels = [np.asarray(line.get_ydata()) for line in ax.get_lines()]
        assert any(len(y) and np.allclose(y, 2 / lr) for y in levels)


def test_the_axis_of_the_smoothness_shows_its_intervals(vgg):
    table = tables_of(vgg, "smoothness_by_eta")
    wide = table.assign(low=table["low"].where(table["metric"] != "beta", 1e-6))

    def lowest(table):
        axes = FIGURES["smoothness_by_eta"].draw(table).axes
        return min(ax.get_ylim()[0] for ax in axes if ax.get_yscale() == "log")

    assert lowest(wide) <= 1e-6 < lowest(table)


def test_the_penalty(vgg):
    table = one(tables_of(vgg, "penalty"), source="run", setting="batch", step=10)
    low = one(vgg.table("loss_range"), **WHERE).set_index("seed")["low"]
    size = one(vgg.table("parameter_norm"), **WHERE, part="all").set_index("seed")["l2"]
    loss = one(table, point=POINT, metric="loss")["median"].item()
    assert loss == pytest.approx(low.median())
    found = one(table, point=POINT, metric="penalized")["median"].item()
    assert found == pytest.approx((low + 5e-4 * size**2 / 2).median())
    free = one(table, point="lr 0.1, weight_decay 0").set_index("metric")["median"]
    assert free["loss"] == free["penalized"]
    decoupled = vgg.table("loss_range").assign(optimizer="adamw")
    with pytest.raises(Exception, match="--weight_decay adds"):
        FIGURES["penalty"].tabulate(decoupled, vgg.table("parameter_norm"))


def test_the_papers_layers(vgg):
    weights = [f"conv{i}" for i in range(1, 14)] + ["dense1"]
    names = {"vgg": weights, "linear": [f"dense{i}" for i in range(1, 26)]}
    chosen = {"vgg": ["conv5", "conv10"], "linear": ["dense9", "dense17"]}
    shift = one(vgg.table("internal_covariate_shift"), **WHERE, layer="conv1")
    for network, layers in names.items():
        # Each with its norm, as networks have them; norms are no layers here.
        every = [x for layer in layers for x in (layer, f"norm_of_{layer}")]
        frame = pd.concat([shift.assign(layer=layer) for layer in every])
        table = FIGURES["santurkar_3"].tabulate(frame)
        assert list(dict.fromkeys(table["layer"])) == chosen[network]
    norms = [f"norm{i}" for i in range(1, 14)]
    assert histograms.chosen_layers(norms) == ["norm2", "norm9", "norm13"]
    linear = [f"norm{i}" for i in range(1, 25)]
    assert histograms.chosen_layers(linear) == ["norm1", "norm11", "norm24"]
    assert histograms.chosen_layers(["norm1", "norm2"]) == ["norm1", "norm2"]


def test_shift_is_of_layers_with_weights(vgg):
    table = tables_of(vgg, "santurkar_3")
    assert list(dict.fromkeys(table["layer"])) == ["conv2", "dense1"]
    mine = one(vgg.table("internal_covariate_shift"), **WHERE, layer="dense1")
    found = one(table, layer="dense1", point=POINT, setting="batch", step=10)
    shift = one(found, metric="difference")["median"].item()
    assert shift == pytest.approx(mine["difference"].median())


def test_densities_are_of_one_member(vgg):
    table = tables_of(vgg, "activation_histogram")
    assert set(table["norm_layer"]) == {"norm2"} and set(table["seed"]) == {0}
    assert table["point"].nunique() == 1 and set(table["channel"]) == {0}
    width = table["right"] - table["left"]
    total = (table["density"] * width).groupby(
        [table["setting"], table["side"], table["step"]]
    )
    np.testing.assert_allclose(total.sum(), 1, rtol=1e-6)
    mine = one(table, setting="none", side="after", step=10)
    assert histograms.quantiles(mine, (1.0,)) == pytest.approx([4.0])
    uniform = mine.assign(density=1 / 6)
    assert histograms.quantiles(uniform, (0.5,)) == pytest.approx([1.0])


def test_a_constant_channel_has_no_density(vgg):
    frame = vgg.table("activation_histogram")
    constant = frame.assign(left=frame["right"])
    with pytest.raises(NotDrawn, match="no finite values"):
        FIGURES["activation_histogram"].tabulate(constant)


def test_histograms_are_not_read_whole(tmp_path):
    cells = [made.cell("none", lrs=(0.1,), seeds=1)]
    paths = made.write(tmp_path, cells, ("activation_histogram",))
    from normlab.store import load_quantity

    whole = load_quantity(paths.root, "activation_histogram")
    part = Sources(paths.root).table("activation_histogram")
    assert len(whole) == 3 * len(part)  # one of three channels
    assert set(part["channel"]) == {0} and set(part["step"]) == set(made.STEPS)
    long = pd.concat([whole.assign(step=step) for step in range(100)])
    assert histograms.part(long)["step"].nunique() == 40


def test_a_logarithmic_axis_cuts_what_is_rare_and_far():
    usual = np.linspace(1, 10, 2000)
    for spike, top in ((80.0, 80.0), (1e20, 100.0)):
        _, axes = grid(1, 1)
        log_axis([axes[0, 0]], [*usual, spike, np.nan, np.inf, 0.0, -1.0])
        low, high = axes[0, 0].get_ylim()
        assert (low, high) == pytest.approx((1 / 1.3, 1.3 * top), rel=0.01)
        assert axes[0, 0].get_yscale() == "log"
    _, axes = grid(1, 1)
    log_axis([axes[0, 0]], [0.0, np.nan])
    assert axes[0, 0].get_yscale() == "linear"


@pytest.mark.parametrize(
    "ends", [(0.12, 6.0), (0.35, 9.0), (0.12, 1.4), (2e-6, 7e-6), (0.01, 50.0)]
)
def test_a_logarithmic_axis_has_ticks_to_read(ends):
    figure, axes = grid(1, 1)
    ax = axes[0, 0]
    log_axis([ax], ends)
    figure.draw_without_rendering()
    low, high = ax.get_ylim()
    ticks = {t.get_position()[1]: t.get_text() for t in ax.get_yticklabels()}
    assert sum(low <= y <= high and text != "" for y, text in ticks.items()) >= 3


def test_published_curves_are_shown_before_others():
    table = pd.DataFrame({"point": list("abcdefgh"), "source": "run"})
    assert shown(table, "point", 3) == ["a", "e", "h"]
    paper = pd.DataFrame({"point": list("cg"), "source": PAPER})
    both = pd.concat([table, paper])
    assert shown(both, "point", 3) == ["a", "c", "g"]
    assert shown(both, "point", 1) == ["c"] and len(shown(both, "point", 9)) == 8


def test_a_caption_tells_width_and_batches_unless_settings_do(vgg):
    frame = vgg.table("metrics").assign(train_size=50000)
    assert place_of(frame) == "cifar10, vgg16, batches of 10"
    part = frame.assign(train_size=5000)
    assert place_of(part) == "5000 images of cifar10, vgg16, batches of 10"
    both = pd.concat([part, part.assign(dataset="digits", train_size=9)])
    words = "5000 images of cifar10, digits, vgg16, batches of 10"
    assert place_of(both) == words
    narrow = frame.assign(width=0.125)
    table = with_origin(pd.DataFrame({"x": [1.0]}), narrow)
    assert table["where"].item() == "cifar10, vgg16 of width 0.125, batches of 10"
    several = pd.concat([frame, narrow.assign(batch_size=50)])
    assert place_of(several) == "cifar10, vgg16"


def test_units():
    frame = pd.DataFrame({"dataset": list(DATASETS)})
    tasks = {"gaussian": True, "gaussian_uniform": True}
    assert list(is_regression(frame)) == [tasks.get(x, False) for x in DATASETS]
