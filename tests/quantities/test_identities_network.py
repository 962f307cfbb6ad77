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
from normlab.norms import NORMS, Norm, NormOptions, make_norm
from normlab.quantities import (
    Point,
    curvature_identities,
    identities,
    optimum_distance,
)
from normlab.quantities.instrument import Given, Instrument
from normlab.quantities.norm_layers import norm_layers
from normlab.settings import NormSettings, ProbeSettings
from normlab.train.step import make_loss
from tests.quantities import by_hand
from tests.quick import quick

WIDTHS = {"small_cnn": 0.5, "vgg11": 0.125}
CHANNELS = {"small_cnn": (8, 16), "vgg11": (8, 16, 32, 32, 64, 64, 64, 64)}
EPSILONS = (0.0, 1e-5)
STEPS = (0, 500)
BATCH, LR = 16, 0.05
TIGHT = 1e-9
# Where <q, yhat> is not 0 for a reason, as it is where one block feeds another.
ALIGNED = ("batch", "group", "instance")


class Seen(NamedTuple):
    """What is compared, at one point of one network.

    Attributes:
      loss: of the batch.
      layers: for each norm layer its input, scale, dL/dz and dL/dy.
      params: the parameters.
      identities: the fields of that quantity.
      curvature: those of the other, along the gradient, or along random directions.
      by_params: the gradient by the parameters.
      distance: the fields of `optimum_distance`.
    """

    loss: Any
    layers: Any
    params: Any
    identities: Any = None
    curvature: Any = None
    by_params: Any = None
    distance: Any = None


@functools.cache
def digits():
    data = load()
    images = data.train_x.astype(np.float64)
    images = (images - images.mean()) / images.std()
    return images.reshape(-1, 8, 8, 1), data.train_y.astype(np.int32)


def groups_of(kind: str, settings: NormSettings, channels: int) -> int | None:
    blocks = NORMS[kind].blocks
    assert blocks is not None
    return blocks(settings, channels)


def norm_of(kind, epsilon):
    # As `make_norm`'s, unchecked: epsilon is traced.
    groups = 4 if kind == "group" else None
    return Norm(kind, NormOptions(groups=groups, epsilon=epsilon))


def network(model, norm):
    return make_model(
        model, norm=norm, init="standard", classes=10, width=WIDTHS[model]
    )


def loss(params, x, y, model, norm):
    return make_loss(network(model, norm))(params, {}, x, y)[0]


def point_of(begun, params, x, y, model, kind, epsilon) -> Point:
    norm = norm_of(kind, epsilon)

    def of(params, batch):
        x, y = batch
        return loss(params, x, y, model, norm)

    instrument = Instrument(loss=of, settings=ProbeSettings(), fixed={"batch": of})
    given = Given(
        params=params,
        batch=(x, y),
        aux=None,
        lr=LR,
        next_params=None,
        key=jax.random.key(0),
        initial=begun,
        fixed_batch=None,
    )
    site = instrument.site(given, norms=True)
    assert site.norms == tuple(f"norm{i}" for i in range(1, len(site.places) + 1))
    assert tuple(place.channels for place in site.places) == CHANNELS[model]
    for place in site.places:
        assert place.groups == groups_of(kind, norm.options, place.channels)
        assert place.weights == place.name.replace("norm", "conv")
    return instrument.point(site, given)


@functools.partial(quick, static_argnames=("model", "kind", "whole"))
def look(
    params, epsilon, first, steps, images, labels, directions, model, kind, whole
) -> Seen:
    """What there is after descending from step ``first`` to ``steps``.

    The same program for every epsilon and number of steps. ``whole``: with the last
    three fields, whose program takes longer to compile; curvatures are along the
    gradient and, added to it, ``directions``.
    """
    norm = norm_of(kind, epsilon)

    def batch(t):
        picked = (t * BATCH + jnp.arange(BATCH)) % len(labels)
        return images[picked], labels[picked]

    def step(t, params):
        gradient = jax.grad(loss)(params, *batch(t), model, norm)
        return jax.tree.map(lambda p, g: p - LR * g, params, gradient)

    begun = params
    params = jax.lax.fori_loop(first, steps, step, params)
    point, elsewhere = (
        point_of(begun, params, *batch(steps), model, kind, epsilon) for _ in range(2)
    )
    layers = [
        (at.layer.y, at.layer.scale, at.by_output, at.by_input)
        for at in norm_layers(point)
    ]
    found = Seen(point.loss_and_gradient[0], layers, params)
    if not whole:
        return found
    moved = {k: v + directions[k] for k, v in point.taps.by_before.items()}
    elsewhere.__dict__["taps"] = point.taps._replace(by_before=moved)
    return found._replace(
        identities=identities.measure(point),
        curvature=curvature_identities.measure(elsewhere),
        by_params=jax.tree.unflatten(jax.tree.structure(params), point.gradient),
        distance=optimum_distance.measure(point),
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
def seen(model, kind, epsilon, steps, whole, random) -> Seen:
    """In float64, as numpy; ``random``: curvatures along random directions."""
    side, directions = 8, {}
    rng = np.random.default_rng(3)
    # vgg11 pools its 8x8 images after layers 1, 2 and 4; small_cnn after layer 1.
    pools = {"small_cnn": {1}, "vgg11": {1, 2, 4}}[model]
    for i, channels in enumerate(CHANNELS[model], start=1):
        drawn = rng.normal(size=(BATCH, side, side, channels))
        directions[f"norm{i}"] = drawn if random else np.zeros_like(drawn)
        side //= 2 if i in pools else 1
    params, first = start(model), 0
    if random:  # from where that is known
        params, first = seen(model, kind, epsilon, steps, whole, False).params, steps
    data = *digits(), directions
    with jax.enable_x64(True):
        found = look(params, epsilon, first, steps, *data, model, kind, whole)
        return jax.tree.map(np.asarray, found)


def each_layer(point: Seen, kind, epsilon):
    """The identity of every layer, by hand."""
    for y, scale, g, v in point.layers:
        groups = groups_of(kind, norm_of(kind, epsilon).options, y.shape[-1])
        yield by_hand.identity(y, scale, g, v, groups, epsilon)


def slow(*pairs):
    return [pytest.param(*pair, marks=pytest.mark.slow) for pair in pairs]


SMALL = [("small_cnn", "batch"), ("small_cnn", "group")]
# Group norm with other groups. Behind vgg11's pools a channel of an example is one
# pixel, of whose gradient an instance norm leaves nothing.
OTHER = slow(
    ("vgg11", "batch"),
    ("vgg11", "group"),
    ("small_cnn", "layer"),
    ("small_cnn", "instance"),
    ("vgg11", "layer"),
)
networks = pytest.mark.parametrize(("model", "kind"), SMALL + OTHER)


@pytest.fixture(params=EPSILONS)
def epsilon(request):
    return request.param


@pytest.fixture(params=STEPS)
def steps(request):
    return request.param


@pytest.fixture
def point(model, kind, epsilon, steps) -> Seen:
    return seen(model, kind, epsilon, steps, model == "small_cnn", False)


@pytest.fixture
def whole(model, kind, epsilon, steps) -> Seen:
    return seen(model, kind, epsilon, steps, True, False)


@networks
def test_it_trains(model, kind, epsilon):
    whole = model == "small_cnn"
    first, last = (
        seen(model, kind, epsilon, steps, whole, False).loss for steps in STEPS
    )
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
        else:
            assert room.min() >= -TIGHT
            if kind in ALIGNED:  # the term of epsilon shows, small as epsilon is
                assert room.max() > 10 * TIGHT


@networks
def test_the_printed_form_fails_at_every_layer(model, kind, epsilon, point):
    """By what the theory says, equation (13)."""
    for of in each_layer(point, kind, epsilon):
        moving = of["whole"] > 0
        gap = (of["printed"] - of["left"])[moving]
        # (13) with 1 - r = epsilon / s^2 = epsilon gain.
        m = of["m"][moving]
        room = 1 / np.sqrt(m) - (1 + epsilon * of["gain"][moving]) / m
        expected = -room * (of["alignment"] ** 2 * of["gain"])[moving]
        assert (abs(gap - expected) <= TIGHT * of["size"][moving]).all()
        if kind in ALIGNED:
            fails = gap < -TIGHT * of["left"][moving]
            assert fails.all() if kind == "batch" else fails.mean() > 0.9
            assert of["printed"].sum() < (1 - 1e-3) * of["left"].sum()


@networks
def test_alignments_cancel_before_another_norm(model, kind, epsilon):
    """At initialisation, without biases, over the blocks that the next norm unites;
    behind the last norm nothing makes them."""
    point = seen(model, kind, epsilon, 0, model == "small_cnn", False)
    for i, of in enumerate(each_layer(point, kind, epsilon), start=1):
        each, size = of["alignment"], of["alignment_size"]
        if kind != "batch":  # each example by itself
            each, size = each.reshape(BATCH, -1).T, size.reshape(BATCH, -1).T
        share = abs(each.sum(0)) / size.sum(0)
        if i == len(point.layers):
            assert share.max() > 1e-3
        else:
            assert share.max() < (TIGHT if epsilon == 0 else 1e-2)
        if kind in ALIGNED:
            assert (abs(each) / size).max() > 1e-2


@networks
@pytest.mark.parametrize("random", [False, True])
def test_second_order_at_every_layer(model, kind, epsilon, steps, random):
    """Along the gradient and along random directions."""
    found = seen(model, kind, epsilon, steps, True, random).curvature
    size = abs(found["carried"]) + abs(found["bent"])
    slack = abs(found["right"] - found["left"])
    assert (slack <= TIGHT * abs(found["left"])).all()
    assert (found["relative_error"] <= TIGHT).all()
    if kind in ALIGNED:  # the norm has a part in it
        assert (abs(found["bent"]) > 1e-6 * size).all()


@networks
def test_the_quantity_says_so(model, kind, epsilon, whole):
    found = whole.identities
    for k, of in enumerate(each_layer(whole, kind, epsilon)):
        for field, value in by_hand.fields(of).items():
            if field == "scaling_residual" and epsilon == 0:
                assert found[field][k] < TIGHT  # rounding alone
                continue
            np.testing.assert_allclose(
                found[field][k], value, 1e-6, 1e-12, err_msg=field
            )
    for field in ("relative_error", "shift_residual", "scaling_error"):
        assert (found[field] < TIGHT).all(), field


@networks
def test_theorem_4_2_at_every_layer(model, kind, epsilon, steps):
    """An equality at epsilon = 0 alone, along the gradient alone."""
    along = seen(model, kind, epsilon, steps, True, False).curvature
    error = abs(along["theorem_4_2"] - along["left"]) / abs(along["left"])
    random = seen(model, kind, epsilon, steps, True, True).curvature
    if epsilon == 0:
        assert (error <= TIGHT).all() and (along["theorem_error"] <= TIGHT).all()
    elif kind in ALIGNED:
        assert (error > 10 * TIGHT).any()
    assert (random["theorem_error"] > 1e-4).any()


@networks
def test_lemma_4_5_in_front_of_every_layer(model, kind, epsilon, whole, steps):
    """The ray of the weights (and biases) that are free together, by hand."""
    found = whole.distance
    begun = start(model)
    for k, (y, *_) in enumerate(whole.layers):
        name = f"conv{k + 1}"
        groups = groups_of(kind, norm_of(kind, epsilon).options, y.shape[-1])
        rays = []
        for params in (begun, whole.params):
            kernel, bias = params[name]["kernel"], params[name]["bias"]
            each = [kernel[..., c].ravel() for c in range(y.shape[-1])]
            if kind in ("group", "layer"):
                each = [np.append(w, bias[c]) for c, w in enumerate(each)]
                size = len(each) // (groups or 1)
                cuts = range(0, len(each), size)
                each = [np.concatenate(each[i : i + size]) for i in cuts]
            rays.append(each)
        nearest = 0.0
        for w0, w in zip(*rays, strict=True):
            factor, *_ = np.linalg.lstsq(w[:, None], w0, rcond=None)
            nearest += np.square(w0 - factor * w).sum()
        scale = np.square(np.concatenate(rays[0])).sum()
        np.testing.assert_allclose(found["left"][k], nearest, TIGHT, 1e-12 * scale)
        np.testing.assert_allclose(
            found["right"][k], found["left"][k], TIGHT, 1e-12 * scale
        )
        assert found["relative_error"][k] < TIGHT
        if steps:
            assert found["positive"][k] == 1  # they have not turned round
            assert 0 < found["left"][k] < found["distance"][k]
        else:
            assert found["distance"][k] == 0


@networks
def test_invariances_of_weights(model, kind, epsilon, whole):
    """Batch norm: each channel's weights; the others: each group's, with its biases.

    The derivative of the loss along a rescaling of the weights behind every norm,
    found without the norm's gradients, is what the blocks of its input say.
    """
    for i, of in enumerate(each_layer(whole, kind, epsilon), start=1):
        conv, by_conv = whole.params[f"conv{i}"], whole.by_params[f"conv{i}"]
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
