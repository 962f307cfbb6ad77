"""``cifar-10-python.tar.gz``: pickled dicts, read without trusting the pickles.

A pickle may name any function and call it. The published pickles name only NumPy's
array constructors. Here even these names resolve to the small stand-ins below, so a
pickle can reach nothing of NumPy or of any other library. Before a pickle runs, its
instructions
are checked: only those that such a dict needs are allowed, not many more than it has
images, and no memo index far from the others.
"""

import io
import pickle
import pickletools
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
    """Stands in for ``numpy.dtype("u1")``, the only type allowed."""

    def __setstate__(self, state: tuple) -> None:
        """Takes byte order and alignment, which a byte does not have."""


# A pickle may set attributes of whatever it names. These objects have none to set.
class _Reconstruct:
    __slots__ = ()

    def __call__(self, *_: Any) -> _Array:
        return _Array()


class _Dtype:
    __slots__ = ()

    def __call__(self, name: str | bytes, *_: Any) -> _Uint8:
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError("an array of another type than uint8")
        return _Uint8()


class _Encode:
    """Decodes bytes as Python 3 writes them in pickles of protocol 2."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str | bytes) -> bytes:
        if encoding not in ("latin1", b"latin1"):
            raise pickle.UnpicklingError("an unknown encoding")
        return text.encode("latin1")


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype(),
    ("_codecs", "encode"): _Encode(),
}

# The instructions of `pickletools` for dicts, lists, tuples, bytes, text and numbers in
# protocol 2, and those that create NumPy's arrays.
_INSTRUCTIONS = """
    PROTO STOP MARK EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS EMPTY_TUPLE
    TUPLE TUPLE1 TUPLE2 TUPLE3 NONE NEWTRUE NEWFALSE BININT BININT1 BININT2
    SHORT_BINSTRING BINSTRING BINUNICODE SHORT_BINBYTES BINBYTES
    BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL REDUCE BUILD
""".split()  # noqa: SIM905  a list of them would be as many lines


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
    """The arrays; a UserError unless each pickle contains only the published dict."""
    images, labels = [], []
    for name in members(spec):
        batch = _load(name, contents[name], spec)
        data, classes = batch.get(b"data"), batch.get(b"labels")
        count = spec.rows * spec.image_bytes
        if not isinstance(data, _Array) or len(data.raw) != count:
            raise UserError(f"{name} in it has no array of {spec.rows} images")
        labels.append(_labels(name, classes, spec))
        planes = np.frombuffer(data.raw, np.uint8).reshape(spec.rows, -1)
        images.append(images_from_planes(planes, spec))
    return split_arrays(images, labels)


def _check(content: bytes, spec: Spec) -> None:
    """Raises an error unless the pickle is a dict of the expected number of images."""
    most = 16 * spec.rows + 1000
    for count, (instruction, argument, _) in enumerate(pickletools.genops(content)):
        if instruction.name not in _INSTRUCTIONS:
            raise pickle.UnpicklingError(f"an instruction {instruction.name}")
        if count >= most:
            raise pickle.UnpicklingError("too many instructions")
        # The unpickler would allocate memory for all smaller indices.
        if "BINPUT" in instruction.name and int(argument or 0) > count:
            raise pickle.UnpicklingError(f"a place numbered {argument}")


def _load(name: str, content: bytes, spec: Spec) -> dict:
    try:
        _check(content, spec)
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except UserError:
        raise
    # A damaged pickle may raise anything, because it is a program.
    except Exception as error:
        raise UserError(f"{name} in it is a damaged pickle ({error})") from error
    if not isinstance(batch, dict):
        raise UserError(f"{name} in it is not a dict")
    return batch


def _labels(name: str, classes: object, spec: Spec) -> np.ndarray:
    if (
        not isinstance(classes, list)
        or len(classes) != spec.rows
        or not all(isinstance(label, int) and 0 <= label < 256 for label in classes)
    ):
        raise UserError(f"{name} in it has no list of {spec.rows} labels")
    return np.array(classes, np.uint8)


KIND = Kind("cifar-10-python.tar.gz", members, decode, 170_498_071)
