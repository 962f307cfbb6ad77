"""Files inside the page: as ``data:`` addresses, which no network is asked for."""

import base64
import gzip
from typing import NamedTuple

import pandas as pd

# A longer table is gzipped, which pandas reads as it is; beyond the second number it
# would make the page slow, and the run has it anyway.
_PLAIN, _MOST = 100_000, 1_500_000


class Download(NamedTuple):
    """A file that the page offers.

    Attributes:
      name: what it is saved as.
      address: a ``data:`` address, or empty where the file is too long for a page.
      size: of the file, for people.
    """

    name: str
    address: str
    size: str


def address(content: bytes, kind: str) -> str:
    """``content`` as a ``data:`` address of a media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def text(name: str, content: str, kind: str = "text/plain") -> Download:
    """A text as a file."""
    raw = content.encode()
    if len(raw) > _PLAIN:
        # No time of writing: the same numbers give the same page.
        raw = gzip.compress(raw, mtime=0)
        name, kind = f"{name}.gz", "application/gzip"
    fits = len(raw) <= _MOST
    return Download(name, address(raw, kind) if fits else "", _size(len(raw)))


def csv(name: str, table: pd.DataFrame) -> Download:
    """A table as a file, with as many digits as a reader can use."""
    content = table.to_csv(index=False, float_format="%.7g")
    return text(f"{name}.csv", content, "text/csv")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, count // 1000)} kB"
