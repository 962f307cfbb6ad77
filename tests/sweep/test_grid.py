"""From axes to cells and members."""

import dataclasses
import itertools
import math
from collections import defaultdict

import pytest

from normlab.cell import Member
from normlab.config import STATIC_AXES
from normlab.errors import UserError
from normlab.models import LAYERS
from normlab.norms import NORMS
from normlab.sweep.grid import describe, expand, plan_size
from tests import tiny
from tests.declared import another, reader

SIZES = defaultdict(lambda: 50000, digits=1500)


def cells_of(**changes):
    return expand(tiny.sweep_config(**changes), SIZES)


def configs_of(**changes):
    return [cell.config for cell in cells_of(**changes)]


def test_cells_are_the_product_of_the_static_axes_in_their_order():
    found = configs_of(norm=("batch", "none"), batch_size=(4, 8), init=("report",))
    points = [(c.norm, c.batch_size, c.init) for c in found]
    assert points == [(n, b, "report") for n in ("batch", "none") for b in (4, 8)]


@pytest.mark.parametrize("axis", STATIC_AXES)
def test_every_static_axis_makes_cells(axis):
    values = (getattr(tiny.cell_config(), axis), another(axis))
    if axis == "groups":
        values = (2, 4)
    readers = {name: (value,) for name, value in reader(axis).items()}
    found = configs_of(**{"norm": ("batch",), **readers, axis: values})
    assert tuple(getattr(config, axis) for config in found) == values
    assert len({config.id for config in found}) == 2


def test_members_go_seed_by_seed():
    (cell,) = cells_of(
        norm=("batch",), seed=7, num_seeds=2, lr=(0.1, 0.2), weight_decay=(0.0, 0.3)
    )
    points = itertools.product((7, 8), (0.1, 0.2), (0.0, 0.3))
    assert cell.members == tuple(Member(s, lr, 0.0, wd) for s, lr, wd in points)


def test_momentum_is_an_axis_of_its_optimizer_alone():
    cells = cells_of(
        norm=("none",),
        optimizer=("sgd", "momentum", "adam", "adamw"),
        momentum=(0.5, 0.9),
        num_seeds=1,
        lr=(0.1,),
    )
    found = {c.config.optimizer: [m.momentum for m in c.members] for c in cells}
    assert found == {
        "sgd": [0.0],
        "momentum": [0.5, 0.9],
        "adam": [0.0],
        "adamw": [0.0],
    }


NORMS_OF_ALL_KINDS = ("batch", "group", "group_correlated")


def test_the_end_of_a_decay_is_an_axis_of_schedules_that_decay():
    cells = cells_of(
        norm=("batch",), schedule=("constant", "linear"), decay_to=(0.1, 0.5), lr=(1.0,)
    )
    found = [[member.decay_to for member in cell.members] for cell in cells]
    assert found == [[0.0] * 2, [0.1, 0.5] * 2]


def test_grouping_is_an_axis_of_the_norm_with_assigned_groups_alone():
    cells = cells_of(
        norm=NORMS_OF_ALL_KINDS,
        grouping=("random", "moments"),
        regroup_at=(2,),
        regroup_every=(3,),
        num_seeds=1,
        lr=(0.1,),
    )
    found = {c.config.norm: [m.grouping for m in c.members] for c in cells}
    alone = {"batch": ["sequential"], "group": ["sequential"]}
    assert found == alone | {"group_correlated": ["random", "moments"]}
    steps = {
        c.config.norm: (c.config.regroup_at, c.config.regroup_every) for c in cells
    }
    assert steps == {"batch": (0, 0), "group": (0, 0), "group_correlated": (2, 3)}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"grouping": ("sequential", "alphabetic")}, "--grouping=alphabetic: unknown"),
        (
            {"grouping": ("random",), "regroup_at": (6,)},
            "--regroup_at=6: channels woul",
        ),
    ],
)
def test_groupings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        cells_of(norm=("group_correlated",), **changes)
    assert cells_of(norm=("group",), **changes)


def test_sequential_groups_need_no_step_at_which_they_are_made():
    assert cells_of(norm=("group_correlated",), regroup_at=(6,))


def test_options_that_a_norm_does_not_read_do_not_multiply_cells():
    found = configs_of(
        norm=tuple(NORMS),
        groups=(2, 4),
        norm_momentum=(0.9, 0.99),
        epsilon=(1e-5, 1e-3),
        norm_scale=(True, False),
        norm_p=("1", "2", "inf"),
        noise_place=("after", "before"),
    )
    counts = {norm: sum(c.norm == norm for c in found) for norm in NORMS}
    assert counts == {
        "none": 1,
        "batch": 8,
        "group": 8,
        "group_correlated": 8,
        "layer": 4,
        "instance": 4,
        "batch_lp": 24,
        "batch_noisy": 16,
    }
    assert {c.norm_p for c in found if c.norm != "batch_lp"} == {"1"}
    assert {c.noise_place for c in found if c.norm != "batch_noisy"} == {"after"}
    grouped = {norm for norm, entry in NORMS.items() if "groups" in entry.reads}
    assert {c.groups for c in found if c.norm in grouped} == {2, 4}
    assert {c.groups for c in found if c.norm not in grouped} == {None}
    without = {c.norm_momentum for c in found if not c.norm.startswith("batch")}
    assert without == {0.9}


def test_a_network_without_norms_has_no_last_scale():
    found = configs_of(
        norm=("none", "group"), model=("resnet20",), zero_last_scale=(True, False)
    )
    points = [(c.norm, c.zero_last_scale) for c in found]
    assert points == [("none", True), ("group", True), ("group", False)]


@pytest.mark.parametrize("axis", LAYERS)
def test_options_of_a_layer_do_not_multiply_models_without_it(axis):
    models = ("small_cnn", "vgg11", "resnet20", "deep_linear")
    found = configs_of(norm=("batch",), model=models, **{axis: (True, False)})
    points = [(c.model, getattr(c, axis)) for c in found]
    having = {(m, True) for m in models if m in LAYERS[axis]}
    assert len(points) == 5 and having
    assert set(points) == having | {(m, False) for m in models}


@pytest.mark.parametrize(
    "axis, model", [("zero_last_scale", "small_cnn"), ("norm_dense", "resnet20")]
)
def test_a_layer_that_no_model_has_is_one_line(axis, model):
    with pytest.raises(UserError, match=f"--{axis}: no such layer in {model}; "):
        configs_of(norm=("batch",), model=(model,), **{axis: (False, True)})


def test_only_norms_with_running_averages_are_evaluated_in_several_ways():
    found = configs_of(
        eval_statistics=("precise", "running"), norm=("none", "batch", "group")
    )
    assert [c.eval_statistics for c in found] == [
        ("precise",),
        ("precise", "running"),
        ("precise",),
    ]


@pytest.mark.parametrize(
    "epochs, train_size, batch_size, steps",
    [
        (0.1, 1000, 10, 10),
        (1.1, 0, 50, 33),  # 1.1 * 1500 / 50 is 33.00000000000001
        (1.0, 1000, 10, 100),
        (1.0, 1000, 300, 4),
        (0.7, 1000, 10, 70),
        (2.5, 64, 8, 20),
        (0.001, 64, 64, 1),
        (3.0, 0, 50, 90),  # 0 is all 1500 images
    ],
)
def test_epochs_become_steps(epochs, train_size, batch_size, steps):
    (config,) = configs_of(
        norm=("none",),
        epochs=epochs,
        steps=0,
        train_size=(train_size,),
        batch_size=(batch_size,),
    )
    assert config.steps == steps


def test_defaults_are_resolved():
    (config,) = configs_of(
        norm=("none",), train_size=(0,), batch_size=(64,), eval_every=0
    )
    assert config.train_size == 1500
    assert config.eval_every == math.ceil(1500 / 64)
    assert config.train_eval_size == 32
    (often,) = configs_of(norm=("none",), eval_every=0, eval_epochs=0.25)
    assert often.eval_every == 64 / often.batch_size / 4
    (small,) = configs_of(norm=("none",), train_eval_size=10000)
    assert small.train_eval_size == 64


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"norm": ("batch", "bathc")}, "--norm=bathc: unknown; known: none, batch"),
        ({"train_size": (1501,)}, "--train_size=1501: digits has 1500 training"),
        ({"batch_size": (65,)}, "--batch_size=65: larger than the 64 training images"),
        (
            {"batch_size": (1501,), "train_size": (0,)},
            "--batch_size=1501: larger than the 1500",
        ),
        (
            {"batch_size": (8, 12), "accumulate": (1, 8)},
            "--accumulate=8: does not divide --batch_size=12",
        ),
        ({"schedule": ("step",)}, "--schedule=step: unknown; known: constant, cosine"),
        (
            {"warmup": (0, 6)},
            "--warmup=6: the learning rate would never reach --lr in 6 steps",
        ),
        (
            {"dataset": ("gaussian",), "label_smoothing": (0.0, 0.1)},
            "--label_smoothing=0.1: gaussian is a regression, which has no labels",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        cells_of(**changes)


def test_plan_size_counts_members_and_their_steps():
    cells = cells_of(norm=("none", "batch"), batch_size=(8, 16), epochs=1.0, steps=0)
    assert plan_size(cells) == (16, 2 * 4 * (8 + 4))


def test_describe_says_what_sets_a_cell_apart():
    found = tuple(configs_of(norm=("none", "group"), groups=(2, 4), batch_size=(4, 8)))
    names = [describe(config, found) for config in found]
    assert names[0] == "none, batch_size 4"
    assert "group (G=2), batch_size 8" in names
    assert len(set(names)) == len(found)
    assert describe(found[0], found[:1]) == "none"
    lps = tuple(configs_of(norm=("batch", "batch_lp"), norm_p=("1", "inf")))
    assert [describe(config, lps) for config in lps] == [
        "batch",
        "batch l1",
        "batch linf",
    ]


def test_ids_tell_cells_apart_by_every_field():
    base = tiny.cell_config()
    changes = [dataclasses.replace(base, steps=13), tiny.cell_config(norm="none")]
    assert len({base.id, *(c.id for c in changes)}) == 3
    assert base.id == tiny.cell_config().id


def test_quantities_about_norms_are_left_out_where_there_is_none():
    asked = ("gradient_norm", "identities")
    found = configs_of(norm=("none", "batch", "batch_noisy"), quantities=asked)
    assert [c.quantities for c in found] == [asked[:1], asked, asked[:1]]
    alone = configs_of(norm=("none", "group"), quantities=("identities",), eval_every=3)
    assert [(c.quantities, c.probe_every) for c in alone] == [
        ((), 0),
        (("identities",), 3),
    ]


def test_where_no_cell_has_a_norm_they_are_asked_for_and_refused_later():
    (cell,) = configs_of(norm=("none",), quantities=("identities",))
    assert cell.quantities == ("identities",)
