"""Files embedded in the page as ``data:`` URLs, which need no network."""

import base64
import gzip
from typing import NamedTuple

import pandas as pd

# Bytes. Larger files are gzipped; pandas reads gzipped CSV directly. Files above the
# second limit are left out, because they would make the page slow.
_PLAIN, _MOST = 100_000, 1_500_000


class Download(NamedTuple):
    """A file that can be downloaded from the page.

    Attributes:
      name: the name under which it is saved.
      address: a ``data:`` URL, or "" if the file is too large for the page.
      size: the size of the file in words, such as ``12 kB``.
    """

    name: str
    address: str
    size: str


def address(content: bytes, kind: str) -> str:
    """``content`` as a ``data:`` URL with media type ``kind``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def text(name: str, content: str, kind: str = "text/plain") -> Download:
    """A text file, gzipped if it is large."""
    raw = content.encode()
    if len(raw) > _PLAIN:
        # No timestamp, so that equal data give equal pages.
        raw = gzip.compress(raw, mtime=0)
        name, kind = f"{name}.gz", "application/gzip"
    fits = len(raw) <= _MOST
    return Download(name, address(raw, kind) if fits else "", _size(len(raw)))


def csv(name: str, table: pd.DataFrame) -> Download:
    """A table as a CSV file, with seven significant digits."""
    content = table.to_csv(index=False, float_format="%.7g")
    return text(f"{name}.csv", content, "text/csv")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, count // 1000)} kB"
