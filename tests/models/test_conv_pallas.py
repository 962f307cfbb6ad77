"""The GPU kernel of the convolution, interpreted, against the primitive."""

import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from normlab.models import CONVS, conv_kernels, conv_pallas, differentiable
from normlab.models.conv_pallas import conv_general_dilated
from normlab.settings.devices import CONV_FORMS
from tests.marks import slow

NUMBERS = ("NHWC", "HWIO", "NHWC")


def lax_conv(x, w, padding, strides=(1, 1)):
    return jax.lax.conv_general_dilated(
        x, w, strides, padding, dimension_numbers=NUMBERS, precision="highest"
    )


def ours(x, w, padding, strides=(1, 1)):
    with jax.default_matmul_precision("highest"):
        return conv_general_dilated(x, w, strides, padding)


def random_case(seed):
    """Sizes odd and even; channels of one block and of several."""
    random = np.random.default_rng(seed)
    inputs, outputs = [(16, 16), (32, 128), (64, 32)][seed % 3]
    sizes = random.integers(3, 8, 2)
    kernel = (3, 3) if seed % 2 else tuple(random.choice([1, 2, 3, 5], 2))
    padding = ["SAME", "VALID", ((1, 0), (0, 1))][seed % 3]
    if max(kernel) == 1 or (padding == "VALID" and min(sizes) < max(kernel)):
        kernel, padding = (3, 3), "SAME"
    if seed % 3 == 2:
        kernel = (3, 2)
    members = 1 + seed % 2
    x = random.normal(size=(members, 3, *sizes, inputs)).astype("float32")
    w = random.normal(size=(members, *kernel, inputs, outputs)).astype("float32")
    return x, w, padding


MORE = [slow(i) for i in range(1, 12)]


@pytest.mark.parametrize("seed", [0, *MORE])
def test_equals_the_primitive_for_members_and_in_gradients(seed):
    check_members(*random_case(seed))


# Input channels, output channels, the kernel's size, strides, padding.
OTHERS = [
    (3, 16, 3, (1, 1), "SAME"),  # images
    (16, 32, 3, (2, 2), ((1, 1), (1, 1))),  # a residual block that halves the images
    slow(1, 16, 5, (1, 1), "SAME"),
    slow(3, 64, 3, (2, 1), "SAME"),
    slow(32, 64, 3, (2, 2), ((1, 1), (1, 1))),
    slow(16, 16, 2, (3, 2), "VALID"),
    slow(64, 128, 3, (1, 1), "SAME"),  # more sums than one program keeps
]


@pytest.mark.parametrize("inputs, outputs, kernel, strides, padding", OTHERS)
def test_images_and_strides(inputs, outputs, kernel, strides, padding):
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 3, 7, 6, inputs)).astype("float32")
    w = random.normal(size=(2, kernel, kernel, inputs, outputs)).astype("float32")
    check_members(x, w, padding, strides)


def check_members(x, w, padding, strides=(1, 1)):
    text = check(jax.vmap, x, w, padding, strides)
    assert text.count("pallas_call[") == 3 and "conv_general_dilated[" not in text


def check(mapped, x, w, padding, strides=(1, 1), conv=ours):
    """Outputs and gradients equal the primitive's. Returns ours as text."""

    def of_members(conv):
        def one(x, w):
            return conv(x, w, padding, strides)

        @jax.jit
        def both(x, w):
            y, vjp = jax.vjp(mapped(one), x, w)
            return (y, *vjp(np.cos(np.arange(y.size, dtype="f")).reshape(y.shape)))

        return both

    for found, expected in zip(
        of_members(conv)(x, w), of_members(lax_conv)(x, w), strict=True
    ):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, expected / scale, atol=2e-6)
    return str(jax.make_jaxpr(of_members(conv))(x, w))


def programs(text):
    """The grid of each kernel: the forward pass, the kernel's gradient, the images'."""
    return [
        tuple(map(int, sizes.split(", ")))
        for sizes in re.findall(r"grid=\(([^)]*)\)", text)
    ]


def rounded(x, w, padding, strides):
    """As on a GPU whose products round their inputs; a CPU's do not."""
    with jax.default_matmul_precision("tensorfloat32"):
        return conv_general_dilated(x, w, strides, padding)


@pytest.mark.parametrize("members, sharing", [(8, 4), (6, 3), slow(5, 1)])
def test_members_of_the_same_images_share_what_is_gathered(members, sharing):
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 7, 6, 3)).astype("float32")
    w = random.normal(size=(members, 3, 3, 3, 16)).astype("float32")
    shared = lambda one: jax.vmap(one, (None, 0))  # noqa: E731
    grids = programs(check(shared, x, w, "SAME", conv=rounded))
    assert grids[:2] == [(2, 1, members // sharing), (1, 1, 1, members // sharing)]
    # The gradient of the images is a convolution of what differs among the members.
    assert grids[2] == (members, 2, 1, 1)
    # Nothing is left to share in the products of a forward pass in float32.
    full = programs(check(shared, x, w, "SAME"))
    assert full[0] == (1, 1, members) and full[1] == grids[1]


def test_seeds_have_images_of_their_own():
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 2, 5, 6, 3)).astype("float32")
    w = random.normal(size=(2, 4, 3, 3, 3, 16)).astype("float32")
    seeds = lambda one: jax.vmap(jax.vmap(one, (None, 0)))  # noqa: E731
    assert programs(check(seeds, x, w, "SAME", conv=rounded))[0] == (2, 1, 1, 1)


def test_a_kernel_may_be_the_one_that_is_shared():
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 2, 5, 6, 16)).astype("float32")
    w = random.normal(size=(3, 3, 16, 32)).astype("float32")
    text = check(lambda one: jax.vmap(one, (0, None)), x, w, "SAME")
    assert text.count("pallas_call[") == 3


def test_the_precision_is_that_of_the_first_trace():
    """A function that is batched or differentiated later does not take another one."""
    x, w = np.ones((1, 12, 12, 3), "float32"), np.ones((8, 3, 3, 3, 16), "float32")
    jitted = lambda one: jax.vmap(jax.jit(one), (None, 0))  # noqa: E731
    plain = lambda one: jax.vmap(one, (None, 0))  # noqa: E731
    texts = [check(mapped, x, w, "SAME") for mapped in (jitted, plain)]
    for text in texts:
        assert text.count("precision=(Precision.HIGHEST") == text.count("dot_general[")
    # Of 144 pixels, 128 are a program's in float32. It takes 64 of them in others.
    found = [programs(text) for text in texts]
    assert sorted(found[0]) == sorted(found[1])
    assert found[1][0] == (2, 1, 8) and found[1][2] == (8, 2, 1, 1)
    assert programs(check(plain, x, w, "SAME", conv=rounded))[2] == (8, 3, 1, 1)


@pytest.mark.slow
def test_large_shared_kernels():
    """Two parts of pixels, three turns of entries, and registers for two members."""
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 20, 20, 3)).astype("float32")
    w = random.normal(size=(4, 5, 5, 3, 32)).astype("float32")
    shared = lambda one: jax.vmap(one, (None, 0))  # noqa: E731
    grids = programs(check(shared, x, w, "SAME", conv=rounded))
    assert grids[:2] == [(13, 1, 2), (1, 1, 2, 4)]


@pytest.mark.parametrize(
    "inputs, outputs, kernel", [(24, 16, 3), (3, 8, 3), (16, 16, 1)]
)
def test_patches_are_used_where_the_kernel_is_not_defined(inputs, outputs, kernel):
    x = np.ones((2, 6, 6, inputs), "float32")
    w = np.ones((kernel, kernel, inputs, outputs), "float32")
    text = str(jax.make_jaxpr(lambda x, w: CONVS["pallas"](x, w, (1, 1), "SAME"))(x, w))
    assert "pallas_call" not in text and "dot_general" in text


@pytest.mark.parametrize("form", sorted(CONVS))
def test_dtypes_are_those_of_the_primitive(form):
    """Also in float64, in which a sum in float32 would be off by 1e-7."""
    x, w, padding = random_case(0)

    def conv(form, x, w):
        return CONVS[form](x, w, (1, 1), padding, dimension_numbers=NUMBERS)

    with jax.enable_x64(True):
        found = conv(form, x[0].astype("float64"), w[0].astype("float64"))
        expected = conv("lax", x[0].astype("float64"), w[0].astype("float64"))
        assert found.dtype == expected.dtype == "float64"
        np.testing.assert_allclose(found, expected, atol=1e-12)
    low = jax.eval_shape(lambda x, w: conv(form, x, w), *map(bfloat16, (x[0], w[0])))
    assert low.dtype == "bfloat16"
    with pytest.raises(TypeError):
        jax.eval_shape(lambda x, w: conv(form, x, w), bfloat16(x[0]), w[0])


def bfloat16(x):
    return jax.ShapeDtypeStruct(x.shape, "bfloat16")


@pytest.mark.parametrize(
    "inputs, strides, dilation", [(16, 1, 1), (3, 1, 1), (16, 2, 1), (16, 1, 2)]
)
def test_only_pixels_that_exist_are_read(monkeypatch, inputs, strides, dilation):
    """Interpreted, a read outside of an array is no error; on a GPU it may be."""
    read = []

    def load(at, mask, other):
        rows, channels = np.broadcast_arrays(*map(np.asarray, at))
        read.extend(zip(rows[mask], channels[mask], strict=True))
        return np.zeros(mask.shape)

    monkeypatch.setattr(conv_kernels, "triton", SimpleNamespace(load=load))
    x_ref, pads = SimpleNamespace(at=IndexOf()), ((1, 1), (1, 1))
    sizes = conv_pallas._sizes(
        (3, 5, 6, inputs), (3, 3, inputs, 16), pads, (strides, strides)
    )
    sizes = sizes._replace(dilation=(dilation, dilation))
    assert strides > 1 or sizes.pixels == 90
    tile = sizes.tile(conv_pallas._FORWARD)
    assert tile.pixels == 64  # of 90, the last block has 26
    for first in range(0, sizes.pixels, 64):
        for turn in range(-(-sizes.entries // tile.entries)):
            conv_kernels.gathered(x_ref, first, turn, sizes, tile)
    pixels, channels = map(set, zip(*read, strict=True))
    assert channels == set(range(inputs))
    # With zeros between its pixels, the last ones of an image are outside.
    assert min(pixels) == 0 and max(pixels) < 90 and len(pixels) >= 36
    assert dilation > 1 or pixels == set(range(90))


class IndexOf:
    """``IndexOf()[i, j]`` is (i, j)."""

    def __getitem__(self, index):
        return index


@pytest.mark.parametrize("form", CONV_FORMS)
def test_probes_have_a_form_with_second_derivatives(form):
    x = np.ones((1, 4, 4, 16), "float32")
    w = np.ones((3, 3, 16, 16), "float32")

    def loss(w, form):
        y = CONVS[form](x, w, (1, 1), "SAME", dimension_numbers=NUMBERS)
        return (y**3).sum()

    def curvature(w, form):
        return jax.jvp(jax.grad(lambda w: loss(w, form)), (w,), (w,))[1]

    jax.eval_shape(lambda w: curvature(w, differentiable(form)), w)
    if differentiable(form) != form:
        with pytest.raises(AssertionError):  # Pallas asserts it
            jax.eval_shape(lambda w: curvature(w, form), w)
