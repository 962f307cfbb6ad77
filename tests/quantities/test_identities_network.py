"""The identities at every norm layer of small_cnn and vgg11, in float64.

At initialisation and after 500 steps of gradient descent on the digits, for epsilon 0
and 1e-5: what is corrected holds, and what is printed fails.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.data.digits import load
from normlab.models import make_model
from normlab.norms import make_norm
from normlab.norms.cuts import groups_of
from normlab.quantities import Here, Site, curvature_identities, identities
from normlab.quantities.norm_layers import norm_layers
from normlab.settings import ProbeSettings
from normlab.train.step import make_loss
from normlab.train.taps import TappedNorm
from tests.quantities import by_hand

WIDTHS = {"small_cnn": 0.5, "vgg11": 0.125}
CHANNELS = {"small_cnn": (8, 16), "vgg11": (8, 16, 32, 32, 64, 64, 64, 64)}
EPSILONS = (0.0, 1e-5)
STEPS = (0, 500)
# Where the quantity is compared with numpy: a compilation of seconds.
QUANTITY = ("small_cnn",)
BATCH, LR = 16, 0.05
TIGHT = 1e-9


class Seen(NamedTuple):
    """What is compared, at one point of one network.

    Attributes:
      loss: of the batch.
      layers: for each norm layer its input, scale, dL/dz and dL/dy.
      identities: the fields of that quantity.
      curvature: those of the other, along the gradient, or along random directions.
      params, by_params: the parameters and the gradient by them.
    """

    loss: Any
    layers: Any
    identities: Any
    curvature: Any
    params: Any
    by_params: Any


@functools.cache
def digits():
    data = load()
    images = data.train_x.astype(np.float64)
    images = (images - images.mean()) / images.std()
    return images.reshape(-1, 8, 8, 1), data.train_y.astype(np.int32)


def norm_of(kind, epsilon):
    return make_norm(kind, groups=4 if kind == "group" else None, epsilon=epsilon)


def network(model, norm):
    return make_model(
        model, norm=norm, init="standard", classes=10, width=WIDTHS[model]
    )


def loss(params, x, y, model, norm):
    return make_loss(network(model, norm))(params, {}, x, y)[0]


def here_of(params, x, y, model, kind, epsilon) -> Here:
    norm = norm_of(kind, epsilon)

    def tapped(params, moves):
        watch = TappedNorm(norm, moves)
        return loss(params, x, y, model, watch), (watch.before, watch.after)

    names = tuple(f"norm{i}" for i in range(1, len(CHANNELS[model]) + 1))
    site = Site(
        settings=ProbeSettings(),
        layers=(),
        norms=names,
        channels=CHANNELS[model],
        groups={
            name: groups_of(kind, norm.options, channels)
            for name, channels in zip(names, CHANNELS[model], strict=True)
        },
        epsilon=epsilon,
        running=False,
    )
    return Here(
        site=site,
        params=params,
        next_params=None,
        lr=jnp.asarray(LR),
        loss=lambda params: loss(params, x, y, model, norm),
        tapped=tapped,
        fixed={},
        key=jax.random.key(0),
    )


@functools.partial(jax.jit, static_argnames=("model", "kind"))
def look(params, epsilon, steps, images, labels, directions, model, kind) -> Seen:
    """After ``steps`` of descent; the same program for every epsilon and number.

    Curvatures are along the gradient and, added to it, ``directions``.
    """
    norm = norm_of(kind, epsilon)

    def batch(t):
        picked = (t * BATCH + jnp.arange(BATCH)) % len(labels)
        return images[picked], labels[picked]

    def step(t, params):
        gradient = jax.grad(loss)(params, *batch(t), model, norm)
        return jax.tree.map(lambda p, g: p - LR * g, params, gradient)

    params = jax.lax.fori_loop(0, steps, step, params)
    here = here_of(params, *batch(steps), model, kind, epsilon)
    value, by_params = here.loss_and_gradient
    layers = [
        (at.layer.y, at.layer.scale, at.by_output, at.by_input)
        for at in norm_layers(here)
    ]
    elsewhere = here_of(params, *batch(steps), model, kind, epsilon)
    moved = {k: v + directions[k] for k, v in here.taps.by_before.items()}
    elsewhere.__dict__["taps"] = here.taps._replace(by_before=moved)
    return Seen(
        loss=value,
        layers=layers,
        identities=identities.measure(here) if model in QUANTITY else None,
        curvature=curvature_identities.measure(elsewhere),
        params=params,
        by_params=by_params,
    )


def start(model):
    """Parameters of float64, with the scale of the usual draws.

    Drawn with numpy, which needs no compiling.
    """
    x = jnp.zeros((1, 8, 8, 1))
    init = network(model, make_norm("batch")).init
    shapes = jax.eval_shape(
        lambda key: init(key, x, statistics="batch"), jax.random.key(0)
    )["params"]
    rng = np.random.default_rng(2)

    def draw(where, leaf):
        name = where[-1].key
        if name == "kernel":
            fan = np.prod(leaf.shape[:-1])
            return rng.normal(size=leaf.shape) * np.sqrt(2 / fan)
        return np.full(leaf.shape, 1.0 if name == "scale" else 0.0)

    return jax.tree_util.tree_map_with_path(draw, shapes)


@functools.cache
def seen(model, kind, epsilon, steps, random=False) -> Seen:
    """In float64, as numpy; ``random``: curvatures along random directions."""
    side, directions = 8, {}
    rng = np.random.default_rng(3)
    # vgg11 pools its 8x8 images after layers 1, 2 and 4; small_cnn after layer 1.
    pools = {"small_cnn": {1}, "vgg11": {1, 2, 4}}[model]
    for i, channels in enumerate(CHANNELS[model], start=1):
        drawn = rng.normal(size=(BATCH, side, side, channels))
        directions[f"norm{i}"] = drawn if random else np.zeros_like(drawn)
        side //= 2 if i in pools else 1
    with jax.enable_x64(True):
        found = look(start(model), epsilon, steps, *digits(), directions, model, kind)
        return jax.tree.map(np.asarray, found)


def each_layer(point: Seen, kind, epsilon):
    """The identity of every layer, by hand."""
    for layer in point.layers:
        channels = layer[0].shape[-1]
        groups = groups_of(kind, norm_of(kind, epsilon).options, channels)
        yield by_hand.identity(*layer, groups, epsilon)


CI = [(model, kind) for model in WIDTHS for kind in ("batch", "group")]
# The others are group norm with other groups.
SLOW = [
    pytest.param(model, kind, marks=pytest.mark.slow)
    for model in WIDTHS
    for kind in ("layer", "instance")
    # Behind vgg11's pools a channel of an example is one pixel: nothing is left of it.
    if (model, kind) != ("vgg11", "instance")
]


@pytest.fixture(params=EPSILONS)
def epsilon(request):
    return request.param


@pytest.fixture(params=STEPS)
def steps(request):
    return request.param


@pytest.fixture
def point(model, kind, epsilon, steps) -> Seen:
    return seen(model, kind, epsilon, steps)


networks = pytest.mark.parametrize(("model", "kind"), CI + SLOW)


@networks
def test_it_trains(model, kind, epsilon):
    first, last = (seen(model, kind, epsilon, steps).loss for steps in STEPS)
    assert np.isfinite(last) and last < 0.3 * first, (first, last)
    assert all(x.dtype == np.float64 for x in (first, last))


@networks
def test_first_order_at_every_layer(model, kind, epsilon, point):
    """In every block that has a gradient, relative to its left side alone."""
    for of in each_layer(point, kind, epsilon):
        moving = of["whole"] > 0
        assert moving.mean() > 0.5 and not of["left"][~moving].any()
        left = of["left"][moving]
        assert (abs(of["right"][moving] - left) <= TIGHT * left).all()
        room = of["bound"][moving] / left - 1
        if epsilon == 0:
            assert abs(room).max() <= TIGHT
        else:  # dropping the term of epsilon shows, small as epsilon is
            assert room.min() >= -TIGHT and room.max() > 10 * TIGHT


@networks
def test_the_printed_form_fails_at_every_layer(model, kind, epsilon, point):
    for of in each_layer(point, kind, epsilon):
        moving = of["whole"] > 0
        ratio = of["printed"][moving] / of["left"][moving]
        if kind == "batch":  # at every channel
            assert ratio.max() < 1 - 1e-6
        assert np.mean(ratio < 1 - 1e-6) > 0.9
        assert of["printed"].sum() < (1 - 1e-3) * of["left"].sum()


@networks
@pytest.mark.parametrize("random", [False, True])
def test_second_order_at_every_layer(model, kind, epsilon, steps, random):
    """Along the gradient and along random directions."""
    found = seen(model, kind, epsilon, steps, random).curvature
    size = abs(found["carried"]) + abs(found["bent"])
    slack = abs(found["right"] - found["left"])
    assert (slack <= TIGHT * abs(found["left"])).all()
    assert (found["relative_error"] <= TIGHT).all()
    assert (abs(found["bent"]) > 1e-6 * size).all()  # the norm has a part in it


@networks
def test_the_quantity_says_so(model, kind, epsilon, point):
    found = point.identities
    if found is None:
        pytest.skip(f"not compiled for {model}")
    for k, of in enumerate(each_layer(point, kind, epsilon)):
        for field, value in by_hand.fields(of).items():
            if field == "scaling_residual" and epsilon == 0:
                assert found[field][k] < TIGHT  # rounding alone
                continue
            np.testing.assert_allclose(found[field][k], value, 1e-6, err_msg=field)
    for field in ("relative_error", "shift_residual", "scaling_error"):
        assert (found[field] < TIGHT).all(), field


@networks
def test_invariances_of_weights(model, kind, epsilon, point):
    """Batch norm: each channel's weights; the others: each group's, with its biases.

    The derivative of the loss along a rescaling of the weights behind every norm,
    found without the norm's gradients, is what the blocks of its input say.
    """
    for i, of in enumerate(each_layer(point, kind, epsilon), start=1):
        conv, by_conv = point.params[f"conv{i}"], point.by_params[f"conv{i}"]
        radial_C = (conv["kernel"] * by_conv["kernel"]).sum((0, 1, 2))
        radial_C = radial_C + conv["bias"] * by_conv["bias"]
        size = abs(conv["kernel"] * by_conv["kernel"]).sum()
        longest = abs(by_conv["kernel"]).max()
        expected = of["expected"]
        if kind == "batch":
            measured, shifts = radial_C, by_conv["bias"]
        else:
            expected = expected.reshape(BATCH, -1).sum(0)
            measured = radial_C.reshape(len(expected), -1).sum(1)
            shifts = by_conv["bias"].reshape(len(expected), -1).sum(1)
        np.testing.assert_allclose(measured, expected, rtol=0, atol=TIGHT * size)
        assert abs(shifts).max() < TIGHT * longest
        if kind in ("group", "layer"):  # a channel alone is not free
            assert abs(radial_C).max() > 1e-4 * size / len(radial_C)
            assert abs(by_conv["bias"]).max() > 1e-3 * longest
