"""``cifar-10-python.tar.gz``: pickled dicts, read without trusting the pickles.

A pickle may name any function and have it called. Those published name NumPy's array
constructors alone, and here even these names resolve to the small stand-ins below:
nothing of NumPy or of any other library is reachable from a pickle.
"""

import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from normlab.data.archives.kind import (
    Kind,
    file_names,
    images_from_planes,
    split_arrays,
)
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError


class _Array:
    """Stands in for ``numpy.ndarray``: keeps the raw bytes of a uint8 array."""

    raw: bytes = b""

    def __setstate__(self, state: tuple) -> None:
        _version, _shape, dtype, column_major, raw = state
        if not isinstance(dtype, _Uint8) or column_major or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array of another kind")
        self.raw = raw


class _Uint8:
    """Stands in for ``numpy.dtype("u1")``, the only type admitted."""

    def __setstate__(self, state: tuple) -> None:
        """Byte order and alignment, which a byte does not have."""


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _dtype(name: str | bytes, *_: Any) -> _Uint8:
    if name not in ("u1", b"u1"):
        raise pickle.UnpicklingError("an array of another type than uint8")
    return _Uint8()


def _encode(text: str, encoding: str | bytes) -> bytes:
    # How Python 3 writes bytes in pickles of protocol 2.
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("an unknown encoding")
    return text.encode("latin1")


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return _ADMITTED[module_name, global_name]
        except KeyError:
            name = f"{module_name}.{global_name}"
            raise UserError(
                f"a pickle in it asks for {name}, which is refused"
            ) from None


def members(spec: Spec) -> tuple[str, ...]:
    """The paths of the six files."""
    return tuple(f"cifar-10-batches-py/{name}" for name in file_names(spec))


def decode(contents: Mapping[str, bytes], spec: Spec) -> Arrays:
    """The arrays; a UserError if a pickle holds anything but the published dict."""
    images, labels = [], []
    for name in members(spec):
        batch = _load(name, contents[name])
        data, classes = batch.get(b"data"), batch.get(b"labels")
        count = spec.rows * spec.image_bytes
        if not isinstance(data, _Array) or len(data.raw) != count:
            raise UserError(f"{name} in it has no array of {spec.rows} images")
        labels.append(_labels(name, classes, spec))
        planes = np.frombuffer(data.raw, np.uint8).reshape(spec.rows, -1)
        images.append(images_from_planes(planes, spec))
    return split_arrays(images, labels)


def _load(name: str, content: bytes) -> dict:
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except UserError:
        raise
    # A damaged pickle may raise anything: it is a program of its own.
    except Exception as error:
        raise UserError(f"{name} in it is a damaged pickle ({error})") from error
    if not isinstance(batch, dict):
        raise UserError(f"{name} in it holds no dict")
    return batch


def _labels(name: str, classes: object, spec: Spec) -> np.ndarray:
    if (
        not isinstance(classes, list)
        or len(classes) != spec.rows
        or not all(isinstance(label, int) and 0 <= label < 256 for label in classes)
    ):
        raise UserError(f"{name} in it has no list of {spec.rows} labels")
    return np.array(classes, np.uint8)


KIND = Kind("cifar-10-python.tar.gz", members, decode)
