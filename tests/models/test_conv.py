"""The forms of the convolution against the primitive they stand in for."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from normlab.models import CONVS
from normlab.models.conv_direct import conv_general_dilated as direct
from normlab.models.conv_direct import images_a_turn
from normlab.models.conv_patches import conv_general_dilated
from normlab.models.parts import OF_PATCHES, parts_of
from tests.quick import quick

NUMBERS = ("NHWC", "HWIO", "NHWC")
OURS = ("patches", "direct")


def lax_conv(x_NHWC, kernel_HWIO, strides, padding):
    return jax.lax.conv_general_dilated(
        x_NHWC, kernel_HWIO, strides, padding, dimension_numbers=NUMBERS
    )


def primitives(function, *args) -> str:
    return str(jax.make_jaxpr(function)(*args))


def random_case(seed) -> Any:
    """Images, a kernel, strides and padding; sizes odd as often as even."""
    random = np.random.default_rng(seed)
    size = (random.integers(5, 10), random.integers(5, 10))
    kernel = tuple(random.choice([1, 3, 5], 2))
    x = random.normal(size=(2, *size, random.integers(1, 4)))
    w = random.normal(size=(*kernel, x.shape[-1], random.integers(1, 5)))
    explicit = [tuple(map(int, random.integers(0, 3, 2))) for _ in range(2)]
    padding = ["SAME", "VALID", explicit][seed % 3]
    strides = tuple(map(int, random.integers(1, 4, 2)))
    return x.astype("float32"), w.astype("float32"), strides, padding


def chosen_case(size, kernel, channels, strides, padding):
    random = np.random.default_rng(0)
    x = random.normal(size=(2, *size, channels)).astype("float32")
    w = random.normal(size=(*kernel, channels, 3)).astype("float32")
    return x, w, strides, padding


CASES = [
    *(random_case(seed) for seed in range(9)),
    # Thin and thick kernels over even and odd widths: each has its own form.
    chosen_case((6, 6), (3, 3), 1, (1, 1), "SAME"),
    chosen_case((6, 7), (3, 3), 1, (1, 1), "SAME"),
    chosen_case((6, 6), (3, 3), 16, (1, 1), "SAME"),
    chosen_case((5, 7), (3, 3), 16, (1, 1), "SAME"),
    # One zero in all, so the two sides differ: it goes after.
    chosen_case((6, 8), (3, 3), 2, (2, 2), "SAME"),
    chosen_case((6, 8), (3, 5), 12, (2, 2), "SAME"),
    # Residual networks halve with a zero on every side, thin and thick.
    chosen_case((6, 8), (3, 3), 8, (2, 2), [(1, 1), (1, 1)]),
    chosen_case((6, 7), (3, 3), 24, (2, 2), [(1, 1), (1, 1)]),
    # Strides that leave the last pixels unread; a window as large as the image.
    chosen_case((7, 8), (3, 3), 2, (3, 3), "VALID"),
    chosen_case((5, 5), (5, 5), 2, (1, 1), "VALID"),
    chosen_case((4, 6), (1, 1), 3, (2, 2), "VALID"),
    # Wide kernels of stride 1, which the direct form does itself.
    chosen_case((6, 5), (3, 3), 23, (1, 1), "SAME"),
    chosen_case((6, 7), (3, 3), 23, (1, 1), "VALID"),
    chosen_case((5, 6), (5, 3), 16, (1, 1), [(0, 2), (1, 0)]),
    chosen_case((5, 6), (2, 4), 32, (1, 1), "SAME"),
    # More padding than the kernel is wide: back through the patches form.
    chosen_case((5, 6), (1, 3), 70, (1, 1), [(1, 1), (3, 0)]),
]


@pytest.fixture(params=OURS)
def conv(request):
    return CONVS[request.param]


# The rest of the random ones.
MORE = [pytest.param(i, marks=pytest.mark.slow) for i in range(3, 9)]


@pytest.mark.parametrize("case", [0, 1, 2, *MORE, *range(9, len(CASES))])
def test_equals_the_primitive_in_value_and_gradients(case):
    x, w, strides, padding = CASES[case]
    shape = jax.eval_shape(lambda: lax_conv(x, w, strides, padding)).shape
    cotangent = np.random.default_rng(1).normal(size=shape).astype("float32")

    @quick
    def value_and_gradients(x, w, cotangent):
        """Of the primitive and of each form."""
        found = []
        for conv in (lax_conv, *(CONVS[name] for name in OURS)):
            y, vjp = jax.vjp(lambda x, w, f=conv: f(x, w, strides, padding), x, w)
            found.append((y, *vjp(cotangent)))
        return found

    (expected, *gradients), *others = value_and_gradients(x, w, cotangent)
    for found, *found_gradients in others:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        for a, b in zip(found_gradients, gradients, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=5e-5)


# The shape of images, that of a kernel, strides, padding.
UNUSUAL = [
    ((2, 4, 5, 3), (2, 4, 3, 16), (1, 1), "SAME_LOWER"),  # thin
    ((2, 4, 6, 16), (4, 3, 16, 16), (1, 1), "same_lower"),
    ((2, 5, 6, 16), (3, 3, 16, 16), (2, 2), "same"),
    ((2, 5, 4, 16), (3, 2, 16, 16), (2, 1), "valid"),
    ((1, 1, 1, 16), (3, 3, 16, 16), (1, 1), "SAME"),
    # Outputs are empty: images are smaller than the kernel, or there are none.
    ((1, 1, 1, 16), (3, 3, 16, 16), (1, 1), "VALID"),
    ((1, 1, 1, 2), (3, 3, 2, 4), (1, 1), "VALID"),
    ((2, 2, 6, 2), (5, 3, 2, 4), (2, 3), [(1, 0), (0, 0)]),
    ((0, 4, 4, 16), (3, 3, 16, 16), (1, 1), "SAME"),
    ((1, 0, 4, 2), (3, 3, 2, 4), (2, 2), "SAME"),
    ((1, 4, 4, 2), (3, 3, 2, 0), (1, 1), "SAME"),
    # Sums of nothing.
    ((1, 4, 4, 0), (3, 3, 0, 4), (1, 1), "SAME"),
    ((1, 0, 4, 2), (3, 3, 2, 4), (1, 1), [(2, 1), (1, 1)]),
]


@pytest.mark.parametrize("images, kernel, strides, padding", UNUSUAL)
def test_unusual_padding_and_sizes_are_those_of_the_primitive(
    images, kernel, strides, padding
):
    random = np.random.default_rng(0)
    x = random.normal(size=images).astype("float32")
    w = random.normal(size=kernel).astype("float32")

    @quick
    def value_and_gradients(x, w):
        def of(conv):
            def one(x, w):
                return conv(x, w, strides, padding, dimension_numbers=NUMBERS)

            y, vjp = jax.vjp(one, x, w)
            return (y, *vjp(jnp.cos(y)))

        with jax.default_matmul_precision("highest"):
            return {form: of(conv) for form, conv in CONVS.items()}

    found = value_and_gradients(x, w)
    for form in CONVS:
        for a, b in zip(found[form], found["lax"], strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape, form
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-4, err_msg=form)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("asked", [None, "float32"])
def test_empty_outputs_have_the_dtype_that_is_asked_for(conv, dtype, asked):
    x, w = jnp.ones((1, 1, 1, 2), dtype), jnp.ones((3, 3, 2, 4), dtype)
    y = conv(x, w, (1, 1), "VALID", preferred_element_type=asked)
    assert y.shape == (1, 0, 0, 4) and y.dtype == (asked or dtype)


def test_direct_convolves_wide_kernels_of_stride_one_forward_and_back():
    """Always in the order of axes that a CPU has a fast loop for."""
    x, w, strides, padding = CASES[-5]

    def both(x, w, g):
        y, vjp = jax.vjp(lambda x, w: direct(x, w, strides, padding), x, w)
        return y, vjp(g)

    text = primitives(both, x, w, lax_conv(x, w, strides, padding))
    assert text.count("conv_general_dilated[") == 3
    assert text.count("lhs_spec=(0, 3, 1, 2)") == 3
    assert text.count("rhs_spec=(3, 2, 0, 1)") == 3
    assert "dot_general" not in text
    for index in (9, 16, -1):  # thin, strided, too much padding
        x, w, strides, padding = CASES[index]
        text = primitives(lambda x, w, s=strides, p=padding: direct(x, w, s, p), x, w)
        assert "conv_general_dilated" not in text


@pytest.mark.parametrize(("channels", "patches"), [(3, True), (12, False)])
def test_direct_leaves_a_first_layer_to_patches(channels, patches):
    x = jnp.zeros((2, 4, 4, channels))
    w = jnp.zeros((3, 3, channels, 2))
    text = primitives(lambda x, w: direct(x, w, (1, 1), "SAME"), x, w)
    assert ("conv_general_dilated[" not in text) == patches


# Images, rows and columns -> images in a turn of a kernel's gradient.
TURNS = [
    (50, 16, 16, 10),
    (100, 16, 16, 10),
    (32, 16, 16, 8),
    (64, 32, 32, 2),
    (48, 8, 8, 24),
    (24, 8, 8, 24),  # all fit
    (512, 4, 4, 128),
    (25, 16, 16, 25),  # odd
    (6, 60, 60, 2),  # two at least
    (2, 1, 1, 2),
    (1, 1, 1, 1),
]


@pytest.mark.parametrize("images, rows, columns, expected", TURNS)
def test_images_of_a_kernels_gradient_stay_in_the_cache(
    images, rows, columns, expected
):
    assert images_a_turn(images, rows * columns) == expected
    x = jax.ShapeDtypeStruct((images, rows, columns, 12), "float32")
    w = jax.ShapeDtypeStruct((3, 3, 12, 2), "float32")
    text = primitives(jax.grad(lambda w, x: direct(x, w, (1, 1), "SAME").sum()), w, x)
    assert ("scan[" in text) == (expected < images)
    assert f"f32[{rows},{columns},{expected},2]" in text


def test_a_kernels_gradient_by_some_images_is_that_by_all():
    """And so is its derivative: some of the summands would not do."""
    random = np.random.default_rng(3)
    x, t = random.normal(size=(2, 20, 16, 16, 12)).astype("float32")
    w = random.normal(size=(3, 3, 12, 2)).astype("float32")
    assert images_a_turn(20, 256) == 10

    @jax.jit
    def found(x, w, t):
        def of(conv):
            def gradient(x):
                return jax.grad(lambda w: jnp.sin(conv(x, w, (1, 1), "SAME")).sum())(w)

            return (gradient(x), *jax.jvp(gradient, (x,), (t,)))

        return of(direct), of(lax_conv), of(lambda *a: direct(a[0][:10], *a[1:]))

    with jax.default_matmul_precision("highest"):
        ours, expected, half = found(x, w, t)
    for a, b, c in zip(ours, expected, half, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-3 * float(np.std(b)))
        assert np.std(b - c) > 0.3 * np.std(b)


def test_a_kernels_gradient_is_summed_in_float32():
    """Over 64 turns, sums in bfloat16 are off by 1%."""
    random = np.random.default_rng(4)
    x = jnp.asarray(np.abs(random.normal(size=(128, 32, 32, 12))), "bfloat16")
    w = jnp.asarray(random.normal(size=(3, 3, 12, 2)), "bfloat16")
    g = jnp.asarray(random.normal(size=(128, 32, 32, 2)), "bfloat16")

    @jax.jit
    def gradient(x, w, g):
        return jax.vjp(lambda w: direct(x, w, (1, 1), "SAME"), w)[1](g)[0]

    found = gradient(x, w, g)
    exact = gradient(*(v.astype("float32") for v in (x, w, g)))
    assert found.dtype == "bfloat16"
    assert np.std(found.astype("float32") - exact) < 0.004 * np.std(exact)


# 75 has no even divisor; 48 images are few.
SOME = [(64, 2), (66, 3), (100, 5), (75, 1), (48, 1)]


@pytest.mark.parametrize("images, parts", SOME)
def test_patches_of_many_images_are_made_in_parts(images, parts):
    """In a CPU's loops, so that they stay in the cache; all derivatives are those."""
    random = np.random.default_rng(0)
    x = random.normal(size=(images, 4, 4, 2)).astype("float32")
    w = random.normal(size=(3, 3, 2, 3)).astype("float32")
    assert parts_of(images, OF_PATCHES) == parts

    def of(conv):
        def loss(x, w):
            y = conv(x, w, (1, 1), "SAME", dimension_numbers=NUMBERS)
            return jnp.sum(jnp.sin(y)), y

        def curvature(x, w):
            gradient = jax.grad(lambda x, w: loss(x, w)[0], (0, 1))
            return jax.jvp(gradient, (x, w), (jnp.cos(x), jnp.cos(w)))

        return loss(x, w), curvature(x, w)

    assert ("scan[" in primitives(lambda: of(CONVS["direct"]))) == (parts > 1)
    assert "scan[" not in primitives(lambda: of(CONVS["patches"]))
    pairs = zip(
        jax.tree.leaves(jax.jit(lambda: of(CONVS["direct"]))()),
        jax.tree.leaves(jax.jit(lambda: of(CONVS["patches"]))()),
        strict=True,
    )
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4)


def test_direct_has_forward_over_reverse_derivatives(x64):
    random = np.random.default_rng(2)
    x = random.normal(size=(2, 4, 4, 23))
    w, t = random.normal(size=(2, 3, 3, 23, 2))

    def loss(conv, w):
        return jnp.sum(jnp.sin(conv(x, w, (1, 1), "SAME")))

    def hessian_times(conv, w, t):
        return jax.jvp(jax.grad(lambda w: loss(conv, w)), (w,), (t,))[1]

    found, expected = jax.jit(
        lambda w, t: [hessian_times(conv, w, t) for conv in (direct, lax_conv)]
    )(w, t)
    np.testing.assert_allclose(found, expected)


def test_it_is_a_matrix_product_also_under_vmap_over_kernels():
    x, w, _, _ = random_case(0)
    assert "conv_general_dilated" in primitives(
        lambda x, w: lax_conv(x, w, (1, 1), "SAME"), x, w
    )
    kernels = np.stack([w, 2 * w, w[::-1]])

    def ours(kernels):
        return jax.vmap(lambda w: conv_general_dilated(x, w, (1, 1), "SAME"))(kernels)

    assert "conv_general_dilated" not in primitives(ours, kernels)
    expected = [lax_conv(x, k, (1, 1), "SAME") for k in kernels]
    np.testing.assert_allclose(
        jax.jit(ours)(kernels), np.stack(expected), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("strides, channels", [((2, 1), 2), ((1, 1), 23)])
def test_gradients_are_numerically_right(x64, conv, strides, channels):
    random = np.random.default_rng(1)
    x = random.normal(size=(2, 5, 4, channels))
    w = random.normal(size=(3, 3, channels, 3))

    @jax.jit
    def function(x, w):
        return conv(x, w, strides, "SAME")

    args = (jnp.asarray(x), jnp.asarray(w))
    check_grads(function, args, order=1, modes=["rev"], eps=1e-4)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"lhs_dilation": (2, 1)}, "dilation"),
        ({"rhs_dilation": (1, 2)}, "dilation"),
        ({"feature_group_count": 2}, "one group"),
    ],
)
def test_what_it_cannot_do_raises(wrong, message, conv):
    x, w = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2))
    with pytest.raises(ValueError, match=message):
        conv(x, w, (1, 1), "SAME", **wrong)


def test_arguments_of_the_wrong_kind_raise(conv):
    w = jnp.ones((3, 3, 2, 2))
    for wrong in (jnp.ones((1, 4, 2)), jnp.ones((1, 4, 4, 1))):
        with pytest.raises(ValueError, match="two spatial axes.*channels of the ima"):
            conv(wrong, w, (1, 1), "SAME")
    x = jnp.ones((1, 4, 4, 2))
    with pytest.raises(ValueError, match=r"negative.*-1"):
        conv(x, w, (1, 1), [(1, 1), (-1, 1)])
    with pytest.raises(RuntimeError, match="'SAME_LOWER', got upper"):  # lax's own
        conv(x, w, (1, 1), "upper")


def test_dilations_of_one_are_no_dilation(conv):
    x, w, strides, padding = random_case(2)
    ones = {"lhs_dilation": (1, 1), "rhs_dilation": (1, 1)}
    plain, named = (
        primitives(lambda x, w, d=d: conv(x, w, strides, padding, **d), x, w)
        for d in ({}, ones)
    )
    assert plain == named
