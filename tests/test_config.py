"""What a configuration may be, and that it survives JSON."""

import dataclasses
import json
import math

import pytest

from normlab.cell import CellConfig, Member
from normlab.config import LABEL_AXES, SweepConfig
from normlab.errors import UserError
from normlab.run_options import RunOptions
from normlab.serialize import from_dict, to_json
from normlab.settings import earlier, stored_names
from tests.cells import cell_config
from tests.declared import another

CELL = cell_config(norm="group", groups=4, steps=7, eval_every=3)


def changed(value):
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, tuple):
        return (*value, "batch")
    return value + 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"lr": (-1.0,)}, "--lr=-1.0: must be 0 or more, and finite"),
        ({"lr": (1e-3, math.nan)}, "--lr=nan: must be 0 or more, and finite"),
        ({"lr": (math.inf,)}, "--lr=inf: must be 0 or more, and finite"),
        ({"weight_decay": (-0.1,)}, "--weight_decay=-0.1: must be 0 or more"),
        ({"epsilon": (-1e-5,)}, "--epsilon=-1e-05: must be 0 or more"),
        ({"momentum": (1.0,)}, "--momentum=1.0: must be below 1"),
        ({"momentum": (-0.5,)}, "--momentum=-0.5: must be 0 or more"),
        ({"norm_momentum": (1.5,)}, "--norm_momentum=1.5: must be below 1"),
        ({"num_seeds": 0}, "--num_seeds=0: must be 1 or more"),
        ({"seed": -1}, "--seed=-1: must be 0 or more"),
        ({"seed": 2**31 - 1, "num_seeds": 2}, "seeds must stay below 2**31"),
        ({"seed": 2**31}, "--seed=2147483648: must be below 2**31"),
        ({"batch_size": (50, 0)}, "--batch_size=0: must be 1 or more"),
        ({"groups": (0,)}, "--groups=0: must be 1 or more"),
        ({"train_size": (-1,)}, "--train_size=-1: must be 0 or more"),
        ({"eval_every": -1}, "--eval_every=-1: must be 0 or more"),
        ({"path_every": -1}, "--path_every=-1: must be 0 or more"),
        ({"eval_epochs": 0.0}, "--eval_epochs=0.0: must be above 0, and finite"),
        ({"train_eval": "some"}, "--train_eval=some: unknown; known: fixed, current"),
        ({"train_eval_size": 0}, "--train_eval_size=0: must be 1 or more"),
        ({"eval_batch_size": 0}, "--eval_batch_size=0: must be 1 or more"),
        ({"steps": 10**400}, "must be below 2**31"),
        ({"steps": -1}, "--steps=-1: must be 0 or more"),
        ({"steps": 0, "epochs": math.nan}, "--epochs=nan: must be 0 or more"),
        ({"epochs": 1.0}, "--epochs and --steps are both given; give one"),
        ({"steps": 0}, "give the length of training: --epochs or --steps"),
        ({"lr": ()}, "--lr needs at least one value"),
        ({"lr": (1e-3, 0.001)}, "--lr names 0.001 twice"),
        ({"lr": (0.1, 0.10000000001)}, "--lr=0.1,0.10000000001: both are 0.1 in float"),
        ({"lr": (0.1, 1e-46)}, "--lr=1e-46: it is 0 in float32"),
        ({"lr": (1e-46, 0.0)}, "--lr=1e-46: it is 0 in float32"),
        ({"lr": (1e-38,)}, "--lr=1e-38: it is 0 in float32"),
        ({"weight_decay": (5e-4, 5.0000000001e-4)}, "both are 0.0005 in float32"),
        ({"weight_decay": (0.0, 1e-300)}, "--weight_decay=1e-300: it is 0 in float32"),
        ({"momentum": (0.9, 0.90000000001)}, "both are 0.9 in float32"),
        ({"momentum": (0.99999999,)}, "--momentum=0.99999999: it is 1 in float32"),
        ({"momentum": (1e-40,)}, "--momentum=1e-40: it is 0 in float32"),
        ({"norm_momentum": (1 - 1e-9,)}, "--norm_momentum=0.999999999: it is 1 in "),
        ({"norm_momentum": (0.99, 0.990000001)}, "both are 0.99 in float32"),
        ({"epsilon": (1e-5, 1.00000001e-5)}, "both are 1e-05 in float32"),
        ({"epsilon": (1e-39,)}, "--epsilon=1e-39: it is 0 in float32"),
        ({"noise_mean": (1e-50,)}, "--noise_mean=1e-50: it is 0 in float32"),
        ({"noise_mean_spread": (0.1, 0.1 + 1e-10)}, "both are 0.1 in float32"),
        ({"noise_scale": (1 + 1e-9,)}, "--noise_scale=1.000000001: it is 1 in float32"),
        ({"noise_scale_spread": (1e-39,)}, "--noise_scale_spread=1e-39: it is 0 in"),
        ({"probe_etas": (0.5, 0.500000001)}, "both are 0.5 in float32"),
        ({"probe_etas": (1e-44,)}, "--probe_etas=1e-44: it is 0 in float32"),
        ({"norm": ("none", "batch", "none")}, "--norm names none twice"),
        ({"standardize": ("pixel",)}, "pixel: unknown; known: channel, feature, none"),
        ({"augment": ("spin",)}, "spin: unknown; known: none, flip, crop, flip_crop"),
        (
            {"eval_statistics": ("test",)},
            "test: unknown; known: running, batch, precise",
        ),
    ],
)
def test_a_wrong_setting_is_named(setting, message):
    with pytest.raises(UserError) as caught:
        SweepConfig(**{"steps": 5, **setting})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"execution": "pmap"}, "pmap: unknown; known: auto, vmap, map, loop"),
        ({"member_chunk": "0"}, "--member_chunk=0: give a positive number or auto"),
        ({"member_chunk": "-1"}, "give a positive number or auto"),
        ({"member_chunk": "half"}, "give a positive number or auto"),
        ({"member_chunk": "²"}, "give a positive number or auto"),
        ({"member_chunk": ""}, "give a positive number or auto"),
        ({"call_steps": 0}, "--call_steps=0: must be 1 or more"),
        ({"keep_checkpoints": 0}, "--keep_checkpoints=0: must be 1 or more"),
        ({"checkpoint_seconds": -1.0}, "--checkpoint_seconds=-1.0: must be 0 or more"),
        ({"checkpoint_seconds": math.nan}, "--checkpoint_seconds=nan: must be 0"),
    ],
)
def test_a_wrong_option_is_named(setting, message):
    with pytest.raises(UserError) as caught:
        RunOptions(**setting)
    assert message in str(caught.value)


def test_the_edges_are_allowed():
    config = SweepConfig(
        lr=(0.0, 1e-3, 1.2e-38, 0.1, 0.10000001, 3.4e38),
        momentum=(0.0, 1 - 2**-24),
        width=(1.0, 1.0000000001),  # a number of channels, rounded
        epochs=0.5,
        seed=2**31 - 1,
        num_seeds=1,
    )
    assert config.lr == (0.0, 1e-3, 1.2e-38, 0.1, 0.10000001, 3.4e38)
    assert RunOptions(member_chunk="3", checkpoint_seconds=0.0).member_chunk == "3"


@pytest.mark.parametrize(
    "value",
    [
        SweepConfig(steps=5),
        SweepConfig(epochs=0.1, lr=(1e-5, 0.1 + 0.2), norm_scale=(False, True)),
        CELL,
        dataclasses.replace(CELL, groups=None, eval_statistics=("batch", "running")),
        Member(seed=3, lr=1e-3, momentum=0.0, weight_decay=5e-4),
        Member(0, 1e-3, 0.0, 0.0, grouping="random"),
    ],
)
def test_json_and_back(value):
    text = to_json(value)
    again = from_dict(type(value), json.loads(text))
    assert again == value
    names = [spec.name for spec in dataclasses.fields(value)]
    for name in names:
        assert type(getattr(again, name)) is type(getattr(value, name)), name
    assert list(json.loads(text)) == list(stored_names(value).values())


def test_a_renamed_setting_is_stored_under_its_old_name():
    fields = json.loads(to_json(CELL))
    assert fields["bn_eval"] == ["running"] and "eval_statistics" not in fields


@pytest.mark.parametrize("kind", [SweepConfig, CellConfig, Member])
def test_json_of_another_version_is_refused(kind):
    value = {
        SweepConfig: SweepConfig(steps=5),
        CellConfig: CELL,
        Member: Member(0, 1e-3, 0.0, 0.0),
    }[kind]
    fields = json.loads(to_json(value))
    with pytest.raises(UserError, match=f"not a {kind.__name__}.*: fields colour"):
        from_dict(kind, {**fields, "colour": 1})
    missing = next(iter(fields))
    del fields[missing]
    with pytest.raises(UserError, match=f"fields {missing}"):
        from_dict(kind, fields)


@pytest.mark.parametrize("value", [CELL, Member(0, 1e-3, 0.0, 0.0)])
def test_json_without_what_came_later_is_read(value):
    fields = json.loads(to_json(value))
    assert earlier(value) and earlier(value).keys() <= fields.keys()
    older = {k: v for k, v in fields.items() if k not in earlier(value)}
    assert from_dict(type(value), older) == value


def test_a_bad_value_in_json_is_checked_like_a_flag():
    fields = json.loads(to_json(SweepConfig(steps=5)))
    with pytest.raises(UserError, match="--lr=-1"):
        from_dict(SweepConfig, {**fields, "lr": [-1]})


@pytest.mark.parametrize("name", earlier(CellConfig))
def test_a_later_setting_is_in_the_id_where_it_differs(name):
    other = another(name)
    assert getattr(CELL, name) == earlier(CELL)[name] != other
    assert dataclasses.replace(CELL, **{name: other}).id != CELL.id


def test_the_id_of_a_cell_is_stable():
    # A changed id orphans every stored run: change it only with the store's FORMAT.
    assert CELL.id == "digits-small_cnn-group4-b10-b7c8e5c3"
    assert CELL.id == dataclasses.replace(CELL).id


@pytest.mark.parametrize("name", [s.name for s in dataclasses.fields(CellConfig)])
def test_every_field_changes_the_id(name):
    other = dataclasses.replace(CELL, **{name: changed(getattr(CELL, name))})
    assert other.id != CELL.id


def test_labels_tell_cells_apart_by_all_axes_that_are_left_to_them():
    """Tables and figures add the other axes to the label, and not these."""
    other = {"norm": "layer", "groups": 2, "norm_p": "1"}
    assert set(LABEL_AXES) == set(other)
    lp = dataclasses.replace(CELL, norm="batch_lp", groups=None, norm_p="inf")
    for name, value in other.items():
        cell = lp if name == "norm_p" else CELL
        assert dataclasses.replace(cell, **{name: value}).label != cell.label


def test_labels():
    assert CELL.label == "group (G=4)"
    assert dataclasses.replace(CELL, norm="batch", groups=None).label == "batch"
    assert "-batch-" in dataclasses.replace(CELL, norm="batch", groups=None).id
    lp = dataclasses.replace(CELL, norm="batch_lp", groups=None, norm_p="inf")
    assert lp.label == "batch linf" and "-batch_lpinf-" in lp.id
