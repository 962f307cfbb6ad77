"""Keywords as settings: scalars and arrays, and a line for every wrong type."""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from normlab import plugins
from normlab.api.arguments import settings
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.run_options import RunOptions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.1, (0.1,)),
        (1, (1.0,)),
        ([1e-3, 1], (1e-3, 1.0)),
        ((0.1, 0.2), (0.1, 0.2)),
        (np.float64(0.1), (0.1,)),
        (np.float32(0.1), (0.1,)),
        (np.array(0.1, np.float16), (0.1,)),
        (np.array([0.1, 0.3], np.float32), (0.1, 0.3)),
        ([np.float32(0.1), np.int64(2)], (0.1, 2.0)),
        (np.arange(1, 3), (1.0, 2.0)),
        (jnp.array([0.1, 0.7]), (0.1, 0.7)),
        (pd.Series([0.1, 0.2]), (0.1, 0.2)),
        (range(1, 3), (1.0, 2.0)),
        ((10.0**-k for k in (1, 2)), (0.1, 0.01)),
    ],
)
def test_values_of_an_axis(given: Any, expected):
    found = settings({"steps": 1, "lr": given})[0].lr
    assert found == expected and {type(x) for x in found} == {float}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("norm", "batch", ("batch",)),
        ("norm", np.array(["none", "batch"]), ("none", "batch")),
        ("quantities", "gradient_norm", ("gradient_norm",)),
        ("quantities", [], ()),
        ("batch_size", np.int32(8), (8,)),
        ("norm_scale", np.bool_(False), (False,)),
        ("norm_scale", [True, False], (True, False)),
        ("norm_p", [1, 2.0, "inf"], ("1", "2", "inf")),
        ("norm_p", float("inf"), ("inf",)),
        ("path_next", True, True),
        ("epochs", 3, 3.0),
        ("devices", 2, "2"),
        ("cell_gpus", 0.5, "0.5"),
        ("checkpoint_seconds", np.float32(0.5), 0.5),
        ("out", Path("a") / "b", "a/b"),
    ],
)
def test_other_values(name, given: Any, expected):
    length = {} if name == "epochs" else {"steps": 1}
    config, options = settings({name: given} | length)
    found = getattr(config if hasattr(config, name) else options, name)
    assert found == expected and type(found) is type(expected)


WRONG: list[tuple[str, Any, str]] = [
    ("lr", "fast", "lr must be a number or a list of numbers, not 'fast'"),
    ("lr", [0.1, "b"], "lr must be a number or a list of numbers, not 'b' in a list"),
    ("lr", "1e-3", "lr must be a number or a list of numbers, not '1e-3'"),
    ("lr", None, "lr must be a number or a list of numbers, not None"),
    ("lr", True, "lr must be a number or a list of numbers, not True"),
    ("lr", 1j, "lr must be a number or a list of numbers, not 1j"),
    ("lr", {0.1}, "lr must be a number or a list of numbers, not {0.1}"),
    ("lr", {"a": 1}, "lr must be a number or a list of numbers, not {'a': 1}"),
    (
        "lr",
        np.ones((2, 2)),
        "lr must be a number or a list of numbers, not [1.0, 1.0] in a list",
    ),
    ("norm", None, "norm must be a word or a list of words, not None"),
    ("norm", 3, "norm must be a word or a list of words, not 3"),
    ("norm", b"batch", "norm must be a word or a list of words, not b'batch'"),
    ("norm_p", True, "norm_p must be a word or a list of words, not True"),
    (
        "batch_size",
        8.0,
        "batch_size must be a whole number or a list of whole numbers, not 8.0",
    ),
    ("steps", "10", "steps must be a whole number, not '10'"),
    ("steps", [10], "steps must be a whole number, not (10,)"),
    ("epochs", [1, 2], "epochs must be a number, not (1, 2)"),
    (
        "norm_scale",
        1,
        "norm_scale must be True or False or a list of True and False, not 1",
    ),
    ("path_next", "yes", "path_next must be True or False, not 'yes'"),
    ("out", 5, "out must be a word, not 5"),
    ("lrs", 0.1, "unknown setting 'lrs'; did you mean lr?"),
    ("batchsize", 8, "unknown setting 'batchsize'; did you mean batch_size or "),
    ("zzz", 8, "unknown setting 'zzz'; help(normlab.run) has all"),
]


@pytest.mark.parametrize(("name", "given", "message"), WRONG)
def test_a_wrong_type_is_one_line(name, given: Any, message):
    with pytest.raises(UserError) as caught:
        settings({"steps": 1} | {name: given})
    text = str(caught.value)
    assert text.startswith(f"normlab.run: {message}") and "\n" not in text
    assert text.endswith(message) or message.endswith(" or ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": -1.0}, "--lr=-1.0: must be 0 or more"),
        ({"lr": []}, "--lr needs at least one value"),
        ({"lr": [0.1, 0.1]}, "--lr names 0.1 twice"),
        ({"out": "a\nb"}, "--out='a\\nb': it contains a control character"),
        ({"out": "\udcff"}, "is not text"),
        ({"devices": 0}, "--devices=0: give a positive number or auto"),
        ({"devices": 1.5}, "--devices=1.5: give a positive number or auto"),
        ({"epochs": 1}, "--epochs and --steps are both given"),
    ],
)
def test_values_are_checked_as_the_commands_are(given, message):
    with pytest.raises(UserError, match="(?s).*") as caught:
        settings({"steps": 1} | given)
    assert message in str(caught.value)


def test_every_default_is_a_value():
    """What the signature shows can be given."""
    given = {
        spec.name: spec.default
        for kind in (SweepConfig, RunOptions)
        for spec in dataclasses.fields(kind)
    }
    found = settings(given | {"steps": 7})
    assert found == (SweepConfig(steps=7), RunOptions())


def test_a_plugin_that_is_named_may_be_imported(monkeypatch):
    monkeypatch.setattr(plugins, "_names", set())
    named = {"model": "mine:Net", "quantities": ["mine:one", "loss_range"], "steps": 1}
    settings(named)
    assert plugins.permits().names == ("mine:Net", "mine:one")
