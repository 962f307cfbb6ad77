"""Standardisation against float64 NumPy; augmentation against what it promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.data.transform import (
    AUGMENT,
    STANDARDIZE,
    augment,
    feature_statistics,
    standardize,
)


@pytest.fixture
def images() -> np.ndarray:
    rng = np.random.default_rng(0)
    scale = rng.integers(2, 256, (6, 5, 3))
    return (rng.random((2345, 6, 5, 3)) * scale).astype(np.uint8)


@pytest.mark.parametrize("how", ["feature", "channel"])
def test_statistics_against_float64(images, how):
    axes = 0 if how == "feature" else (0, 1, 2)
    x = images.astype(np.float64)
    mean, std = feature_statistics(images, how)
    assert mean.dtype == std.dtype == np.float32
    assert mean.shape == std.shape == ((6, 5, 3) if how == "feature" else (1, 1, 3))
    np.testing.assert_allclose(mean.squeeze(), x.mean(axes), rtol=1e-7)
    np.testing.assert_allclose(std.squeeze(), x.std(axes), rtol=1e-6)


def test_the_extremes_do_not_overflow():
    # One more image than is summed at once, all as bright as can be.
    x = np.full((66_100, 1, 1, 1), 255, np.uint8)
    mean, std = feature_statistics(x, "feature")
    assert (mean.item(), std.item()) == (255, 1)
    x[::2] = 0
    mean, std = feature_statistics(x, "channel")
    assert (mean.item(), std.item()) == (127.5, 127.5)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_constant_pixel_becomes_zero(images, value):
    images[:, 1, 2, 0] = value
    mean, std = feature_statistics(images, "feature")
    assert std[1, 2, 0] == 1
    standard = standardize(jnp.asarray(images), jnp.asarray(mean), jnp.asarray(std))
    assert bool((standard[:, 1, 2, 0] == 0).all())


@pytest.mark.parametrize("how", STANDARDIZE)
def test_standardize_against_float64(images, how):
    mean, std = feature_statistics(images, how)
    out = jax.jit(standardize)(images, mean, std)
    assert out.dtype == jnp.float32 and out.shape == images.shape
    if how == "none":
        expected = images / 255
    else:
        axes = 0 if how == "feature" else (0, 1, 2)
        expected = (images - images.mean(axes)) / images.std(axes)
    np.testing.assert_allclose(out, expected, atol=3e-6)


@pytest.mark.parametrize("how", STANDARDIZE)
def test_floats_are_standardised_too(how):
    """By their own moments; without any they stay as they are, to the bit."""
    random = np.random.default_rng(0)
    x = (5 + 3 * random.normal(size=(300, 4, 2, 3)) * [1, 20, 300]).astype("float32")
    x[:, 0, 1, 2] = 0.1  # constant, and no sum of powers of two
    mean, std = feature_statistics(x, how)
    out = jax.jit(standardize)(x, mean, std)
    assert mean.dtype == std.dtype == out.dtype == np.float32
    if how == "none":
        np.testing.assert_array_equal(out, x)
        return
    axes = 0 if how == "feature" else (0, 1, 2)
    wide = x.astype(np.float64)
    assert mean.shape == std.shape == ((4, 2, 3) if how == "feature" else (1, 1, 3))
    varies = wide.std(axes) > 1e-3
    assert varies.sum() == (23 if how == "feature" else 3)
    expected = (wide - wide.mean(axes)) / np.where(varies, wide.std(axes), 1)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    if how == "feature":
        np.testing.assert_array_equal(out[:, 0, 1, 2], 0)


def test_unknown_words_list_the_known(images):
    with pytest.raises(ValueError, match="'pixel'.*channel, feature, none"):
        feature_statistics(images, "pixel")
    with pytest.raises(ValueError, match="'spin'.*none, flip, crop, flip_crop"):
        augment(jax.random.key(0), jnp.asarray(images), "spin")


@pytest.fixture
def batch() -> jax.Array:
    """512 images without two equal pixels in one, and without zeros."""
    return 1 + jnp.arange(512 * 8 * 8 * 3, dtype=jnp.float32).reshape(512, 8, 8, 3)


def test_none_changes_nothing(batch):
    np.testing.assert_array_equal(augment(jax.random.key(0), batch, "none"), batch)


def test_flip_mirrors_about_half_of_the_images_and_keeps_the_rest(batch):
    out = np.asarray(augment(jax.random.key(0), batch, "flip"))
    x = np.asarray(batch)
    same = (out == x).all((1, 2, 3))
    mirrored = (out == x[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 200 < mirrored.sum() < 312


def windows(image: np.ndarray) -> dict[bytes, tuple[int, int]]:
    """All 81 crops of a padded image, by content."""
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    height, width, _ = image.shape
    return {
        padded[i : i + height, j : j + width].tobytes(): (i, j)
        for i in range(9)
        for j in range(9)
    }


def test_crop_cuts_every_window_of_the_padded_image(batch):
    out = np.asarray(augment(jax.random.key(1), batch, "crop"))
    corners = [
        windows(image)[cropped.tobytes()]
        for image, cropped in zip(np.asarray(batch), out, strict=True)
    ]
    assert {i for i, _ in corners} == {j for _, j in corners} == set(range(9))
    assert len(set(corners)) > 60  # of 81, in 512 draws: rows and columns vary apart


def test_flip_crop_does_both(batch):
    out = np.asarray(augment(jax.random.key(2), batch, "flip_crop"))
    flips = 0
    for image, changed in zip(np.asarray(batch), out, strict=True):
        plain = changed.tobytes() in windows(image)
        mirrored = changed.tobytes() in windows(image[:, ::-1])
        assert plain or mirrored
        flips += not plain
    assert 200 < flips < 312


@pytest.mark.parametrize("how", AUGMENT)
def test_the_key_alone_decides_and_jit_and_vmap_agree(batch, how):
    batch = batch[:16]
    keys = jax.random.split(jax.random.key(3), 4)
    alone = [augment(key, batch, how) for key in keys]
    np.testing.assert_array_equal(alone[0], augment(keys[0], batch, how))
    jitted = jax.jit(augment, static_argnames="augmentation")
    np.testing.assert_array_equal(alone[1], jitted(keys[1], batch, augmentation=how))
    together = jax.vmap(lambda key: augment(key, batch, how))(keys)
    np.testing.assert_array_equal(together, jnp.stack(alone))
    differ = not np.array_equal(alone[0], alone[1])
    assert differ == (how != "none")


@pytest.mark.parametrize("how", AUGMENT)
def test_shape_and_type_are_kept(how, x64):
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float64):
        x = jnp.ones((3, 8, 6, 1), dtype)
        out = augment(jax.random.key(0), x, how)
        assert out.shape == x.shape and out.dtype == x.dtype
