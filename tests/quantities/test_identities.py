"""The two quantities of norm layers against sums by hand, and dense Hessians."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.norms import make_norm
from normlab.norms.taps import Place
from normlab.quantities import QUANTITIES, Point, check, measure
from normlab.quantities.bounds import bent
from normlab.quantities.norm_layers import norm_layers
from normlab.settings import ProbeSettings
from normlab.train.measure import Snapshot, make_measure, site_of
from normlab.train.network import Network
from normlab.train.program import data_arrays
from tests import tiny
from tests.quantities import by_hand, made
from tests.quantities.test_bounds import plain_norm
from tests.quick import quick

NAMES = ("identities", "curvature_identities")
SHAPES = {"norm9": (3, 2, 2, 4), "norm10": (3, 2, 6)}  # not in the alphabet's order
GROUPS = [{"norm9": None, "norm10": None}, {"norm9": 2, "norm10": 3}]
EPSILON = 0.1


def two_layers(groups) -> Point:
    """input -> norm9 -> mixed and bent -> norm10 (no scale) -> loss, in float64."""
    rng = np.random.default_rng(0)
    sizes = [int(np.prod(shape)) for shape in SHAPES.values()]
    first = jnp.asarray(rng.normal(1.0, 2.0, SHAPES["norm9"]))
    mix = jnp.asarray(rng.normal(size=(sizes[1], sizes[0])) / np.sqrt(sizes[0]))
    last = jnp.asarray(rng.normal(size=(sizes[1], sizes[1])) / np.sqrt(sizes[1]))
    params = {"norm9": {"scale": jnp.asarray(rng.normal(size=4))}}
    weight = jnp.asarray(rng.normal(size=sizes[1]))

    def tapped(moves):
        inputs, outputs = moves
        before, after = {}, {}

        def norm(name, y, scale):
            before[name] = y = y + inputs.get(name, 0.0)
            z = plain_norm(y, scale, jnp.zeros_like(scale), EPSILON, groups[name])
            after[name] = z + outputs.get(name, 0.0)
            return after[name]

        z = norm("norm9", first, params["norm9"]["scale"])
        y = (mix @ jnp.tanh(z.ravel())).reshape(SHAPES["norm10"])
        z = norm("norm10", y, jnp.ones(6))
        return weight @ jnp.tanh(last @ z.ravel()), (before, after)

    places = tuple(
        Place(name, shape[-1], name, groups[name], EPSILON)
        for name, shape in SHAPES.items()
    )
    where = dataclasses.replace(made.site(), places=places)
    point = made.point(lambda p: 0.0, np.zeros(12), where=where)
    leaf = {"norm9/scale": params["norm9"]["scale"]}.get
    return dataclasses.replace(point, leaf=leaf, tapped=tapped)


def scales(point) -> list[jax.Array]:
    return [point.leaf("norm9/scale"), jnp.ones(6)]


@functools.partial(quick, static_argnames="which")
def measured(which):
    """Both quantities, the taps, and by dense Hessians both forms at each layer."""
    point = two_layers(GROUPS[which])
    taps, forms = point.taps, []
    for name, scale in zip(SHAPES, scales(point), strict=True):

        def before(y, name=name):
            return point.tapped(({name: y - taps.before[name]}, {}))[0]

        def after(z, name=name):
            return point.tapped(({}, {name: z - taps.after[name]}))[0]

        def norm(y, name=name, scale=scale):
            none = jnp.zeros_like(scale)
            return plain_norm(y, scale, none, EPSILON, GROUPS[which][name])

        def form(loss, at, v):
            dense = jax.hessian(loss)(at).reshape(at.size, at.size)
            return v.ravel() @ dense @ v.ravel()

        y, v = taps.before[name], taps.by_before[name]
        _, u = jax.jvp(norm, (y,), (v,))
        forms.append((form(before, y, v), form(after, taps.after[name], u)))
    return measure(NAMES, point), taps, forms


@functools.partial(quick, static_argnames="which")
def measured_with(taps, which):
    """Both quantities where the layers had seen something else."""
    point = two_layers(GROUPS[which])
    point.__dict__["taps"] = taps
    sizes = [
        bent(at.layer, at.by_output, at.by_input).size for at in norm_layers(point)
    ]
    return measure(NAMES, point), jnp.stack([size.sum() for size in sizes])


each = pytest.mark.parametrize("which", range(len(GROUPS)))


@each
def test_identities_by_hand(which, x64):
    both, taps, _ = jax.tree.map(np.asarray, measured(which))
    found, groups = both["identities"], GROUPS[which]
    point = two_layers(groups)
    for k, (name, scale) in enumerate(zip(SHAPES, scales(point), strict=True)):
        at = taps.before[name], scale, taps.by_after[name], taps.by_before[name]
        expected = by_hand.fields(by_hand.identity(*at, groups[name], EPSILON))
        for field, value in expected.items():
            np.testing.assert_allclose(found[field][k], value, rtol=1e-9, err_msg=field)
    rest = {"relative_error", "shift_residual", "scaling_error"}
    assert set(found) == {*expected, *rest}
    for field in rest:
        assert (found[field] < 1e-11).all(), field
    assert (found["bound_ratio"] > 1 + 1e-6).all()
    assert (found["printed_ratio"] < 0.999).all() and (found["printed_fails"] > 0).all()
    assert (found["scaling_residual"] > 1e-4).all()


@each
def test_curvature_against_dense_hessians(which, x64):
    both, taps, forms = jax.tree.map(np.asarray, measured(which))
    found, groups = both["curvature_identities"], GROUPS[which]
    rows = zip(SHAPES, scales(two_layers(groups)), forms, strict=True)
    for k, (name, scale, (left, carried)) in enumerate(rows):
        np.testing.assert_allclose(found["left"][k], left, rtol=1e-9)
        np.testing.assert_allclose(found["carried"][k], carried, rtol=1e-9)
        np.testing.assert_allclose(found["bent"][k], left - carried, rtol=1e-8)
        np.testing.assert_allclose(found["right"][k], left, rtol=1e-9)
        assert abs(left - carried) > 1e-3 * abs(left)
        at = taps.before[name], scale, taps.by_after[name], taps.by_before[name]
        aligned = by_hand.identity(*at, groups[name], EPSILON)["alignment"] > 0
        np.testing.assert_allclose(found["alignment_share"][k], aligned.mean())
    assert (found["relative_error"] < 1e-11).all()


def test_a_wrong_gradient_is_an_error(x64):
    """Of one element in a whole layer: the relative error is the worst block's."""
    both, taps, _ = jax.tree.map(np.asarray, measured(1))
    by_before = dict(taps.by_before)
    by_before["norm10"] = by_before["norm10"].copy()
    by_before["norm10"][0, 0, 0] *= 1.001
    right = both["identities"]
    other = taps._replace(by_before=by_before)
    wrong = measured_with(other, 1)[0]["identities"]
    for field in ("relative_error", "shift_residual", "scaling_error"):
        assert wrong[field][0] < 1e-11, field
        assert wrong[field][1] > 1e-7 > 1e4 * right[field][1], field
    at = other.before["norm10"], 1.0, other.by_after["norm10"], by_before["norm10"]
    of = by_hand.identity(*at, GROUPS[1]["norm10"], EPSILON)
    expected = (abs(of["right"] - of["left"]) / of["left"]).max()
    np.testing.assert_allclose(wrong["relative_error"][1], expected, rtol=1e-6)


def test_a_wrong_curvature_is_an_error(x64):
    """The other gradient: what the norm's own curvature adds is wrong."""
    _, taps, _ = jax.tree.map(np.asarray, measured(1))
    by_after = taps.by_after | {"norm10": 1.1 * taps.by_after["norm10"]}
    both, size = measured_with(taps._replace(by_after=by_after), 1)
    wrong = both["curvature_identities"]
    assert wrong["relative_error"][0] < 1e-11 and wrong["relative_error"][1] > 1e-4
    expected = abs(wrong["right"] - wrong["left"]) / (abs(wrong["carried"]) + size)
    np.testing.assert_allclose(wrong["relative_error"][1], expected[1], rtol=1e-9)


def test_blocks_without_a_gradient_and_layers_without(x64):
    """A dead block is no error and does not count; a dead layer has no ratios."""
    _, taps, _ = jax.tree.map(np.asarray, measured(1))
    dead = {"norm9": 0.0, "norm10": np.array([0.0, 1.0, 1.0])[:, None, None]}

    def without(of):
        return {name: x * dead[name] for name, x in of.items()}

    gone = taps._replace(
        by_before=without(taps.by_before), by_after=without(taps.by_after)
    )
    both, _ = measured_with(gone, 1)
    curved, found = both["curvature_identities"], both["identities"]
    assert np.isnan(curved["relative_error"][0])
    assert np.isnan(curved["alignment_share"][0])
    assert found["left"][0] == found["right"][0] == 0
    known = {
        "left",
        "right",
        "removed_if_random",
        "gain_median",
        "gain_p90",
        "gain_max",
    }
    for field, value in found.items():
        assert np.isfinite(value[0]) == (field in known), field
        if field != "theorem_4_4_ratio":  # of batch norm alone
            assert np.isfinite(value[1]), field
    assert 0 <= found["relative_error"][1] < 1e-11
    assert found["printed_fails"][1] == 1


def test_a_layer_that_keeps_nothing_is_judged_by_its_size(x64):
    """Where the gradient is along the ones, all of it is removed."""
    _, taps, _ = jax.tree.map(np.asarray, measured(1))
    flat = {name: jnp.ones_like(x) for name, x in taps.by_after.items()}
    none = {name: 1e-17 * x for name, x in taps.by_before.items()}
    other = taps._replace(by_after=flat, by_before=none)
    found = measured_with(other, 1)[0]["identities"]
    assert found["relative_error"][1] < 1e-12 and found["left"][1] > 0
    np.testing.assert_allclose(found["removed"][1], 1.0)
    np.testing.assert_allclose(found["removed_mean"][1], 1.0)


def tiny_measure():
    """`make_measure`'s function of both quantities on the tiny network, and a point."""
    made_norm = make_norm("batch", epsilon=1e-5)
    data = tiny.dataset()

    def scale(images):
        return images.astype("float32") / 60 - 2

    network = Network(
        "tiny",
        tiny.TinyNet(norm=made_norm, initializers=tiny.QUICK, classes=3),
        made_norm,
        "classification",
        data.image_shape,
        scale,
        lambda key, images: scale(images),
    )
    measured = make_measure(NAMES, site_of(network, ProbeSettings()), network)
    x = np.zeros((1, *data.image_shape), "float32")

    def start(seed):
        drawn = tiny.drawn(network.model, x, seed)
        lr, step = np.float32(0.1), np.int32(0)
        return Snapshot(
            drawn["params"], drawn["batch_stats"], {}, lr, np.uint32(seed), step
        )

    return measured, start, data_arrays(data)


def test_in_a_network_members_are_the_unmapped_call():
    """In float32."""
    measured, start, arrays = tiny_measure()
    rng = np.random.default_rng(0)
    picked = np.stack([rng.permutation(24)[:5] for _ in range(2)])
    points = jax.tree.map(lambda *members: np.stack(members), start(0), start(1))
    mapped = quick(jax.vmap(measured, (0, 0, None)))(points, picked, arrays)
    single = quick(measured)
    exact = {"relative_error", "shift_residual", "scaling_residual", "scaling_error"}
    for i in range(2):
        alone = single(jax.tree.map(lambda x, i=i: x[i], points), picked[i], arrays)
        for name in NAMES:
            assert {x.shape for x in alone[name].values()} == {(1,)}
            for field, value in alone[name].items():
                found = np.asarray(mapped[name][field][i])
                assert np.isfinite(found).all(), field
                if field in exact:  # rounding itself
                    assert (found < 1e-3).all() and (value < 1e-3).all()
                else:
                    np.testing.assert_allclose(found, value, rtol=2e-4, err_msg=field)


@pytest.mark.parametrize("name", NAMES)
def test_registered_for_norm_layers_only(name):
    quantity = QUANTITIES[name]
    assert quantity.axes == ("norm_layer",) and quantity.needs == {"norm"}
    place = Place("norm1", 4, standardizes=False)
    where = dataclasses.replace(made.site(), places=(place,))
    with pytest.raises(ValueError, match=f"{name} is about batch, group"):
        check([name], where)
