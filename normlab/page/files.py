"""The files that a page needs: beside it in a folder, or inside it.

The page of many runs loads fast if images and tables are files of their own, which a
browser reads when they are needed. One file is easier to hand on.
"""

import base64
import gzip
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from normlab.store.layout import replacing

# Bytes. Larger files are gzipped; pandas reads gzipped CSV directly. Inside the page,
# files above the second limit are left out, because they would make the page slow.
_PLAIN, _MOST = 10_000, 1_500_000


class Download(NamedTuple):
    """A file that can be downloaded from the page.

    Attributes:
      name: the name under which it is saved.
      address: an address relative to the page or a ``data:`` URL; "" if the file is too
        large to be inside the page.
      size: the size of the file in words, such as ``12 kB``.
    """

    name: str
    address: str
    size: str


class File(NamedTuple):
    """A file of the page before it has an address.

    Attributes:
      name: its name.
      content: its bytes.
      kind: its media type.
    """

    name: str
    content: bytes
    kind: str


class Inside:
    """Puts files into the page, as ``data:`` URLs."""

    def put(self, file: File, folder: str) -> str:
        """The address of a file. ``folder`` is for files beside the page only."""
        return f"data:{file.kind};base64,{base64.b64encode(file.content).decode()}"

    def fits(self, file: File) -> bool:
        """Whether a download may be in the page."""
        return len(file.content) <= _MOST


class Beside:
    """Writes files into a folder beside the page.

    Args:
      page: the path of the page. Files go to ``<its name without suffix>_files/``.
    """

    def __init__(self, page: Path):
        self._root = page.parent
        self._name = f"{page.stem}_files"

    def put(self, file: File, folder: str) -> str:
        """Writes a file and returns its address, relative to the page.

        Raises:
          Unwritable (a UserError): the file cannot be written.
        """
        address = f"{self._name}/{folder}/{file.name}"
        with replacing(self._root / address) as temporary:
            temporary.write_bytes(file.content)
        return "/".join(_quoted(part) for part in address.split("/"))

    def fits(self, file: File) -> bool:
        """Whether a download may be beside the page: always."""
        return True


Place = Inside | Beside


def _quoted(name: str) -> str:
    """A name in an address. Names of runs may contain ``#`` and spaces."""
    return "".join(
        c if c.isalnum() and c.isascii() or c in "-_." else _percent(c) for c in name
    )


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def text(name: str, content: str, kind: str = "text/plain") -> File:
    """A text file, gzipped if it is large."""
    raw = content.encode()
    if len(raw) <= _PLAIN:
        return File(name, raw, kind)
    # No timestamp, so that equal data give equal pages.
    return File(f"{name}.gz", gzip.compress(raw, mtime=0), "application/gzip")


def csv(name: str, table: pd.DataFrame) -> File:
    """A table as a CSV file, with seven significant digits."""
    return text(
        f"{name}.csv", table.to_csv(index=False, float_format="%.7g"), "text/csv"
    )


def download(file: File, place: Place, folder: str) -> Download:
    """The file as something to download from the page."""
    address = place.put(file, folder) if place.fits(file) else ""
    return Download(file.name, address, _size(len(file.content)))


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, count // 1000)} kB"
