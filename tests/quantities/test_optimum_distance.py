"""Lemma 4.5 in a cell's own program: whose weights, and from which start."""

import dataclasses
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab
from normlab.models import INITS
from normlab.settings import ProbeSettings
from normlab.train.measure import Snapshot, site_of
from normlab.train.network import build_network
from normlab.train.program import build_measure, build_program, data_arrays
from tests import tiny

BEFORE = {"deep_linear": "dense"}


# Each norm, with and without a scale; each model once.
@pytest.mark.parametrize(
    ("model", "norm", "scale"),
    [
        ("small_cnn", "batch", True),
        ("small_cnn", "batch", False),
        ("small_cnn", "group", True),
        ("small_cnn", "group", False),
        ("vgg11", "group", False),
        ("resnet20", "batch", True),
        ("deep_linear", "batch", False),
    ],
)
def test_the_weights_before_every_norm(model, norm, scale):
    groups = 2 if norm == "group" else None
    config = tiny.cell_config(
        model=model,
        init="standard",
        norm=norm,
        groups=groups,
        norm_scale=scale,
        norm_bias=scale,
    )
    network = build_network(config, tiny.dataset())
    network = dataclasses.replace(network, image_shape=(32, 32, 3))
    site = site_of(network, ProbeSettings())
    kind = BEFORE.get(model, "conv")
    weights = tuple(place.weights for place in site.places)
    assert weights == tuple(n.replace("norm", kind) for n in site.norms)
    assert set(weights) <= set(site.layers) and len(site.norms) > 1


def test_the_distance_is_from_the_seeds_own_start():
    config = tiny.cell_config(model="small_cnn", init="quick", width=0.25, norm="batch")
    data = tiny.dataset()
    with mock.patch.dict(INITS, quick=tiny.QUICK):
        init = jax.jit(build_program(config, data).init)
        _, measured = build_measure(config, data, ["optimum_distance"], config)
    none = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    states = [init(seed, none) for seed in (0, 1)]
    indices = jnp.arange(config.batch_size)

    @jax.jit
    def distance(params, seed):
        state = states[0]
        point = Snapshot(params, state.batch_stats, {}, 0.1, seed, 0)
        return measured(point, indices, data_arrays(data))["optimum_distance"]

    own = distance(states[1].params, 1)
    np.testing.assert_allclose(own["distance"], 0, atol=1e-10)
    other = distance(states[0].params, 1)
    for k, name in enumerate(("conv1", "conv2")):
        w0, w = (np.asarray(s.params[name]["kernel"]) for s in (states[1], states[0]))
        np.testing.assert_allclose(
            other["distance"][k], np.square(w0 - w).sum(), rtol=1e-5
        )
        assert 0 < other["left"][k] < other["distance"][k]


@pytest.mark.parametrize("groups", [None, 2])
@pytest.mark.parametrize(
    ("weights", "bias", "outputs_first"),
    [("kernel", "bias", False), ("w", "b", False), ("weight", "bias", True)],
)
def test_the_weights_of_other_frameworks(weights, bias, outputs_first, groups):
    """Flax, Haiku and Equinox name them in their own ways."""
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4))
    x = jnp.asarray(rng.normal(size=(6, 3)), jnp.float32)

    def params(i):
        w = start[i].T if outputs_first else start[i]
        return {"in": {weights: jnp.float32(w), bias: jnp.float32(end[i])}}

    def loss(params, x):
        w = params["in"][weights]
        y = x @ (w.T if outputs_first else w) + params["in"][bias][None]

        def norm(y):
            return y / jnp.std(y)

        return jnp.mean(normlab.tap("n", norm, y, groups=groups, weights="in") ** 3)

    found = normlab.probe(loss, ["optimum_distance"])(params(1), x, initial=params(0))
    rays = [start[i].T for i in (0, 1)]
    if groups:
        rays = [np.concatenate([start[i].T, end[i][:, None]], 1) for i in (0, 1)]
    wanted = np.square(rays[0] - rays[1]).sum()
    np.testing.assert_allclose(found["optimum_distance"]["distance"], [wanted], 1e-5)
