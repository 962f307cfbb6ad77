"""A table comes back as it was written, and one from before digests as well."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from normlab.errors import UserError
from normlab.store.layout import read_json, write_json
from normlab.store.tables import read_table, write_table

TABLE = pa.concat_tables(
    [
        pa.table(
            {
                "step": pa.array([start, 5], pa.int32()),
                "layer": pa.array([word, "conv ü"]),
                "flag": pa.array([True, None]),
                "loss": pa.array([np.float32("nan"), None], pa.float32()),
                "nothing": pa.array([None, None], pa.float32()),
            }
        )
        for start, word in ((0, "dense"), (7, "conv ü"), (9, None))
    ]
)


def same(found: pa.Table, expected: pa.Table) -> bool:
    schemas = found.schema.equals(expected.schema, check_metadata=False)
    return schemas and str(found.to_pydict()) == str(expected.to_pydict())


def test_round_trip(tmp_path):
    """In chunks or whole: the digest is of the values."""
    for table in (TABLE, TABLE.combine_chunks(), TABLE.slice(0, 0)):
        write_table(tmp_path / "x.parquet", table, {b"note": b"kept"})
        found = read_table(tmp_path / "x.parquet", "again")
        assert same(found, table)
        assert found.schema.metadata[b"note"] == b"kept"
    assert read_table(tmp_path / "x.parquet", "again", ["step"]).num_columns == 1


def test_other_values_under_the_same_digest_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    write_table(path, TABLE)
    stored = pq.read_table(path)
    others = [
        stored.rename_columns(["step", "layer", "flag", "lots", "nothing"]),
        stored.slice(1),
        stored.set_column(0, "step", stored["step"].cast(pa.int64())),
        stored.set_column(4, "nothing", pa.array([0.0] * 6, pa.float32())),
    ]
    for other in others:
        pq.write_table(other.replace_schema_metadata(stored.schema.metadata), path)
        with pytest.raises(
            UserError, match="x.parquet is damaged .its digest.*; again"
        ):
            read_table(path, "again")


def test_what_was_written_before_there_were_digests_is_read(tmp_path):
    pq.write_table(TABLE, tmp_path / "x.parquet")
    assert same(read_table(tmp_path / "x.parquet", "again"), TABLE)
    (tmp_path / "x.json").write_text('{"lr": 0.1}')
    assert read_json(tmp_path / "x.json") == {"lr": 0.1}


def test_a_record_has_a_digest_of_what_it_says(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"lr": (0.1, float("nan")), "names": {"b": 1, "a": None}})
    assert set(json.loads(path.read_text())) == {"lr", "names", "sha256"}
    assert read_json(path)["names"] == {"a": None, "b": 1}
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(UserError, match="x.json is damaged: its digest differs"):
        read_json(path)
