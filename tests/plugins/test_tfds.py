"""``tfds:NAME``: a prepared folder is read as it is, and nothing else is tried."""

import dataclasses

import numpy as np
import pytest

from normlab.data import DATASETS, load, tfds_folder
from normlab.data.spec import CIFAR10
from normlab.data.tfds_any import prepare
from normlab.errors import UserError

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """(arrays, data folder) of 12 images that tfds's own builder has written."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    spec = dataclasses.replace(CIFAR10, rows=2)
    arrays = {
        "train_x": random.integers(0, 256, (10, 32, 32, 3), np.uint8),
        "train_y": (np.arange(10) % 10).astype(np.uint8),
        "test_x": random.integers(0, 256, (2, 32, 32, 3), np.uint8),
        "test_y": np.array([3, 5], np.uint8),
    }
    tfds_folder.build(arrays, spec, root / "tfds")
    return arrays, root


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(DATASETS, "_adopted", {})
    monkeypatch.setattr(DATASETS, "sources", {})


def test_it_has_the_same_images(prepared):
    arrays, root = prepared
    found = load("tfds:cifar10", root)
    assert found.classes[:8] == NAMES and found.name == "tfds:cifar10"
    for split in ("train", "test"):
        x, y = getattr(found, f"{split}_x"), getattr(found, f"{split}_y")
        assert x.dtype == y.dtype == np.uint8
        # tfds shuffles the examples of a split.
        wanted = {x.tobytes(): int(y) for x, y in zip(*_of(arrays, split), strict=True)}
        assert {i.tobytes(): int(n) for i, n in zip(x, y, strict=True)} == wanted
    version = next((root / "tfds/cifar10").iterdir()).name
    again = load(f"tfds:cifar10:{version}", root)
    assert (again.train_x == found.train_x).all()
    digests = [source["arrays"] for source in DATASETS.sources.values()]
    assert digests[0] == digests[1]


def _of(arrays, split):
    return arrays[f"{split}_x"], arrays[f"{split}_y"]


@pytest.mark.parametrize(
    "name, said",
    [
        ("mnist", "it is not prepared; python -m normlab.data --prepare=tfds:mnist"),
        ("cifar10:9.9.9", "it is not prepared"),
        ("../cifar10", "write tfds:NAME"),
        ("cifar10/../..", "write tfds:NAME"),
        ("", "write tfds:NAME"),
    ],
)
def test_what_is_not_there(prepared, name, said):
    with pytest.raises(UserError, match=said) as caught:
        load(f"tfds:{name}", prepared[1])
    assert str(caught.value).startswith(f"--dataset=tfds:{name}: ")


def test_a_folder_of_modules_imports_none(prepared, tmp_path):
    """tfds would import what features.json names."""
    (folder,) = (prepared[1] / "tfds/cifar10").iterdir()
    copy = tmp_path / "tfds/cifar10" / folder.name
    copy.mkdir(parents=True)
    for file in folder.iterdir():
        text = file.read_bytes()
        if file.name == "features.json":
            text = text.replace(b"tensorflow_datasets.core.features", b"trap.features")
        (copy / file.name).write_bytes(text)
    with pytest.raises(UserError, match="features.json names 'trap.features"):
        load("tfds:cifar10", tmp_path)


def test_an_archive_folder_is_used_in_place_of_the_network(tmp_path):
    """By a builder of tensorflow-datasets itself, which would download four files."""
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"not compressed")
    with pytest.raises(UserError, match=r"--archive=.* lacks \S+-ubyte\.gz$"):
        prepare("tfds:mnist", tmp_path / "data", tmp_path)
