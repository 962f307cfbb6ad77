"""The files that a Debian package installs: a ``.tar.xz`` in an ``ar`` archive."""

import lzma
import os
from typing import BinaryIO

from normlab.errors import UserError

_MAGIC = b"!<arch>\n"
# A header of ar has 60 bytes: a name of 16, numbers, and the size from byte 48 to 58.
_HEADER, _NAME, _SIZE = 60, slice(0, 16), slice(48, 58)
# The published packages have three files.
_MOST_FILES = 10


def is_package(file: BinaryIO) -> bool:
    """Whether the file is a Debian package. Its position is at the start again."""
    begins = file.read(len(_MAGIC)) == _MAGIC
    file.seek(0)
    return begins


def data(file: BinaryIO) -> lzma.LZMAFile:
    """The uncompressed tar of the files that the package installs.

    Raises:
      UserError: there is none in it.
    """
    file.seek(len(_MAGIC))
    for _ in range(_MOST_FILES):
        header = file.read(_HEADER)
        digits = header[_SIZE].strip()
        if len(header) < _HEADER or not digits.isdigit():
            break
        if header[_NAME].strip().rstrip(b"/") == b"data.tar.xz":
            return lzma.open(file)
        size = int(digits)
        file.seek(size + size % 2, os.SEEK_CUR)
    raise UserError("it is a Debian package without data.tar.xz, or is truncated")
