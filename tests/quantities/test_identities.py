"""The two quantities of norm layers against sums by hand, and dense Hessians."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.data.batches import batch_indices
from normlab.norms import make_norm
from normlab.quantities import QUANTITIES, Here, check, identities, measure
from normlab.quantities import curvature_identities as curvature
from normlab.quantities.norm_layers import norm_layers
from normlab.settings import ProbeSettings
from normlab.train.measure import Point, make_measure, site_of
from normlab.train.program import data_arrays
from tests import tiny
from tests.quantities import made
from tests.quantities.test_bounds import plain_norm

NAMES = ("identities", "curvature_identities")
SHAPES = {"norm10": (3, 2, 2, 4), "norm9": (3, 2, 6)}  # not in the alphabet's order
GROUPS = [{"norm10": None, "norm9": None}, {"norm10": 2, "norm9": 3}]
EPSILON = 0.1


def two_layers(groups) -> Here:
    """input -> norm10 -> mixed and bent -> norm9 (no scale) -> loss, in float64."""
    rng = np.random.default_rng(0)
    sizes = [int(np.prod(shape)) for shape in SHAPES.values()]
    first = jnp.asarray(rng.normal(1.0, 2.0, SHAPES["norm10"]))
    mix = jnp.asarray(rng.normal(size=(sizes[1], sizes[0])) / np.sqrt(sizes[0]))
    last = jnp.asarray(rng.normal(size=(sizes[1], sizes[1])) / np.sqrt(sizes[1]))
    params = {"norm10": {"scale": jnp.asarray(rng.normal(size=4))}}
    weight = jnp.asarray(rng.normal(size=sizes[1]))

    def tapped(params, moves):
        inputs, outputs = moves
        before, after = {}, {}

        def norm(name, y, scale):
            before[name] = y = y + inputs.get(name, 0.0)
            z = plain_norm(y, scale, jnp.zeros_like(scale), EPSILON, groups[name])
            after[name] = z + outputs.get(name, 0.0)
            return after[name]

        z = norm("norm10", first, params["norm10"]["scale"])
        y = (mix @ jnp.tanh(z.ravel())).reshape(SHAPES["norm9"])
        z = norm("norm9", y, jnp.ones(6))
        return weight @ jnp.tanh(last @ z.ravel()), (before, after)

    where = dataclasses.replace(
        made.site(),
        norms=tuple(SHAPES),
        channels=(4, 6),
        groups=groups,
        epsilon=EPSILON,
    )
    here = made.here(lambda p: 0.0, np.zeros(12), where=where)
    return dataclasses.replace(here, params=params, tapped=tapped)


def blocks(x, groups):
    """The blocks of an array, one after another, as vectors."""
    x = np.asarray(x)
    if groups is None:
        return [x[..., c].ravel() for c in range(x.shape[-1])]
    parts = np.split(x, groups, axis=-1)
    return [parts[k][n].ravel() for n in range(len(x)) for k in range(groups)]


def by_hand(y, scale, g, v, groups) -> dict[str, float]:
    """The fields of one layer, block by block in plain numpy."""
    q = np.asarray(g) * np.broadcast_to(scale, g.shape)
    rows = []
    for y_b, q_b, v_b in zip(*(blocks(x, groups) for x in (y, q, v)), strict=True):
        m, s2 = len(y_b), y_b.var() + EPSILON
        yhat = (y_b - y_b.mean()) / np.sqrt(s2)
        whole, ones, along = q_b @ q_b, q_b.sum() ** 2, (q_b @ yhat) ** 2
        exact = (2 - yhat @ yhat / m) * along
        rows.append(
            {
                "left": v_b @ v_b,
                "right": (whole - ones / m - exact / m) / s2,
                "bound": (whole - ones / m - along / m) / s2,
                "printed": (whole - ones / m - along / np.sqrt(m)) / s2,
                "gain": 1 / s2,
                "whole": whole,
                "mean": ones / m,
                "radial": exact / m,
                "if_random": 2 / m,
                "scaling": abs(y_b @ v_b) / np.sqrt(y_b @ y_b * whole / s2),
            }
        )
    of = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    left, whole = of["left"].sum(), of["whole"].sum()
    fails = (of["printed"] < of["left"] * (1 - 1e-9)) & (of["whole"] > 0)
    return {
        "left": left,
        "right": of["right"].sum(),
        "bound_ratio": of["bound"].sum() / left,
        "printed_ratio": of["printed"].sum() / left,
        "printed_fails": fails.sum() / (of["whole"] > 0).sum(),
        "removed": (of["mean"] + of["radial"]).sum() / whole,
        "removed_mean": of["mean"].sum() / whole,
        "removed_radial": of["radial"].sum() / whole,
        "removed_if_random": of["if_random"].mean(),
        "gain_median": np.median(of["gain"]),
        "gain_p90": np.quantile(of["gain"], 0.9),
        "gain_max": of["gain"].max(),
        "scaling_residual": of["scaling"].max(),
    }


def scales(here) -> list[np.ndarray]:
    return [np.asarray(here.params["norm10"]["scale"]), np.ones(6)]


@pytest.mark.parametrize("groups", GROUPS)
def test_identities_by_hand(groups, x64):
    here = two_layers(groups)
    found, taps = identities.measure(here), here.taps
    for k, (name, scale) in enumerate(zip(SHAPES, scales(here), strict=True)):
        expected = by_hand(
            taps.before[name],
            scale,
            taps.by_after[name],
            taps.by_before[name],
            groups[name],
        )
        for field, value in expected.items():
            np.testing.assert_allclose(found[field][k], value, rtol=1e-9, err_msg=field)
    rest = {"relative_error", "shift_residual", "scaling_error"}
    assert set(found) == {*expected, *rest}
    for field in rest:
        assert (np.asarray(found[field]) < 1e-11).all(), field
    assert (found["bound_ratio"] > 1 + 1e-6).all()
    assert (found["printed_ratio"] < 0.95).all() and (found["printed_fails"] > 0).all()
    assert (found["scaling_residual"] > 1e-4).all()


@pytest.mark.parametrize("groups", GROUPS)
def test_a_wrong_gradient_is_an_error(groups, x64):
    """Of one element in a whole layer: the relative error is the worst block's."""
    here = two_layers(groups)
    taps = here.taps
    by_before = dict(taps.by_before)
    by_before["norm9"] = by_before["norm9"].at[0, 0, 0].multiply(1.001)
    other = two_layers(groups)
    other.__dict__["taps"] = taps._replace(by_before=by_before)
    right, wrong = identities.measure(here), identities.measure(other)
    assert wrong["relative_error"][0] == right["relative_error"][0] < 1e-11
    for field in ("relative_error", "shift_residual", "scaling_error"):
        assert wrong[field][1] > 1e-7 > 1e4 * right[field][1], field


@pytest.mark.parametrize("groups", GROUPS)
def test_curvature_against_dense_hessians(groups, x64):
    here = two_layers(groups)
    found = curvature.measure(here)
    taps = here.taps
    rows = zip(SHAPES, norm_layers(here), scales(here), strict=True)
    for k, (name, at, scale) in enumerate(rows):

        def loss_before(y, name=name):
            move = {name: y - taps.before[name]}, {}
            return here.tapped(here.params, move)[0]

        def loss_after(z, name=name):
            move = {}, {name: z - taps.after[name]}
            return here.tapped(here.params, move)[0]

        def norm(y, name=name, scale=scale):
            return plain_norm(
                y, jnp.asarray(scale), jnp.zeros(len(scale)), EPSILON, groups[name]
            )

        y, z, v = taps.before[name], taps.after[name], taps.by_before[name]
        np.testing.assert_allclose(at.by_output, jax.grad(loss_after)(z), rtol=1e-9)
        _, u = jax.jvp(norm, (y,), (v,))

        def form(loss, at, v):
            dense = np.asarray(jax.hessian(loss)(at)).reshape(at.size, at.size)
            return np.ravel(v) @ dense @ np.ravel(v)

        left, carried = form(loss_before, y, v), form(loss_after, z, u)
        np.testing.assert_allclose(found["left"][k], left, rtol=1e-9)
        np.testing.assert_allclose(found["carried"][k], carried, rtol=1e-9)
        np.testing.assert_allclose(found["bent"][k], left - carried, rtol=1e-8)
        np.testing.assert_allclose(found["right"][k], left, rtol=1e-9)
        assert abs(left - carried) > 1e-3 * abs(left)
        q = np.asarray(at.by_output) * scale
        mean_zero = [b - b.mean() for b in blocks(y, groups[name])]
        signs = [
            b @ c > 0 for b, c in zip(mean_zero, blocks(q, groups[name]), strict=True)
        ]
        np.testing.assert_allclose(found["alignment_share"][k], np.mean(signs))
    assert (np.asarray(found["relative_error"]) < 1e-11).all()


def test_blocks_without_a_gradient_and_layers_without(x64):
    """A dead block is no error and does not count; a dead layer has no ratios."""
    here = two_layers(GROUPS[1])
    taps = here.taps
    gone = two_layers(GROUPS[1])
    dead = {"norm10": 0.0, "norm9": jnp.asarray([0.0, 1.0, 1.0])[:, None, None]}

    def without(of):
        return {name: x * dead[name] for name, x in of.items()}

    gone.__dict__["taps"] = taps._replace(
        by_before=without(taps.by_before), by_after=without(taps.by_after)
    )
    found = identities.measure(gone)
    assert found["left"][0] == found["right"][0] == found["relative_error"][0] == 0
    for field in ("bound_ratio", "printed_ratio", "printed_fails", "removed"):
        assert np.isnan(found[field][0]) and np.isfinite(found[field][1]), field
    assert 0 <= found["relative_error"][1] < 1e-11
    assert found["printed_fails"][1] == 1


def test_a_block_that_keeps_nothing_is_judged_by_its_size(x64):
    """Blocks of one element: all of the gradient is removed."""
    y, g = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 1, 4)))
    where = dataclasses.replace(
        made.site(), norms=("norm1",), channels=(4,), groups={"norm1": 4}
    )

    def tapped(params, moves):
        y_ = y + moves[0].get("norm1", 0.0)
        z = plain_norm(y_, jnp.ones(4), jnp.zeros(4), 1e-5, 4)
        z = z + moves[1].get("norm1", 0.0)
        return (g * z).sum(), ({"norm1": y_}, {"norm1": z})

    here = made.here(lambda p: 0.0, np.zeros(12), where=where)
    here = dataclasses.replace(here, params={}, tapped=tapped)
    found = identities.measure(here)
    assert found["relative_error"][0] < 1e-12
    np.testing.assert_allclose(found["removed"], 1.0)
    np.testing.assert_allclose(found["removed_if_random"], 1.0)


def tiny_measure(norm: str, **options):
    """`make_measure`'s function of both quantities on the tiny network, and a point."""
    config = tiny.cell_config(norm=norm, **options)
    made_norm = make_norm(
        norm, groups=config.groups, epsilon=1e-5, use_scale=config.norm_scale
    )
    data = tiny.dataset()
    model = tiny.TinyNet(norm=made_norm, initializers=tiny.QUICK, classes=3)
    site = site_of(config, ProbeSettings(), made_norm, model, data.image_shape)

    def scale(images):
        return images.astype(jnp.float32) / 60 - 2

    measured = make_measure(
        NAMES,
        site,
        model,
        made_norm,
        "classification",
        lambda key, images: scale(images),
        scale,
    )
    program = tiny.program(config, data)

    def start(seed):
        none = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
        state = program.init(seed, {k: jnp.asarray(v) for k, v in none.items()})
        return Point(
            state.params, state.batch_stats, {}, jnp.asarray(0.1), seed, state.step
        )

    arrays = {name: jnp.asarray(x) for name, x in data_arrays(data).items()}
    return measured, start, arrays


@pytest.mark.parametrize(
    ("norm", "options"), [("batch", {}), ("group", {"norm_scale": False})]
)
def test_in_a_network_members_are_the_unmapped_call(norm, options):
    """In float32; and where the norm has no scale of its own."""
    measured, start, arrays = tiny_measure(norm, **options)
    seeds = jnp.arange(2, dtype=jnp.uint32)
    picked = jnp.asarray(np.stack([batch_indices(s, 0, 1, 5, 24)[0] for s in (0, 1)]))
    points = jax.vmap(start)(seeds)
    mapped = jax.jit(jax.vmap(measured, (0, 0, None)))(points, picked, arrays)
    single = jax.jit(measured)
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
    where = dataclasses.replace(made.site(), norms=("norm1",), channels=(4,))
    with pytest.raises(ValueError, match=f"{name} is about batch, group"):
        check([name], where)


def test_both_at_once_share_the_taps(x64):
    here = two_layers(GROUPS[1])
    found = measure(NAMES, here)
    for name in NAMES:
        alone = measure([name], two_layers(GROUPS[1]))[name]
        for field, value in alone.items():
            np.testing.assert_array_equal(found[name][field], value)
