"""TensorBoard's own reader finds in an export what the store holds."""

import errno
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from normlab.errors import UserError
from normlab.quantities import QUANTITIES
from normlab.store import load, load_quantity
from normlab.store.layout import numbered
from normlab.store.load import begun_cells, members
from normlab.store.quantities import to_table, write_analysis
from normlab.tensorboard import events, export_run
from normlab.tensorboard.export import run_names
from normlab.tensorboard.seeds import bands
from normlab.tensorboard.series import Series
from tests.figures import made
from tests.store.handmade import make_cell, write_run

pytest.importorskip("tensorboardX")
layout_pb2 = pytest.importorskip("tensorboard.plugins.custom_scalar.layout_pb2")
hparams_pb2 = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator"
)

CELLS = [made.cell(norm, seeds=2) for norm in ("none", "group")]
SCALARS = ("gradient_norm", "activation_moments", "effective_smoothness")
METRICS = ("batch_loss", "batch_accuracy", "gradient_norm", "lr_step")
METRICS += tuple(f"{s}_{m}" for s in ("train", "test") for m in ("loss", "accuracy"))
# A tag -> a value at each of its steps.
Found = dict[str, dict[int, float]]


def read(folder: Path):
    """An export's folder of one member, as TensorBoard reads it."""
    kept = {"scalars": 0, "histograms": 0}  # 0 is all
    return accumulator.EventAccumulator(str(folder), size_guidance=kept).Reload()


def scalars(folder: Path) -> Found:
    found = read(folder)
    tags = found.Tags()["scalars"]
    return {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in tags}


def histograms(folder: Path, tag: str) -> dict:
    return {e.step: e.histogram_value for e in read(folder).Histograms(tag)}


def folders(out: Path) -> set[str]:
    """TensorBoard's runs in a folder."""
    return {str(path.parent.relative_to(out)) for path in out.rglob(events.FILE_NAME)}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    names = (*SCALARS, "activation_histogram", "hessian_density")
    return made.write(tmp_path_factory.mktemp("run"), CELLS, names).root


@pytest.fixture(scope="module")
def out(run) -> Path:
    return export_run(run)


def test_a_folder_a_member(run, out):
    assert out == run / "tensorboard"
    endings = ("seed 0", "seed 1", "2 seeds")
    points = [f"lr {lr}, {ending}" for lr in (0.05, 0.1) for ending in endings]
    settings = ("none", "group (G=4)")
    assert folders(out) == {f"{setting}/{p}" for setting in settings for p in points}
    assert not list(run.glob(".*"))


def test_every_scalar_is_the_stores(run, out):
    frames = {"metrics": load(run)} | {
        name: load_quantity(run, name) for name in SCALARS
    }
    for cell, label in zip(CELLS, ("none", "group (G=4)"), strict=True):
        for place, member in enumerate(cell.members):
            wanted: Found = {}
            for name, frame in frames.items():
                mine = (frame["cell"] == cell.id) & (frame["member"] == place)
                add_by_hand(wanted, name, frame[mine])
            found = scalars(out / label / f"lr {member.lr}, seed {member.seed}")
            assert found == wanted


def add_by_hand(wanted: Found, name: str, frame: pd.DataFrame) -> None:
    axes = () if name == "metrics" else QUANTITIES[name].axes
    fields = METRICS if name == "metrics" else made.FIELDS[name]
    for row in frame.to_dict("records"):
        where = ""
        for axis in axes:
            words = {"eta": "eta_{:g}", "channel": "channel_{}"}.get(axis, "{}")
            where += "/" + words.format(row[axis])
        for field in fields:
            if not math.isnan(row[field]):
                series = wanted.setdefault(f"{name}/{field}{where}", {})
                series[row["step"]] = row[field]


def test_a_band_over_seeds(run, out):
    frame = load(run)
    rows = frame[(frame["cell"] == CELLS[1].id) & (frame["lr"] == 0.1)]
    wanted = rows.groupby("step")["test_loss"].agg(["mean", "min", "max"]).dropna()
    assert (wanted["min"] < wanted["max"]).all() and len(wanted) > 2
    found = scalars(out / "group (G=4)" / "lr 0.1, 2 seeds")
    for line in wanted:
        values = found[f"seeds/test_loss/{line}"]
        assert list(values) == list(wanted.index)
        np.testing.assert_allclose(list(values.values()), wanted[line], rtol=1e-6)
    content = read(out / "group (G=4)" / "lr 0.1, 2 seeds")
    layout = layout_pb2.Layout()
    (tensor,) = content.Tensors("custom_scalars__config__")
    layout.ParseFromString(tensor.tensor_proto.string_val[0])
    (category,) = layout.category
    bands = {chart.title: chart.margin.series[0] for chart in category.chart}
    assert bands["test_loss"].value == "seeds/test_loss/mean"
    assert bands["test_loss"].lower == "seeds/test_loss/min"
    assert bands["test_loss"].upper == "seeds/test_loss/max"
    assert {f"seeds/{name}/mean" for name in bands} <= set(found)


def test_the_table_of_hyperparameters_has_what_varies(out):
    metadata = read(out / "group (G=4)" / "lr 0.05, seed 1").summary_metadata
    data = {
        tag: hparams_pb2.HParamsPluginData.FromString(item.plugin_data.content)
        for tag, item in metadata.items()
        if item.plugin_data.plugin_name == "hparams"
    }
    start = data["_hparams_/session_start_info"].session_start_info.hparams
    values = {k: v.number_value or v.string_value for k, v in start.items()}
    assert values == {"norm": "group", "groups": 4, "lr": 0.05, "seed": 1}
    infos = data["_hparams_/experiment"].experiment.metric_infos
    assert {info.name.tag for info in infos} == {f"metrics/{name}" for name in METRICS}


def test_an_event_has_the_time_at_which_its_step_was_stored(tmp_path):
    paths = made.write(tmp_path, CELLS[:1], ())
    (cell,) = begun_cells(paths)
    for path in cell.root.iterdir():
        os.utime(path, (5_000.0, 5_000.0))
    ends = numbered(cell.metrics, "part-", ".parquet")
    (last,) = ends
    os.utime(ends[last], (5_000.0 + 2 * last, 5_000.0 + 2 * last))
    found = read(export_run(tmp_path) / "none" / "lr 0.1, seed 0")
    times = {
        event.step: event.wall_time for event in found.Scalars("metrics/test_loss")
    }
    assert len(times) > 2
    assert times == {step: pytest.approx(5_000 + 2 * step) for step in times}


def test_tags(out):
    found = read(out / "none" / "lr 0.1, seed 0").Tags()
    tags = set(found["scalars"])
    assert {f"metrics/{name}" for name in METRICS} <= tags
    assert "gradient_norm/l2/all" in tags
    assert "activation_moments/mean/norm2/before/channel_2" in tags
    assert "effective_smoothness/beta/eta_0.5" in tags
    assert {tag.split("/")[0] for tag in tags} == {"metrics", *SCALARS}
    places = [f"norm{k}/{s}" for k in (1, 2) for s in ("before", "after")]
    assert set(found["histograms"]) == {
        f"activation_histogram/{place}/channel_{k}"
        for place in places
        for k in range(3)
    }


def test_histograms_are_the_stores(run, out):
    frame = load_quantity(run, "activation_histogram")
    frame = frame[(frame["seed"] == 1) & (frame["lr"] == 0.1)]
    frame = frame[(frame["norm_layer"] == "norm2") & (frame["channel"] == 2)]
    for label, side in (("none", "before"), ("group (G=4)", "after")):
        tag = f"activation_histogram/norm2/{side}/channel_2"
        found = histograms(out / label / "lr 0.1, seed 1", tag)
        assert list(found) == list(made.STEPS)
        for step, histogram in found.items():
            rows = frame[frame["step"] == step]
            rows = rows[(rows["label"] == label) & (rows["side"] == side)]
            counts = rows["count"].to_numpy(np.float64)
            assert len(counts) == 6
            np.testing.assert_array_equal(histogram.bucket, counts)
            np.testing.assert_array_equal(histogram.bucket_limit, rows["right"])
            assert histogram.min == rows["left"].min() == -2
            assert histogram.max == rows["right"].max() == 4
            assert histogram.num == counts.sum()
            middles = np.arange(6) - 1.5
            assert histogram.sum == pytest.approx((middles * counts).sum())
            squares = (middles**2 * counts).sum()
            assert histogram.sum_squares == pytest.approx(squares)


def test_members_are_named_by_what_differs(tmp_path):
    cells = [
        made.cell(norm, decays=(0.0, 1e-4), seeds=1, lrs=(0.1,), batch_size=size)
        for norm in ("none", "batch")
        for size in (5, 10)
    ]
    write_run(tmp_path, cells)
    names = run_names(members(tmp_path))
    assert names[cells[2].id, 1] == (
        "batch, batch_size 5/lr 0.1, weight_decay 0.0001, seed 0"
    )
    assert names.is_unique and len(names) == 8


def test_where_a_member_diverges(tmp_path):
    def loss(member, step):
        late = math.inf if step == 4 else math.nan
        return late if member.seed == 1 and step >= 4 else 1.0

    cell = make_cell(lrs=(0.1,), seeds=2)
    run = write_run(tmp_path, [cell], loss=loss, score=lambda member, step: math.nan)
    out = export_run(run.root)
    sound, bad = (scalars(out / "batch" / f"lr 0.1, seed {seed}") for seed in (0, 1))
    assert set(sound) == set(bad)  # and no accuracy, which is NaN throughout
    assert set(bad) == {f"metrics/{name}" for name in METRICS if "acc" not in name}
    assert set(sound["metrics/batch_loss"].values()) == {1.0}
    found = bad["metrics/batch_loss"]
    assert list(found) == list(range(20))  # the last is step 19
    np.testing.assert_array_equal(
        list(found.values()), [1.0] * 4 + [math.inf] + [math.nan] * 15
    )
    test = bad["metrics/test_loss"]
    assert list(test) == [0, 10, 20] and test[0] == 1.0 and math.isnan(test[20])


def test_histograms_without_edges_and_with_other_bins(tmp_path):
    cell = made.cell("batch", seeds=1, lrs=(0.1,))
    run = made.write(tmp_path, [cell], ("activation_histogram",))
    axes = QUANTITIES["activation_histogram"].axes
    labels = {"norm_layer": ["norm1"], "side": ["before"], "channel": [0, 1]}
    tables = []
    for step in (10, 20):  # measured again, afterwards
        left = np.arange(8.0).reshape(1, 1, 1, 2, 4)
        left[..., 1, :] += math.nan  # a channel that is not there
        left[..., 0, :] += math.inf if step == 20 else 0
        count = np.isfinite(left).astype(float)
        fields = {"count": count, "left": left, "right": left + 1}
        tables.append(to_table(step, fields, axes, labels | {"bin": range(4)}))
    write_analysis(
        run.cell(cell.id), "activation_histogram", pa.concat_tables(tables), {}
    )
    folder = export_run(run.root) / "batch" / "lr 0.1, seed 0"
    tag = "activation_histogram/norm1/before/channel_"
    found = histograms(folder, f"{tag}0")
    assert {step: len(h.bucket) for step, h in found.items()} == {0: 6, 10: 4}
    assert list(found[10].bucket_limit) == [1, 2, 3, 4] and found[10].num == 4
    assert list(histograms(folder, f"{tag}1")) == [0]


def test_two_exports_are_the_same_bytes(run, out, tmp_path):
    again = export_run(run, tmp_path / "new" / "folder")
    assert contents(again) == contents(out) and len(contents(out)) == 12


def test_an_export_replaces_the_one_before(tmp_path):
    first = write_run(tmp_path / "first", [make_cell(norm="none")]).root
    second = write_run(tmp_path / "second", [make_cell(lrs=(0.5,))]).root
    out = export_run(first, tmp_path / "out")
    before = contents(out)
    assert export_run(second, out) == out
    endings = ("seed 0", "seed 1", "seed 2", "3 seeds")
    assert folders(out) == {f"batch/lr 0.5, {ending}" for ending in endings}
    assert contents(out).keys().isdisjoint(before)
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second", "out"}


def test_a_full_disk_leaves_the_one_before(tmp_path, monkeypatch):
    run = write_run(tmp_path, [make_cell()]).root
    before, entries = contents(export_run(run)), set(run.iterdir())
    left = [100]

    def write(writer, record: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tensorboardX.RecordWriter.write", write)
    with pytest.raises(UserError, match="cannot write .*tensorboard: No space left"):
        export_run(run)
    assert left[0] == -1  # not at the first record
    assert contents(run / "tensorboard") == before
    assert set(run.iterdir()) == entries


def test_what_is_unfinished_is_there_as_far_as_it_goes(tmp_path):
    cells = [make_cell(norm=norm) for norm in ("none", "batch", "layer")]
    until = {cells[0].id: 13, cells[1].id: 0}
    run = write_run(tmp_path, cells, until=until).root
    out = export_run(run)
    assert {name.split("/")[0] for name in folders(out)} == {"none", "layer"}
    found = scalars(out / "none" / "lr 0.01, seed 2")
    assert list(found["metrics/batch_loss"]) == list(range(13))


def test_nothing_is_stored_yet(tmp_path):
    begun = write_run(tmp_path / "a", [make_cell()], until={make_cell().id: 0}).root
    for run in (begun, write_run(tmp_path / "b", []).root):
        with pytest.raises(UserError, match="nothing is stored in .* yet"):
            export_run(run)
        assert not list(run.glob("*tensorboard*"))


def test_damage_is_named(tmp_path):
    paths = write_run(tmp_path, [make_cell()])
    part = paths.cell(make_cell().id).metrics / "part-00000020.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(UserError, match=r"part-00000020\.parquet is damaged"):
        export_run(tmp_path)
    assert not list(tmp_path.glob("*tensorboard*"))


def test_only_an_export_is_replaced(tmp_path):
    run = write_run(tmp_path / "run", [make_cell(lrs=(0.1,), seeds=1)]).root
    mine = tmp_path / "mine"
    (mine / "thesis").mkdir(parents=True)
    (mine / "thesis" / "a.tex").write_text("mine")
    for taken in (mine, mine / "thesis" / "a.tex", run):
        with pytest.raises(
            UserError, match="not a TensorBoard export; choose another --out"
        ):
            export_run(run, taken)
    assert (mine / "thesis" / "a.tex").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert folders(export_run(run, tmp_path / "empty")) == {"batch/lr 0.1, seed 0"}


def test_a_band_has_the_steps_of_all_seeds():
    seeds = [
        [Series("metrics/loss", np.array(steps), [by * step for step in steps])]
        for steps, by in (((0, 1, 2, 4), 1.0), ((1, 2, 3, 4), 3.0))
    ]
    found = {series.tag: series for series in bands(seeds)}
    assert list(found["seeds/loss/mean"].steps) == [1, 2, 4]
    assert list(found["seeds/loss/mean"].values) == [2.0, 4.0, 8.0]
    assert list(found["seeds/loss/max"].values) == [3.0, 6.0, 12.0]
