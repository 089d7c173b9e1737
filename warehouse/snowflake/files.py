"""Rows → Parquet files → a stage of Snowflake → a table."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.render import to_snowflake
from contracts.tables import Table
from warehouse import partition_exchange
from warehouse.snowflake.session import Session

if TYPE_CHECKING:
    import pyarrow as pa

STAGE: Final = f"{partition_exchange.SCHEMA}.loads"
"""The internal stage of the files; COPY removes the files that it has read."""

_FILE_BYTES: Final = 256 * 2**20
"""Arrow bytes of a file: about 100 MB of Parquet, which Snowflake recommends for parallel loads."""


def fill(session: Session, table: Table, name: str, rows: pa.RecordBatchReader) -> None:
    """Copy rows into a new table with these columns, which replaces a table of the same name."""
    session.run(f"create or replace transient table {name} ({to_snowflake.columns(table)})")
    # A separate folder, so that a load never reads the files of a killed load.
    where = f"@{STAGE}/{name.partition('.')[2]}/{secrets.token_hex(4)}/"
    put = 0
    with tempfile.TemporaryDirectory(prefix="tollgate-load-") as folder:
        for file in _written(rows, Path(folder)):
            session.run(f"put 'file://{file}' {where} auto_compress=false")
            file.unlink()
            put += 1
    if put:
        session.run(
            f"copy into {name} from {where}"
            " file_format = (type = parquet use_logical_type = true)"
            " match_by_column_name = case_insensitive purge = true"
        )


def _written(rows: pa.RecordBatchReader, folder: Path) -> Iterator[Path]:
    """Yield Parquet files with the rows, in order."""
    import pyarrow.parquet as pq

    batches = iter(rows)
    batch = next(batches, None)
    number = 0
    while batch is not None:
        file = folder / f"{number}.parquet"
        with pq.ParquetWriter(file, rows.schema, compression="zstd") as writer:
            size = 0
            while batch is not None and size < _FILE_BYTES:
                writer.write_batch(batch)
                size += batch.nbytes
                batch = next(batches, None)
        yield file
        number += 1
