"""A CIFAR of 24 random images, and the three archives that could publish it."""

import gzip
import io
import json
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.spec import CIFAR10, Spec, sha256

ROWS = 4


def python2_pickle(data: np.ndarray, labels: list[int]) -> bytes:
    """The dict as Python 2 and its NumPy wrote it, which is what is published."""
    raw = data.tobytes()
    rows, columns = data.shape
    return b"".join(
        [
            b"\x80\x02}(U\x06labels](",
            *(b"K" + bytes([label]) for label in labels),
            b"eU\x04datacnumpy.core.multiarray\n_reconstruct\n",
            b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R",
            b"(K\x01M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns),
            b"\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff",
            b"J\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", len(raw)) + raw,
            b"tbu.",
        ]
    )


def python3_pickle(data: np.ndarray, labels: list[int]) -> bytes:
    return pickle.dumps({b"data": data, b"labels": labels}, protocol=2)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def tar_bytes(members: dict[str, bytes], extra: tuple = ()) -> bytes:
    """A tar of the members, then of ``extra`` pairs (TarInfo, bytes)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info, content in extra:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Fake:
    """The data, its spec, and the members of each kind of archive."""

    def __init__(self, folder: Path):
        self.folder = folder
        rng = np.random.default_rng(0)
        self.arrays = {
            "train_x": rng.integers(0, 256, (5 * ROWS, 32, 32, 3), dtype=np.uint8),
            "train_y": rng.integers(0, 10, 5 * ROWS, dtype=np.uint8),
            "test_x": rng.integers(0, 256, (ROWS, 32, 32, 3), dtype=np.uint8),
            "test_y": rng.integers(0, 10, ROWS, dtype=np.uint8),
        }
        digests = {name: sha256(array) for name, array in self.arrays.items()}
        self.spec = Spec("cifar10", ROWS, CIFAR10.classes, digests)

    def batches(self):
        """(file name, images [ROWS, 32, 32, 3], labels [ROWS]) of the six files."""
        for index in range(5):
            rows = slice(index * ROWS, (index + 1) * ROWS)
            name = f"data_batch_{index + 1}"
            yield name, self.arrays["train_x"][rows], self.arrays["train_y"][rows]
        yield "test_batch", self.arrays["test_x"], self.arrays["test_y"]

    def members(self, kind: str) -> dict[str, bytes]:
        contents = {}
        for name, x, y in self.batches():
            planes = x.transpose(0, 3, 1, 2).reshape(ROWS, -1)
            if kind == "binary":
                rows = np.concatenate([y[:, None], planes], axis=1)
                contents[f"cifar-10-batches-bin/{name}.bin"] = rows.tobytes()
            elif kind == "sheets":
                contents[f"package/{name}.png"] = png(x.reshape(ROWS, 1024, 3))
            else:
                write = python2_pickle if kind == "python2" else python3_pickle
                path = f"cifar-10-batches-py/{name}"
                contents[path] = write(planes, y.tolist())
        if kind == "sheets":
            for split in ("train", "test"):
                labels = self.arrays[f"{split}_y"].tolist()
                contents[f"package/{split}_lables.json"] = json.dumps(labels).encode()
        return {"package/README.md": b"not data", **contents}

    def archive(
        self, kind: str = "binary", edit: dict | None = None, extra: tuple = ()
    ) -> Path:
        """Writes an archive; ``edit`` replaces members, ``extra`` adds to them."""
        members = {**self.members(kind), **(edit or {})}
        path = self.folder / f"{kind}.tar.gz"
        path.write_bytes(gzip.compress(tar_bytes(members, extra), compresslevel=1))
        return path

    def extracted(self, *kinds: str, edit: dict | None = None) -> Path:
        """A folder to which archives were extracted; ``edit`` with None removes."""
        folder = self.folder / "-".join(["extracted", *kinds])
        members = {name: x for kind in kinds for name, x in self.members(kind).items()}
        for name, content in (members | (edit or {})).items():
            if content is not None:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return folder


@pytest.fixture
def fake(tmp_path) -> Fake:
    folder = tmp_path / "archives"
    folder.mkdir()
    return Fake(folder)
