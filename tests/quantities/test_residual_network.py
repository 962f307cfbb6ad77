"""Quantities at the norm layers of a residual network, whose paths split and meet."""

import functools
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.models import INITS, MODELS, Entry
from normlab.models.resnet import ResNet
from normlab.train.measure import Snapshot
from normlab.train.network import build_network
from normlab.train.program import build_measure
from tests import tiny
from tests.quick import quick

DATA = tiny.dataset()
LAYERS = tuple(f"{kind}{i}" for i in range(1, 8) for kind in ("conv", "norm"))


@pytest.fixture(autouse=True)
def resnet8():
    """A block a stage, and random numbers that are quick to compile."""
    entry = Entry(functools.partial(ResNet, blocks=1), widest=64)
    own = mock.patch.dict(MODELS, resnet8=entry)
    with own, mock.patch.dict(INITS, quick=tiny.QUICK):
        yield


def cell(norm, zero_last_scale=False):
    return tiny.cell_config(
        model="resnet8", width=0.25, norm=norm, zero_last_scale=zero_last_scale
    )


def start(config) -> Any:
    """The variables that training begins with, float64."""
    model: Any = build_network(config, DATA).model
    x = jnp.zeros((1, *DATA.image_shape), "float32")
    found = quick(lambda key: model.init(key, x, statistics="batch"))(jax.random.key(1))
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), found)


@functools.cache
def measurement(config, names) -> tuple[Any, Any]:
    site, measure = build_measure(config, DATA, names, config, conv="lax")
    return site, quick(measure)


def measured(config, names, variables) -> tuple[Any, dict]:
    """(site, what is found at ``variables``)."""
    site, measure = measurement(config, names)
    stats = variables.get("batch_stats", {})
    point = Snapshot(variables["params"], stats, {}, lr=0.1, seed=0, step=0)
    data = {"train_x": jnp.asarray(DATA.train_x), "train_y": jnp.asarray(DATA.train_y)}
    found = measure(point, jnp.arange(8), data)
    return site, jax.tree.map(np.asarray, found)


NAMES = ("gradient_norm", "identities")


def parts_of(site, found) -> dict:
    """The norm of each part's gradient, by its name."""
    return dict(zip(site.labels("part"), found["gradient_norm"]["l2"], strict=True))


@pytest.mark.parametrize(
    "norm", ["group", pytest.param("batch", marks=pytest.mark.slow)]
)
def test_the_identity_holds_at_every_norm_layer(norm, x64):
    config = cell(norm)
    site, found = measured(config, NAMES, start(config))
    assert tuple(site.layers) == (*LAYERS, "dense1")
    assert site.norms == LAYERS[1::2]
    assert tuple(place.channels for place in site.places) == (4, 4, 4, 8, 8, 16, 16)
    identities = found["identities"]
    assert identities["left"].dtype == np.float64
    assert (identities["left"] > 0).all()
    assert (identities["relative_error"] < 1e-9).all()
    assert (identities["bound_ratio"] >= 1 - 1e-9).all()
    parts = parts_of(site, found)
    assert all(parts[name] > 0 for name in (*LAYERS[1::2], "conv1", "dense1"))


def test_where_blocks_are_the_identity_their_layers_have_no_gradient(x64):
    """But for the scale and bias that will open them."""
    variables = start(cell("group", zero_last_scale=True))
    opened = {"norm3", "norm5", "norm7"}
    for name in LAYERS[1::2]:
        scale = variables["params"][name]["scale"]
        assert (np.asarray(scale) == (name not in opened)).all()
    # The same program wherever they start.
    site, found = measured(cell("group"), NAMES, variables)
    identities = found["identities"]
    error = identities["relative_error"]
    assert error[0] < 1e-9 and np.isnan(error[1:]).all()
    assert identities["left"][0] > 0 and (identities["left"][1:] == 0).all()
    parts = parts_of(site, found)
    for name in site.layers:
        moves = name in {"conv1", "norm1", "dense1"} | opened
        assert (parts[name] > 0) == moves, name


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_second_order_identity_holds_too(norm, x64):
    config = cell(norm)
    _, found = measured(config, ("curvature_identities",), start(config))
    own = found["curvature_identities"]
    assert own["left"].shape == (7,) and (own["left"] != 0).all()
    assert (own["relative_error"] < 1e-9).all()
