"""The figures of the Hessian, on runs written by hand."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from normlab.figures import hessian_spectrum, sharpness
from normlab.figures.tables import NotDrawn
from normlab.store import load_quantity
from normlab.store.quantities import to_table, write_analysis
from tests.store.handmade import make_cell, write_run

STATISTICS = ("batch", "running")
STEPS = (0, 10, 20)
LABELS = {
    "statistics": STATISTICS,
    "rank": (1, 2, 3),
    "sample": (0, 1),
    "node": (0, 1, 2),
}
SEEDS = 3  # whose interval is their range


def norms(**changes):
    changes = {"optimizer": "sgd", **changes}
    group = make_cell(**{**changes, "norm": "group", "groups": 4})
    return [make_cell(**changes), group]


def top_of(member, step: int, name: int) -> list[float]:
    first = 1.0 + member.seed + 100 * member.lr + step + 5 * name
    return [first, first / 2, first / 4]


def written(folder, cells, values=top_of, keep=None) -> pd.DataFrame:
    """hessian_top of a run, through the store.

    A norm without running averages has the batch's statistics alone.
    """
    paths = write_run(folder, cells)
    for cell in cells:
        statistics = STATISTICS if cell.config.norm == "batch" else STATISTICS[:1]
        labels = LABELS | {"statistics": statistics}
        tables = []
        for step in STEPS:
            eigenvalue = np.array(
                [
                    [values(member, step, k) for k in range(len(statistics))]
                    for member in cell.members
                ]
            )
            fields = {"eigenvalue": eigenvalue, "residual": 0 * eigenvalue}
            tables.append(to_table(step, fields, ("statistics", "rank"), labels))
        for_all = pd.concat([table.to_pandas() for table in tables])
        store(paths.cell(cell.id), "hessian_top", for_all)
    return load_quantity(folder, "hessian_top")


def store(paths, name: str, frame: pd.DataFrame) -> None:
    write_analysis(paths, name, pa.Table.from_pandas(frame, preserve_index=False), {})


def words(figure: Figure) -> str:
    legends = [text.get_text() for box in figure.legends for text in box.get_texts()]
    titles = [ax.get_title() for ax in figure.axes] + [figure.get_suptitle()]
    return "\n".join([*legends, *titles])


def saved(figure: Figure) -> Figure:
    """Drawn to the end: warnings are errors."""
    figure.savefig(io.BytesIO(), format="png", dpi=50)
    for ax in figure.axes:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
    return figure


def test_sharpness_is_the_first_rank_by_statistics_norm_and_rate(tmp_path):
    table = sharpness.tabulate(written(tmp_path, norms()))
    assert len(table) == 2 * 3 * (
        2 + 1
    )  # rates, steps, statistics of batch and of group
    for _, row in table.iterrows():
        name = STATISTICS.index(row["statistics"])
        expected = 2.0 + 100 * row["lr"] + row["step"] + 5 * name
        ends = expected - 1, expected, expected + 1
        np.testing.assert_allclose(row[["low", "median", "high"]].tolist(), ends)
        assert row["n"] == SEEDS and row["edge"] == pytest.approx(2 / row["lr"])
    figure = saved(sharpness.draw(table))
    axes = np.array(figure.axes).reshape(2, 2)
    assert [ax.get_title() for ax in axes[0]] == ["lr 0.001", "lr 0.01"]
    assert "batch statistics" in axes[0, 0].get_ylabel()
    assert "running averages" in axes[1, 0].get_ylabel()
    assert "(nats/θ²)" in axes[0, 0].get_ylabel()
    for row, name in zip(axes, STATISTICS, strict=True):
        for ax, lr in zip(row, (1e-3, 1e-2), strict=True):
            lines = {
                line.get_label(): np.asarray(line.get_xydata()) for line in ax.lines
            }
            shown = table[(table["statistics"] == name) & (table["lr"] == lr)]
            for setting, rows in shown.groupby("setting"):
                np.testing.assert_allclose(lines[setting], rows[["step", "median"]])
            assert ("2/lr" in lines) == (name == "batch")  # the loss that is descended
            if name == "batch":
                np.testing.assert_allclose(lines["2/lr"][:, 1], 2 / lr)
            low, high = ax.get_ylim()
            assert ax.get_yscale() == "log" and low < 1.2 and high > 2 / 1e-3
    text = words(figure)
    assert {"batch", "group (G=4)", "2/lr"} <= set(text.splitlines())
    assert "digits" in text and "range of 3 seeds (75%" in text


def test_the_edge_is_that_of_the_optimizer(tmp_path):
    frame = written(tmp_path, norms(optimizer="momentum")).assign(momentum=0.9)
    table = sharpness.tabulate(frame)
    np.testing.assert_allclose(table["edge"], 3.8 / table["lr"])
    assert "2 (1 + momentum)/lr" in words(sharpness.draw(table))
    # Plain descent knows no momentum, and Adam's edge is another.
    plain = sharpness.tabulate(frame.assign(optimizer="sgd"))
    np.testing.assert_allclose(plain["edge"], 2 / plain["lr"])
    adam = sharpness.tabulate(frame.assign(optimizer="adam"))
    assert adam["edge"].isna().all()
    assert "/lr" not in words(saved(sharpness.draw(adam)))


def test_sharpness_without_running_averages_has_one_row(tmp_path):
    table = sharpness.tabulate(written(tmp_path, norms()[1:]))
    figure = saved(sharpness.draw(table))
    assert len(figure.axes) == 2
    assert "batch statistics" in figure.axes[0].get_ylabel()


def test_sharpness_of_what_diverges(tmp_path):
    def values(member, step, name):
        lost = member.seed == 0 and step > 0
        return [np.nan] * 3 if lost else top_of(member, step, name)

    frame = written(tmp_path, norms(), values)
    table = sharpness.tabulate(frame)
    assert dict(table.groupby("step")["n"].max()) == {0: 3, 10: 2, 20: 2}
    saved(sharpness.draw(table))
    with pytest.raises(NotDrawn, match="finite"):
        sharpness.tabulate(frame.assign(eigenvalue=np.nan))
    saved(sharpness.draw(sharpness.tabulate(frame.assign(eigenvalue=-1.0, lr=0.0))))


def spectrum(folder, cells, bad=(), steps=STEPS) -> pd.DataFrame:
    """hessian_density of a run; members whose seed is in ``bad`` have diverged.

    Each sample has three nodes, the last of which is not there.
    """
    paths = write_run(folder, cells)
    for cell in cells:
        statistics = STATISTICS if cell.config.norm == "batch" else STATISTICS[:1]
        rows = []
        for m, member in enumerate(cell.members):
            for step in steps:
                for k, name in enumerate(statistics):
                    for sample in LABELS["sample"]:
                        out = 10.0 * (1 + k) + member.seed + 0.1 * sample + step
                        nodes = [(0.0, 0.9), (out, 0.1), (np.nan, 0.0)]
                        if member.seed in bad:
                            nodes = [(np.nan, np.nan)] * 3
                        rows += [
                            (m, step, name, sample, node, value, weight)
                            for node, (value, weight) in enumerate(nodes)
                        ]
        columns = ["member", "step", "statistics", "sample", "node", "value", "weight"]
        store(
            paths.cell(cell.id), "hessian_density", pd.DataFrame(rows, columns=columns)
        )
    return load_quantity(folder, "hessian_density")


def test_the_spectrum_is_that_of_the_last_step(tmp_path):
    table = hessian_spectrum.tabulate(spectrum(tmp_path, norms()))
    assert set(table["step"]) == {20} and set(table["n"]) == {SEEDS}
    keys = ["statistics", "setting", "point", "seed"]
    groups = table.groupby(keys)
    assert len(groups) == (2 + 1) * 2 * SEEDS
    for _, rows in groups:
        name, seed = rows["statistics"].iloc[0], rows["seed"].iloc[0]
        x, density = rows["eigenvalue"], rows["density"]
        assert np.trapezoid(density, x) == pytest.approx(1, rel=1e-3)
        outside = 10.0 * (1 + STATISTICS.index(name)) + seed + 0.05 + 20
        mean = np.trapezoid(density * x, x)
        assert mean == pytest.approx(0.1 * outside, rel=1e-2)
        far = x > outside / 2
        assert np.trapezoid(density[far], x[far]) == pytest.approx(0.1, rel=1e-2)
    for _, rows in table.groupby(keys[:3]):
        each = rows.pivot(index="eigenvalue", columns="seed", values="density")
        mean = rows[rows["seed"] == 0].set_index("eigenvalue")["mean"]
        np.testing.assert_allclose(each.mean(axis=1), mean)


def test_norms_are_smoothed_alike_and_the_figure_says_how(tmp_path):
    frame = spectrum(tmp_path, norms())
    # Of the group norm all is narrower: by its own width its bulk would be as wide
    # as that of batch norm in its own range.
    narrow = frame["norm"] == "group"
    frame["value"] = frame["value"].mask(narrow, frame["value"] / 10)
    table = hessian_spectrum.tabulate(frame)
    assert set(table.groupby(["statistics", "point"])["width"].nunique()) == {1}
    batch = table[table["statistics"] == "batch"]
    bulks = batch.groupby(["setting", "point", "seed"])["density"].max()
    assert len(bulks) == 2 * 2 * SEEDS
    # Nine tenths of each spectrum is at 0: as high in either, at one width.
    high = frame.loc[frame["statistics"] == "batch", "value"].max()
    peak = 0.9 / (0.02 * high * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(bulks, peak, rtol=0.02)
    figure = saved(hessian_spectrum.draw(table))
    assert "smoothed by σ, 2% of a panel's range" in words(figure)
    for ax, name in zip(figure.axes[::2], STATISTICS, strict=True):
        width = table.loc[table["statistics"] == name, "width"].iloc[0]
        assert [text.get_text() for text in ax.texts] == [f"σ = {width:.2g}"]


def test_the_spectrum_is_drawn(tmp_path):
    table = hessian_spectrum.tabulate(spectrum(tmp_path, norms()))
    figure = saved(hessian_spectrum.draw(table))
    axes = np.array(figure.axes).reshape(2, 2)
    assert [ax.get_title() for ax in axes[0]] == ["lr 0.001", "lr 0.01"]
    assert "batch statistics" in axes[0, 0].get_ylabel()
    assert "running averages" in axes[1, 0].get_ylabel()
    assert all(ax.get_yscale() == "log" for ax in figure.axes)
    assert all(ax.get_xlabel() == "eigenvalue (nats/θ²)" for ax in axes[1])
    bold = [line for line in axes[0, 0].lines if str(line.get_label())[0] != "_"]
    assert [line.get_label() for line in bold] == ["batch", "group (G=4)"]
    assert len(axes[0, 0].lines) == 2 * (SEEDS + 1)
    for line in bold:
        rows = table[
            (table["statistics"] == "batch")
            & (table["point"] == "lr 0.001")
            & (table["setting"] == line.get_label())
            & (table["seed"] == 1)
        ]
        np.testing.assert_allclose(line.get_xydata(), rows[["eigenvalue", "mean"]])
    text = words(figure)
    assert "digits" in text and "step 20" in text and "mean over 3 seeds" in text


def test_the_spectrum_of_what_diverges(tmp_path):
    table = hessian_spectrum.tabulate(spectrum(tmp_path / "a", norms(), bad=(0, 2)))
    assert set(table["seed"]) == {1} and set(table["n"]) == {1}
    assert "one seed" in words(saved(hessian_spectrum.draw(table)))
    with pytest.raises(NotDrawn, match="finite"):
        hessian_spectrum.tabulate(spectrum(tmp_path / "b", norms(), bad=range(3)))


def test_a_spectrum_of_zeros_is_drawn(tmp_path):
    frame = spectrum(tmp_path, norms())
    frame["value"] = frame["value"].where(frame["value"].isna(), 0.0)
    saved(hessian_spectrum.draw(hessian_spectrum.tabulate(frame)))
