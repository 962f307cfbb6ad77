"""Parquet files that are read exactly as they were written, or not at all."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from normlab.errors import UserError, one_line
from normlab.store.layout import replacing

_DIGEST = b"normlab.sha256"


def write_table(
    path: Path, table: pa.Table, notes: Mapping[bytes, bytes] | None = None
) -> None:
    """Writes a table, completely or not at all, with a digest of its contents.

    Parquet's pages have checksums, but the footer that describes them has none.

    Args:
      notes: metadata to write with the table.

    Raises:
      UserError: the disk is full, or the folder cannot be written.
    """
    metadata = {**(notes or {}), _DIGEST: _digest(table)}
    with replacing(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(metadata),
            temporary,
            compression="zstd",
            write_page_checksum=True,
        )


def read_table(path: Path, again: str, columns: list[str] | None = None) -> pa.Table:
    """The table that `write_table` wrote. One from before digests is not checked.

    Args:
      again: what to do if it is damaged, for the message.
      columns: the columns to read, without checking the digest; None reads all.

    Raises:
      UserError: the file is damaged.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(columns)
        wanted = (table.schema.metadata or {}).get(_DIGEST)
        if wanted is not None and columns is None and _digest(table) != wanted:
            raise OSError("its digest differs")
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = one_line(error)
        raise UserError(f"{path} is damaged ({reason}); {again}") from error
    return table


def _digest(table: pa.Table) -> bytes:
    """sha256 of all columns, with their names, types and nulls; in hex."""
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(json.dumps([name, str(column.type), len(column)]).encode())
        digest.update(np.packbits(np.asarray(column.is_valid())).data)
        for values in _numbers(column.drop_null(), digest):
            digest.update(np.ascontiguousarray(values.to_numpy()).data)
    return digest.hexdigest().encode()


def _numbers(column: pa.ChunkedArray, digest: Any) -> list[pa.Array]:
    """The column's chunks as numbers. Text becomes indices into a list of its words."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.chunks
    chunks = column.dictionary_encode().chunks
    words = chunks[0].dictionary.to_pylist() if chunks else []
    digest.update(json.dumps(words, default=str).encode())
    return [chunk.indices for chunk in chunks]


def made_again(cell: Path) -> str:
    """What to do if a part of a cell is lost: parts cannot be made one by one."""
    return f"remove {cell}, and the same command computes the cell again"
