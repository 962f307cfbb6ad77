"""A plan traces cells that are alike once, and spends little time however many."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.members.memory import Footprint
from normlab.members.over import OverMembers
from normlab.models import INITS
from normlab.registry import REGISTRIES
from normlab.run_options import RunOptions
from normlab.settings import settings_of
from normlab.sweep import cell_plan, plan
from normlab.sweep.cell_plan import CellPlan, Later, Planner
from normlab.sweep.grid import expand
from normlab.sweep.kinds import by_kind
from normlab.sweep.plan import make_plan, sweep_cells
from tests import tiny
from tests.marks import slow

SIZES = tuple(range(2, 34))
OPTIONS = RunOptions(member_chunk="auto", call_steps=2)


@pytest.fixture
def traced(monkeypatch):
    """The (norm, batch size) of every cell whose functions are traced."""
    cells = []

    def functions_of(program, cell, dataset, call_steps):
        cells.append((cell.config.norm, cell.config.batch_size))
        return ()

    def footprint_of(functions, count, measured=False):
        return Footprint(state=8, working=1000 * cells[-1][1], measured=measured)

    monkeypatch.setattr(cell_plan, "functions_of", functions_of)
    monkeypatch.setattr(cell_plan, "footprint_of", footprint_of)
    return cells


def test_many_cells_are_traced_as_few(traced):
    config = tiny.sweep_config(norm=("none", "batch"), batch_size=SIZES)
    plans = make_plan(config, OPTIONS).cells
    assert len(plans) == 2 * len(SIZES)
    assert traced == [("none", 33), ("batch", 33)]
    assert all(isinstance(one, CellPlan) for one in plans)


def test_sizes_that_are_cut_into_parts_of_the_same_size_are_traced_as_one(traced):
    sizes = (97, 49, 256, 128, 53, 48, 32)
    config = tiny.sweep_config(norm=("none",), batch_size=sizes, train_size=(256,))
    plans = make_plan(config, OPTIONS).cells
    assert traced == [("none", 97), ("none", 256)]
    assert all(isinstance(one, CellPlan) for one in plans)


_PARTS = (49, 50, 64, 90, 99, 100, 128)


@pytest.mark.parametrize(
    "norm, accumulate, sizes",
    [
        ("none", 1, _PARTS),
        ("none", 2, _PARTS),
        ("none", 3, (31, 32)),  # a probe takes 93 images at a time, and 48 of 96
        slow("batch", 1, _PARTS),
        slow("batch", 2, _PARTS),
    ],
)
def test_no_batch_needs_more_than_its_plan_says(norm, accumulate, sizes):
    """Also if the larger batch needs less, because it is computed in parts."""
    config = tiny.sweep_config(
        norm=(norm,),
        batch_size=tuple(accumulate * part for part in sizes),
        accumulate=(accumulate,),
        train_size=(260,),
        quantities=("effective_smoothness",),
        probe_every=3,
    )
    options = RunOptions(execution="map", conv="direct", call_steps=2)
    cells = sweep_cells(config, options)
    datasets = {"digits": tiny.dataset(train=300, side=16)}
    planned = Planner(cells, cells, datasets, options)
    needed = {}
    for cell in cells:
        alone = Planner((cell,), [cell], datasets, options).plan(cell)
        needed[cell.config.batch_size] = alone.footprint.working
        assert planned.plan(cell).footprint.working >= alone.footprint.working
    assert list(needed.values()) != sorted(needed.values())


def test_a_larger_batch_needs_more_whatever_the_turns_of_its_gradients():
    """Of 48 and 60 images there are several a turn; of 49 and 61 all, of 62 two."""
    config = tiny.sweep_config(
        norm=("none",), batch_size=(48, 49, 60, 61, 62), train_size=(100,)
    )
    options = RunOptions(execution="map", conv="direct", call_steps=2)
    datasets = {"digits": tiny.dataset(train=100, side=16)}
    needed = [
        Planner((cell,), [cell], datasets, options).plan(cell).footprint.working
        for cell in sweep_cells(config, options)
    ]
    assert needed == sorted(needed)


def test_a_cell_that_the_bound_of_its_kind_excludes_is_traced_itself(
    traced, monkeypatch
):
    config = tiny.sweep_config(norm=("none",), batch_size=(2, 33))
    data_bytes = 2**20  # more than the digits that the plan counts
    monkeypatch.setattr(cell_plan, "choose_room", lambda *_: (1, data_bytes))
    monkeypatch.setattr(cell_plan, "choose_member_chunk", small_enough)
    small, large = make_plan(config, OPTIONS).cells
    # First for all, then each by itself, and the larger one by the compiler.
    assert traced == [("none", 33), ("none", 2), ("none", 33)]
    assert isinstance(small, CellPlan) and isinstance(large, CellPlan)
    assert not small.footprint.measured and large.footprint.measured


def small_enough(asked, members, footprint, *_):
    return (members if footprint.working < 10_000 else 1), "so"


def test_what_there_is_no_time_for_is_planned_later(traced, monkeypatch):
    config = tiny.sweep_config(norm=("none", "batch", "group"), batch_size=(2, 3))
    whole = make_plan(config, OPTIONS)
    del traced[:]
    monkeypatch.setattr(plan, "_TRACING_SECONDS", -1.0)
    hurried = make_plan(config, OPTIONS)
    assert traced == [("none", 3)]
    assert [isinstance(one, Later) for one in hurried.cells] == 2 * [False] + 4 * [True]
    lines = hurried.text(verbose=True).splitlines()
    assert "planned when it starts" in lines[-2]
    for one, other in zip(hurried.cells, whole.cells, strict=True):
        late, early = one.now(), other.now()
        assert (late.name, late.member_chunk) == (early.name, early.member_chunk)
    assert traced == [("none", 3), ("batch", 3), ("group", 3)]


def test_the_first_cells_show_every_value():
    config = tiny.sweep_config(
        norm=("none", "group"),
        groups=(2, 4),
        batch_size=(1, 4, 8),
        precision=("float32", "bfloat16"),
        width=(1.0, 0.5),
    )
    kinds = list(by_kind(expand(config, {"digits": 1797})))
    first = kinds[:6]
    for axis in ("norm", "groups", "precision", "width", "batch_size"):
        values = {dict(kind[:-1])[axis] for kind in kinds}
        assert len(values) > 1
        assert {dict(kind[:-1])[axis] for kind in first} == values


def test_widths_with_the_same_channels_are_found_if_there_is_no_time(
    traced, monkeypatch
):
    monkeypatch.setattr(plan, "_TRACING_SECONDS", 0.0)
    config = tiny.sweep_config(norm=("none", "batch"), width=(0.25, 0.25001))
    with pytest.raises(UserError, match="--width=0.25,0.25001: .* in small_cnn"):
        make_plan(config, OPTIONS)
    assert len(traced) == 1
    config = dataclasses.replace(config, width=(0.25, 0.5))
    assert any(isinstance(one, Later) for one in make_plan(config, OPTIONS).cells)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"norm": ("batch", "group"), "groups": (4, 3)}, "group .G=3.*small_cnn"),
        ({"norm": ("batch",), "norm_dense": (False, True)}, "one value"),
    ],
)
def test_mistakes_of_the_last_cells_are_found_at_once(wrong, message):
    """A part of a batch with one image is tried although another is larger."""
    config = tiny.sweep_config(width=(0.25,), batch_size=(8, 1), **wrong)
    with pytest.raises(UserError, match=message):
        make_plan(config, OPTIONS)


NAMED = [
    spec.name for spec, one in settings_of(SweepConfig) if one.choices in REGISTRIES
]


@pytest.mark.parametrize("name", NAMED)
def test_an_unknown_name_is_refused_even_if_no_cell_reads_it(name):
    config = tiny.sweep_config(norm=("none",))
    many = isinstance(getattr(config, name), tuple)
    asked = ("xyz",) if many else "xyz"
    with pytest.raises(UserError, match=f"^--{name}=xyz: unknown; known: [^\n]+$"):
        sweep_cells(dataclasses.replace(config, **{name: asked}), OPTIONS)


def test_every_registry_of_a_sweep_is_tried():
    assert {"norm_init", "grouping", "init", "quantities", "schedule"} <= set(NAMED)


@pytest.mark.parametrize("init", ["report", slow("standard")])
def test_a_brief_compilation_gives_the_same_bits(init):
    def draw(seed, scale):
        key = jax.random.fold_in(jax.random.key(seed), 3)
        kernel = INITS[init].kernel(key, (3, 3, 3, 16), jnp.float32)
        return kernel, scale * kernel

    arguments = jnp.arange(5, dtype=jnp.uint32), jnp.linspace(0.1, 1, 5)
    short = OverMembers(draw, (True, True), "map", brief=True)
    whole = OverMembers(draw, (True, True), "vmap")
    for one, other in zip(short(*arguments), whole(*arguments), strict=True):
        np.testing.assert_array_equal(one, other)
    assert short._options and not whole._options
