"""Reads chosen members of a ``.tar.gz`` or ``.deb`` into memory; writes nothing."""

import gzip
import io
import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from normlab.data.archives import debian
from normlab.data.archives.kind import NoArchive
from normlab.data.spec import Spec
from normlab.errors import UserError

# What the libraries raise. The last two come from a header with odd numbers, or from
# very many headers before a member.
_CUT_OR_ALTERED = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    ValueError,
    OverflowError,
    RecursionError,
)


class _Capped(io.RawIOBase):
    """A stream that raises UserError after more than ``limit`` bytes."""

    def __init__(self, stream: lzma.LZMAFile | gzip.GzipFile, limit: int):
        self._stream, self._left = stream, limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UserError("it unpacks to far more than the published archive")
        return data


def read_members(path: Path, wanted: frozenset[str], spec: Spec) -> dict[str, bytes]:
    """The contents of the wanted members that exist.

    A Debian package counts as the archive of the files that it installs. The archive is
    read once and to its end, so the checksum of all of it is checked.

    Raises:
      UserError: the file does not exist or is not a gzip file, it is truncated or
        altered, or any of its members, wanted or not, does not belong in a data
        archive.
    """
    if not path.exists():
        raise NoArchive("there is no such file")
    if not path.is_file():
        raise NoArchive("it is neither a file nor a folder")
    try:
        file = path.open("rb")
    except OSError as error:
        raise NoArchive(f"it cannot be read ({error.strerror})") from error
    with file:
        try:
            with _unzipped(file) as unzipped:
                return _read(_Capped(unzipped, spec.all_files), wanted, spec)
        except UserError:
            raise
        except _CUT_OR_ALTERED as error:
            raise UserError(f"it is truncated or altered ({error})") from error


def _unzipped(file: BinaryIO) -> lzma.LZMAFile | gzip.GzipFile:
    """The tar in a gzip file or in a Debian package."""
    return debian.data(file) if debian.is_package(file) else gzip.GzipFile(fileobj=file)


def _read(stream: _Capped, wanted: frozenset[str], spec: Spec) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    # "r|" only reads forward, without seeking, so the cap sees every byte.
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            _check(member, spec)
            name = member.name.removeprefix("./")
            if name in contents:
                raise UserError(f"{name} is in it twice")
            if name in wanted:
                contents[name] = _content(archive, member)
    while stream.read(1 << 20):  # to the end, where gzip keeps its checksum
        pass
    return contents


def _check(member: tarfile.TarInfo, spec: Spec) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"the path of its member {member.name!r} leads out of it")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise UserError(f"its member {member.name!r} is not a regular file")
    if member.size > (most := spec.largest_file):
        raise UserError(
            f"its member {member.name!r} is far too large: it has {member.size} bytes, "
            f"and none has more than {most}"
        )


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        raise UserError(f"its member {member.name!r} is not a regular file")
    content = file.read()
    if len(content) != member.size:
        raise UserError(f"its member {member.name!r} is truncated")
    return content
