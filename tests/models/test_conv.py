"""The patches convolution against the primitive it stands in for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from normlab.models.conv import conv_general_dilated

NUMBERS = ("NHWC", "HWIO", "NHWC")


def lax_conv(x_NHWC, kernel_HWIO, strides, padding):
    return jax.lax.conv_general_dilated(
        x_NHWC, kernel_HWIO, strides, padding, dimension_numbers=NUMBERS
    )


def primitives(function, *args) -> str:
    return str(jax.make_jaxpr(function)(*args))


def random_case(seed):
    """Images, a kernel, strides and padding; sizes odd as often as even."""
    random = np.random.default_rng(seed)
    size = (random.integers(5, 10), random.integers(5, 10))
    kernel = tuple(random.choice([1, 3, 5], 2))
    x = random.normal(size=(2, *size, random.integers(1, 4)))
    w = random.normal(size=(*kernel, x.shape[-1], random.integers(1, 5)))
    explicit = [tuple(map(int, random.integers(0, 3, 2))) for _ in range(2)]
    padding = ["SAME", "VALID", explicit][seed % 3]
    strides = tuple(map(int, random.integers(1, 4, 2)))
    return jnp.asarray(x, "float32"), jnp.asarray(w, "float32"), strides, padding


def chosen_case(size, kernel, channels, strides, padding):
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(2, *size, channels)), "float32")
    w = jnp.asarray(random.normal(size=(*kernel, channels, 3)), "float32")
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
    # Strides that leave the last pixels unread; a window as large as the image.
    chosen_case((7, 8), (3, 3), 2, (3, 3), "VALID"),
    chosen_case((5, 5), (5, 5), 2, (1, 1), "VALID"),
    chosen_case((4, 6), (1, 1), 3, (2, 2), "VALID"),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_equals_the_primitive_in_value_and_gradients(case):
    x, w, strides, padding = CASES[case]
    expected, expected_vjp = jax.vjp(
        lambda x, w: lax_conv(x, w, strides, padding), x, w
    )
    found, found_vjp = jax.vjp(
        lambda x, w: conv_general_dilated(x, w, strides, padding), x, w
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    cotangent = jnp.asarray(np.random.default_rng(1).normal(size=found.shape), "f4")
    for a, b in zip(found_vjp(cotangent), expected_vjp(cotangent), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5)


def test_it_is_a_matrix_product_also_under_vmap_over_kernels():
    x, w, _, _ = random_case(0)
    assert "conv_general_dilated" in primitives(
        lambda x, w: lax_conv(x, w, (1, 1), "SAME"), x, w
    )
    kernels = jnp.stack([w, 2 * w, w[::-1]])

    def ours(kernels):
        return jax.vmap(lambda w: conv_general_dilated(x, w, (1, 1), "SAME"))(kernels)

    assert "conv_general_dilated" not in primitives(ours, kernels)
    expected = [lax_conv(x, k, (1, 1), "SAME") for k in kernels]
    np.testing.assert_allclose(ours(kernels), np.stack(expected), rtol=1e-5, atol=1e-5)


def test_gradients_are_numerically_right(x64):
    random = np.random.default_rng(1)
    x, w = random.normal(size=(2, 5, 4, 2)), random.normal(size=(3, 3, 2, 3))

    def function(x, w):
        return conv_general_dilated(x, w, (2, 1), "SAME")

    check_grads(function, (jnp.asarray(x), jnp.asarray(w)), order=1, eps=1e-4)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"lhs_dilation": (2, 1)}, "dilation"),
        ({"rhs_dilation": (1, 2)}, "dilation"),
        ({"feature_group_count": 2}, "one group"),
    ],
)
def test_what_it_cannot_do_raises(wrong, message):
    x, w = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2))
    with pytest.raises(ValueError, match=message):
        conv_general_dilated(x, w, (1, 1), "SAME", **wrong)
    with pytest.raises(ValueError, match="two spatial axes"):
        conv_general_dilated(jnp.ones((1, 4, 2)), w, (1, 1), "SAME")


def test_dilations_of_one_are_no_dilation():
    x, w, strides, padding = random_case(2)
    plain = conv_general_dilated(x, w, strides, padding)
    named = conv_general_dilated(
        x, w, strides, padding, lhs_dilation=(1, 1), rhs_dilation=(1, 1)
    )
    np.testing.assert_array_equal(plain, named)
