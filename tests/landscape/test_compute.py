"""Landscapes against the network itself; stopped anywhere, the same bits."""

import functools
import itertools
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab import data
from normlab.errors import UserError
from normlab.landscape.compute import CellLandscapes, Landscape
from normlab.landscape.points import Points
from normlab.landscape.slices import SLICES, Asked, statistics_at
from normlab.store.landscapes import landscape_folder, stored_landscapes
from normlab.store.layout import RunPaths
from normlab.store.lock import only_writer
from normlab.train.network import build_network
from tests import tiny
from tests.landscape import made
from tests.marks import slow

MEMBER = 1  # of seed 0, at the second rate
DATASET = tiny.dataset()
CELLS = {norm: made.cell(norm) for norm in (*made.NORMS, "group_correlated")}


def work(run: RunPaths, norm: str = "batch", **changes: Any) -> CellLandscapes:
    cell = CELLS[norm]
    return CellLandscapes(run.cell(cell.id), cell, made.config(run.root, **changes))


def landscape(run: RunPaths, norm: str = "batch", **changes: Any) -> Landscape:
    return work(run, norm, **changes).compute(MEMBER, made.silent)


def values(found: Landscape, a: float, b: float = 0.0, **where: str) -> tuple:
    """(loss, accuracy) at one point."""
    rows = found.table
    rows = rows[np.isclose(rows["a"], a) & np.isclose(rows["b"], b)]
    for name, value in ({"split": "train", "statistics": "batch"} | where).items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1
    return float(rows["loss"].iloc[0]), float(rows["accuracy"].iloc[0])


@functools.cache
def network_of(norm: str) -> Any:
    """Logits of raw images, compiled once for all tests."""
    network = build_network(CELLS[norm].config, DATASET)

    def logits(variables, images, statistics):
        x = network.scale(images)
        return network.model.apply(variables, x, statistics=statistics)

    return jax.jit(logits, static_argnames="statistics")


def expected(norm: str, params, stats, statistics="batch", split="train", batch=5):
    """(loss, accuracy) over the first 12 images, by the network and nothing else."""
    images = getattr(DATASET, f"{split}_x")[:12]
    labels = getattr(DATASET, f"{split}_y")[:12].astype(int)
    variables = {"params": params, "batch_stats": stats}
    logits = np.concatenate(
        [
            network_of(norm)(variables, images[i : i + batch], statistics)
            for i in range(0, len(images), batch)
        ]
    )
    own = logits[np.arange(len(labels)), labels]
    losses = np.log(np.exp(logits).sum(-1)) - own
    return float(losses.mean()), float((logits.argmax(-1) == labels).mean())


def point(norm: str, step: int = made.STEPS[-1], member: int = MEMBER) -> tuple:
    """(params, running statistics) as they were stored."""
    at = made.state(CELLS[norm], step)
    return jax.tree.map(lambda x: x[member], (at.params, at.batch_stats))


def directions(run: RunPaths, norm: str, **changes: Any):
    cell, config = CELLS[norm], made.config(run.root, **changes)
    points = Points(run.cell(cell.id), cell, lambda: tiny.program(cell.config))
    step = made.STEPS[-1] if config.step < 0 else config.step
    origin = (MEMBER, step if config.from_step < 0 else config.from_step)
    return SLICES[config.kind](points, Asked(MEMBER, step, origin), config)


@pytest.mark.parametrize("norm", [slow("none"), "batch", "group"])
def test_the_middle_of_a_plane_is_the_point_itself(run, norm):
    found = landscape(run, norm)
    params, stats = point(norm)
    kinds = ("batch", "running") if norm == "batch" else ("batch",)
    assert tuple(dict.fromkeys(found.table["statistics"])) == kinds
    assert len(found.table) == 9 * len(kinds)
    for kind in kinds:
        np.testing.assert_allclose(
            values(found, 0, statistics=kind),
            expected(norm, params, stats, kind),
            rtol=1e-5,
        )


def test_the_two_kinds_of_statistics_differ(run):
    found = landscape(run)
    assert values(found, 0) != values(found, 0, statistics="running")


def test_a_corner_of_a_plane(run):
    found = landscape(run, span=0.5)
    along, axes = directions(run, "batch", span=0.5)
    assert axes.a == axes.b == (-0.5, 0.0, 0.5)
    params, stats = point("batch")
    moved = jax.tree.map(
        lambda x, u, v: x - 0.5 * u + 0.5 * v, params, along.first, along.second
    )
    assert np.any(along.first["conv1"]["kernel"] != along.second["conv1"]["kernel"])
    for kind in ("batch", "running"):
        np.testing.assert_allclose(
            values(found, -0.5, 0.5, statistics=kind),
            expected("batch", moved, stats, kind),
            rtol=1e-4,
        )


def test_the_batch_of_batch_statistics(run):
    found = landscape(run, kind="line", batch=4, split=("train", "test"))
    assert list(dict.fromkeys(found.table["split"])) == ["train", "test"]
    params, stats = point("batch")
    for split in ("train", "test"):
        got = values(found, 0, split=split)
        want = expected("batch", params, stats, split=split, batch=4)
        np.testing.assert_allclose(got, want, rtol=1e-5)
    other = values(landscape(run, kind="line"), 0)
    assert abs(values(found, 0)[0] - other[0]) > 1e-4


def test_the_ends_of_an_interpolation(run):
    found = landscape(run, kind="between", points=5, from_step=4, step=8)
    assert found.axes.a == (-0.5, 0.0, 0.5, 1.0, 1.5)
    for a, step in ((0.0, 4), (1.0, 8)):
        for kind in ("batch", "running"):
            np.testing.assert_allclose(
                values(found, a, statistics=kind),
                expected("batch", *point("batch", step), statistics=kind),
                rtol=1e-4,
            )
    begin, end = point("batch", 4), point("batch", 8)
    middle = jax.tree.map(lambda x, y: (x + y) / 2, begin, end)
    np.testing.assert_allclose(
        values(found, 0.5, statistics="running"),
        expected("batch", *middle, statistics="running"),
        rtol=1e-4,
    )
    beyond, _ = jax.tree.map(lambda x, y: x + 1.5 * (y - x), begin, end)
    np.testing.assert_allclose(  # statistics stay those of the nearer end
        values(found, 1.5, statistics="running"),
        expected("batch", beyond, end[1], "running"),
        rtol=1e-4,
    )


def test_from_one_member_to_another(run):
    found = landscape(run, kind="between", from_seed=1, from_lr=0.01, from_step=12)
    params, stats = point("batch", member=2)
    assert found.settings["from_member"]["seed"] == 1
    got = values(landscape(run, kind="between", points=5, from_seed=1, from_step=12), 0)
    assert got == pytest.approx(expected("batch", *point("batch", member=3)), rel=1e-4)
    middle = jax.tree.map(lambda x, y: (x + y) / 2, params, point("batch")[0])
    assert values(found, 0.5) == pytest.approx(
        expected("batch", middle, stats), rel=1e-4
    )


def test_groups_of_channels_are_not_interpolated(tmp_path, monkeypatch):
    norm, ends = "group_correlated", {"from_step": 4, "step": 8}
    own = made.write_run(tmp_path / "run", CELLS[norm])
    found = landscape(own, norm, kind="between", **ends)
    (begin, groups), (end, _) = point(norm, 4), point(norm, 8)
    assert groups["norm1"]["assignment"].tolist() == [0, 1, 0, 1]
    middle = jax.tree.map(lambda x, y: (x + y) / 2, begin, end)
    want = expected(norm, middle, groups)
    assert values(found, 0.5) == pytest.approx(want, rel=1e-4)
    along, _ = directions(own, norm, kind="between", **ends)
    for a in (0.0, 0.5, 1.5):
        leaf = statistics_at(along, jnp.float32(a))["norm1"]["assignment"]
        assert leaf.dtype == jnp.int32 and leaf.tolist() == [0, 1, 0, 1]

    at = Points.at

    def regrouped(self, step, member):
        there = at(self, step, member)
        other = {"norm1": {"assignment": np.array([0, 0, 1, 1], np.int32)}}
        return there._replace(stats=other) if step == 8 else there

    monkeypatch.setattr(Points, "at", regrouped)
    with pytest.raises(UserError, match=r"groups at step 4 \(seed 0, lr 0.1\)"):
        landscape(own, norm, kind="between", points=5, **ends)


def test_the_plane_of_a_path(run):
    found = landscape(run, kind="path", margin=0.5)
    path, axes = found.axes.path, found.axes
    assert path is not None and path["step"] == list(made.STEPS)
    assert path["a"][-1] == path["b"][-1] == 0 and path["a"][0] > 0
    # Made of two directions, so nothing is left over.
    assert sum(axes.shares) == pytest.approx(1, abs=1e-5)
    assert axes.shares[0] > axes.shares[1] > 0
    for side, along in ((axes.a, path["a"]), (axes.b, path["b"])):
        extent = max(along) - min(along)
        assert side[0] == pytest.approx(min(along) - 0.5 * extent)
        assert side[-1] == pytest.approx(max(along) + 0.5 * extent)
    along, _ = directions(run, "batch", kind="path")
    # The path's kernels are in the plane; biases are the last point's.
    begin = made.state(CELLS["batch"], 0).params["conv1"]["kernel"][MEMBER]
    there = jax.tree.map(
        lambda x, u, v: x + path["a"][0] * u + path["b"][0] * v,
        along.params,
        along.first,
        along.second,
    )
    np.testing.assert_allclose(there["conv1"]["kernel"], begin, atol=1e-4)
    np.testing.assert_array_equal(
        there["conv1"]["bias"], point("batch")[0]["conv1"]["bias"]
    )


def test_a_path_thinned(run):
    found = landscape(run, kind="path", path_points=3, step=8)
    assert found.axes.path is not None and found.axes.path["step"] == [0, 4, 8]


def test_members_differ_and_share_a_program(run):
    own = work(run, kind="line")
    tables = [own.compute(i, made.silent).table["loss"] for i in (0, 1)]
    assert not np.allclose(tables[0], tables[1])
    assert own._surface._run.compile_seconds > 0


@pytest.mark.parametrize(
    ("execution", "devices"), [slow("vmap", "1"), slow("loop", "1"), ("map", "3")]
)
def test_execution_changes_nothing(run, execution, devices):
    config = {"kind": "line", "points": 5, "span": 0.25}
    plain = landscape(run, **config).table
    folder = landscape_folder(
        run.cell(CELLS["batch"].id), landscape(run, **config).settings
    )
    shutil.rmtree(folder)
    other = landscape(run, execution=execution, devices=devices, **config).table
    assert len(plain) == len(other)
    np.testing.assert_allclose(plain["loss"], other["loss"], rtol=1e-4)


class Stop(Exception):
    pass


def stopping(calls: int):
    """A callback that raises when called more than ``calls`` times."""
    left = itertools.count(calls, -1)

    def on_progress(done: int, total: int) -> None:
        if next(left) == 0:
            raise Stop

    return on_progress


@pytest.mark.parametrize("calls", [1, 2])
def test_stopped_anywhere_it_ends_in_the_same_bits(run, copy, calls):
    whole = landscape(run, kind="plane", direction_seed=5)
    with pytest.raises(Stop):
        work(copy, direction_seed=5, member_chunk="3").compute(MEMBER, stopping(calls))
    seen = []
    found = work(copy, direction_seed=5, member_chunk="2").compute(
        MEMBER, lambda done, total: seen.append((done, total))
    )
    done = 3 * calls
    assert seen[0] == (done, 9) and seen[-1] == (9, 9)
    assert found.table.equals(whole.table) and found.axes == whole.axes
    again: list = []
    work(copy, direction_seed=5).compute(MEMBER, lambda *told: again.append(told))
    assert again == [(9, 9)]


def test_what_is_complete_needs_no_data(copy, monkeypatch):
    whole = landscape(copy)
    shutil.rmtree(copy.cell(CELLS["batch"].id).checkpoints)
    monkeypatch.delitem(data.DATASETS, "tiny")
    assert landscape(copy).table.equals(whole.table)


def test_a_gap_is_filled(copy):
    whole = landscape(copy, member_chunk="3")
    (folder,) = stored_landscapes(copy.cell(CELLS["batch"].id))
    (folder / "part-00000006.parquet").unlink()
    assert landscape(copy, member_chunk="3").table.equals(whole.table)


def test_other_settings_are_another_landscape(copy):
    paths = copy.cell(CELLS["batch"].id)
    several: list[dict[str, Any]] = [{}, {"direction_seed": 1}, {"span": 2.0}]
    for changes in [*several, {"images": 6}]:
        landscape(copy, kind="line", **changes)
    assert len(stored_landscapes(paths)) == 4
    landscape(copy, kind="line", images=24)
    more = landscape(copy, kind="line", images=5000)  # there are 24
    assert more.settings["images"] == 24
    assert len(stored_landscapes(paths)) == 5
    landscape(copy, kind="line", margin=0.7)  # of no meaning to a line
    assert len(stored_landscapes(paths)) == 5
    # A test set need not be as long as the training set.
    config = made.config("run", split=("test",), images=5000)
    own = CellLandscapes(paths, CELLS["batch"], config)
    assert own._settings(Asked(0, 4, (0, 4)))["images"] == 5000


def test_a_checkpoint_does_for_a_path(tmp_path):
    bare = made.write_run(tmp_path / "bare", CELLS["batch"], path=False)
    found = landscape(bare, kind="line")
    assert found.settings["step"] == 12
    assert values(found, 0) == pytest.approx(expected("batch", *point("batch")))
    with pytest.raises(UserError, match="step 7: its checkpoints are at 12"):
        landscape(bare, step=7)
    for kind in ("path", "between"):
        with pytest.raises(UserError, match="no path is stored in .*--path_every"):
            landscape(bare, kind=kind)


def damage(folder) -> None:
    largest = max(
        (file for file in folder.rglob("*") if file.is_file()),
        key=lambda file: file.stat().st_size,
    )
    largest.write_bytes(b"\0" * largest.stat().st_size)


def test_what_is_not_there_is_one_line(copy):
    paths = copy.cell(CELLS["batch"].id)
    with pytest.raises(UserError, match="no point at step 5: .*every 4 steps up to 12"):
        landscape(copy, step=5)
    with pytest.raises(UserError, match="no point at step 5"):
        landscape(copy, kind="path", step=5)
    assert not paths.landscapes.exists()
    with pytest.raises(UserError, match="2 points up to step 4, but a plane needs 3"):
        landscape(copy, kind="path", step=4)
    damage(paths.path)
    with pytest.raises(UserError, match="(damaged|cannot be read)"):
        landscape(copy, kind="path")
    shutil.rmtree(paths.path)
    shutil.rmtree(paths.checkpoints)
    with pytest.raises(UserError, match="neither a path .--path_every. nor a check"):
        landscape(copy)


def test_damage_and_company_are_one_line(copy):
    paths = copy.cell(CELLS["batch"].id)
    landscape(copy, kind="line")
    (folder,) = stored_landscapes(paths)
    with only_writer(folder / "lock"):  # complete: nobody has to write
        landscape(copy, kind="line")
    (part,) = folder.glob("part-*")
    good = part.read_bytes()
    part.write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match="damaged.*remove it, and the same command"):
        landscape(copy, kind="line")
    part.unlink()
    with (
        only_writer(folder / "lock"),
        pytest.raises(UserError, match="another process"),
    ):
        landscape(copy, kind="line")
    (folder / "landscape.json").write_text("{}")
    with pytest.raises(UserError, match="landscape.json is damaged.*remove"):
        landscape(copy, kind="line")


def test_too_little_memory_is_one_line(run, monkeypatch):
    own = work(run, kind="line", span=3.0)

    def full(*args):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(own._surface._run, "_over", full)
    with pytest.raises(UserError, match="out of memory with 3 at once.*--member_chunk"):
        own.compute(MEMBER, made.silent)
