"""Payments of a window that an earlier delivery had and the one that was sent again lacks."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from sources import text
from sources.declaration import Source, Version
from sources.manifest import Manifest, RawObject, named
from sources.money import as_text
from sources.registry import find
from sources.rules import columns_of
from sources.store import explained

_NAMED: Final = 5
"""Rows that a sentence names."""


def not_sent_again(s3: Any, bucket: str, manifest: Manifest) -> str | None:
    """Count the payments of earlier deliveries of a window that its manifest lacks, or None.

    Payments are compared by the columns of their identifier, in objects that are not in both. Rows
    are named by object and position. A source without identifiers is not compared.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    import pyarrow as pa

    source = find(manifest.source)
    if source is None or manifest.sequence == 1:
        return None
    keys = [manifest.key_of(number) for number in range(1, manifest.sequence)]
    before = {item.key: item for key in keys for item in named(s3, bucket, key).objects}
    now = {item.key: item for item in manifest.objects}
    gone, new = (
        [_payments(s3, bucket, source, item) for key, item in a.items() if key not in b]
        for a, b in ((before, now), (now, before))
    )
    tables = [table for table in gone if table is not None]
    if not tables:
        return None
    # The first delivery of a payment names it.
    numbered = (
        table.append_column("number", pa.array([number] * table.num_rows, pa.int64()))
        for number, table in enumerate(tables)
    )
    rows = pa.concat_tables(numbered)
    for table in new:
        if table is not None:
            rows = rows.join(table.select(["payment"]), "payment", join_type="left anti")
    rows = rows.sort_by([("number", "ascending"), ("position", "ascending")])
    return _sentence(
        rows.group_by("payment", use_threads=False).aggregate(
            [("object", "first"), ("position", "first")]
        )
    )


def _sentence(payments: Any) -> str | None:
    count = payments.num_rows
    if count == 0:
        return None
    places = ", ".join(
        f"row {row['position_first']} of {row['object_first']}"
        for row in payments.slice(0, _NAMED).to_pylist()
    )
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    return (
        f"{count} of the payments of earlier deliveries are not sent again, and stay in Processed:"
        f" {places}{more}"
    )


def _payments(s3: Any, bucket: str, source: Source, item: RawObject) -> Any:
    """Return the payments of an object by identifier, object and position; None without any."""
    import pyarrow as pa
    from pyarrow import compute as pc

    version = source.version(item.schema_version)
    columns = sorted(columns_of(version.mapping["event_id"])) if version else []
    if version is None or item.problem or not columns:
        return None
    with tempfile.TemporaryDirectory() as folder, explained(bucket):
        path = Path(folder) / f"object.{item.key.rpartition('.')[2]}"
        with path.open("wb") as body:
            s3.download_fileobj(bucket, item.key, body)
        table = _read(path, source, version, columns)
    parts = [pc.utf8_trim_whitespace(as_text(table[name])) for name in columns]
    payment = pc.binary_join_element_wise(*parts, "\x1f")
    rows = pa.table({"payment": payment, "position": table["raw_position"]})
    rows = rows.filter(pc.is_valid(payment))
    return rows.append_column("object", pa.array([item.key] * rows.num_rows, pa.string()))


def _read(path: Path, source: Source, version: Version, columns: Iterable[str]) -> Any:
    """Return columns of a file and `raw_position`; a text file has readable rows only."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = list(columns)
    kind = path.suffix.removeprefix(".")
    if kind == "parquet":
        table = pq.read_table(path, columns=wanted)
        return table.append_column("raw_position", pa.array(range(table.num_rows), pa.int64()))
    with path.open("rb") as body:
        rows = text.rows(body, kind, wanted, source.csv)
        table = pa.Table.from_batches(text.batches(rows, wanted))
    return table.filter(table["is_readable"])
