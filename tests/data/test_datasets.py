"""Every dataset keeps the contract; loading needs neither tfds nor Pillow."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from normlab import data
from normlab.data import cache, cifar10
from normlab.data.tasks import chance_of, task_of
from normlab.errors import UserError


@pytest.mark.parametrize("name", sorted(data.DATASETS))
def test_contract(name):
    try:
        dataset = data.load(name)
    except UserError as error:
        pytest.skip(str(error))
    assert dataset.name == name
    assert dataset.task == task_of(name)
    if dataset.task == "classification":
        splits = dataset.train_y, dataset.test_y
        shares = [np.bincount(y).max() / len(y) for y in splits]
        assert chance_of(name) == pytest.approx(max(shares), abs=1e-9)
    else:
        assert np.isnan(chance_of(name))
    for x, y in (
        (dataset.train_x, dataset.train_y),
        (dataset.test_x, dataset.test_y),
    ):
        assert x.shape == (len(y), *dataset.image_shape)
        if dataset.task == "classification":
            assert x.dtype == y.dtype == np.uint8
            assert np.unique(y).tolist() == list(range(len(dataset.classes)))
        else:
            assert dataset.task == "regression"
            assert x.dtype == y.dtype == np.float32
            assert y.shape == (len(x), len(dataset.classes))


def test_the_chance_of_a_dataset_that_may_not_be_prepared():
    """MNIST's classes are not equally frequent: 1135 test images are ones."""
    known = {name: chance_of(name) for name in ("cifar10", "fashion_mnist", "mnist")}
    assert known == {"cifar10": 0.1, "fashion_mnist": 0.1, "mnist": 0.1135}
    assert np.isnan(chance_of("npz:mine.npz"))


def test_unknown_name_lists_the_known():
    with pytest.raises(UserError, match="--dataset=svhn: unknown; known: cifar10, d"):
        data.load("svhn")


@pytest.fixture
def prepared(fake, tmp_path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    root = tmp_path / "data"
    cache.write(root / "cifar10", fake.arrays, fake.spec, "a test", work)
    assert not list(work.iterdir())
    return root


def test_cifar10_is_mapped_and_read_only(fake, prepared):
    dataset = cifar10.load(prepared, fake.spec)
    assert not dataset.train_x.flags.owndata
    assert not dataset.train_x.flags.writeable
    np.testing.assert_array_equal(dataset.train_x, fake.arrays["train_x"])


def test_cifar10_without_tfds_and_pillow(fake, prepared):
    code = (
        "import json, pathlib, sys\n"
        "for name in ('PIL', 'tensorflow_datasets', 'array_record', 'jax', 'absl'):\n"
        "    sys.modules[name] = None\n"
        "from normlab.data import cifar10, load, spec\n"
        "root, digests = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])\n"
        "fake = spec.Spec('cifar10', 4, spec.CIFAR10.classes, digests)\n"
        "print(cifar10.load(root, fake).train_x.sum(), len(load('digits').train_y))\n"
    )
    words = [str(prepared), json.dumps(dict(fake.spec.digests))]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(fake.arrays["train_x"].sum()), "1500"]


def test_not_prepared_names_the_folder_and_the_command(tmp_path, monkeypatch):
    with pytest.raises(UserError) as caught:
        data.load("cifar10", tmp_path)
    command = f"python -m normlab.data --prepare=cifar10 --data_dir={tmp_path}"
    assert str(caught.value).endswith(command)
    assert f"not prepared in {tmp_path / 'cifar10'}" in str(caught.value)
    monkeypatch.setenv("NORMLAB_DATA_DIR", str(tmp_path / "other"))
    with pytest.raises(UserError) as caught:
        data.load("cifar10")
    assert str(caught.value).endswith("python -m normlab.data --prepare=cifar10")
    assert str(tmp_path / "other" / "cifar10") in str(caught.value)


@pytest.mark.parametrize(
    "damage", ["cut", "missing", "shape", "marker", "digests", "bit"]
)
def test_a_damaged_cache_is_noticed(fake, prepared, damage):
    folder = prepared / "cifar10"
    file = folder / "test_x.npy"
    spec = fake.spec
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "missing":
        file.unlink()
    elif damage == "shape":
        np.save(file, fake.arrays["test_x"][:2])
    elif damage == "bit":
        raw = bytearray(file.read_bytes())
        raw[-5] ^= 1
        file.write_bytes(raw)
    elif damage == "marker":
        (folder / cache.MARKER).write_text("{")
    else:
        spec = dataclasses.replace(spec, digests={**spec.digests, "test_y": "0" * 64})
    with pytest.raises(UserError, match="repair it: python -m normlab.data --prep"):
        cifar10.load(prepared, spec)
    assert not cache.is_intact(folder, spec)


def test_subset_takes_the_first_images():
    digits = data.load("digits")
    small = data.subset(digits, 100)
    np.testing.assert_array_equal(small.train_x, digits.train_x[:100])
    np.testing.assert_array_equal(small.train_y, digits.train_y[:100])
    assert small.test_x is digits.test_x and small.name == "digits"
    assert data.subset(digits, None) is digits
    assert len(data.subset(digits, 1500).train_x) == 1500


@pytest.mark.parametrize("size", [0, -1, 1501])
def test_subset_of_an_impossible_size(size):
    with pytest.raises(UserError, match=f"{size} images.*digits has 1500"):
        data.subset(data.load("digits"), size)


def test_data_dir_takes_the_first_that_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("NORMLAB_DATA_DIR", raising=False)
    assert data.data_dir() == Path("/home/someone/.cache/normlab")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data.data_dir(None) == Path("/cache/normlab")
    monkeypatch.setenv("NORMLAB_DATA_DIR", "~/data")
    assert data.data_dir("") == Path("/home/someone/data")
    monkeypatch.chdir(tmp_path)
    assert data.data_dir("here") == tmp_path / "here"


@pytest.mark.slow
def test_the_real_cifar10():
    try:
        dataset = data.load("cifar10")
    except UserError as error:
        pytest.skip(str(error))
    from normlab.data.spec import CIFAR10
    from normlab.data.transform import feature_statistics

    arrays = {name: getattr(dataset, name) for name in CIFAR10.digests}
    assert CIFAR10.fault(arrays) is None
    assert dataset.train_y[:5].tolist() == [6, 9, 9, 4, 1]
    assert dataset.test_y[:5].tolist() == [3, 8, 8, 0, 6]
    assert np.bincount(dataset.train_y).tolist() == [5000] * 10
    mean, std = feature_statistics(dataset.train_x, "channel")
    np.testing.assert_allclose(mean.ravel(), [125.307, 122.950, 113.865], atol=1e-3)
    np.testing.assert_allclose(std.ravel(), [62.993, 62.089, 66.705], atol=1e-3)
