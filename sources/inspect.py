"""Look into a delivered file: rows, money, columns, or what is wrong with it."""

import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sources.declaration import NUMBER, PhysicalType, Source

_POINTER: Final = b"version https://git-lfs"


@dataclass(frozen=True)
class Finding:
    """What a file holds; `problem` says why it cannot be processed."""

    bytes: int
    sha256: str
    rows: int | None = None
    amount: Decimal | None = None
    columns: dict[str, str] | None = None
    problem: str | None = None


def inspect(path: Path, source: Source) -> Finding:
    """Read a delivered Parquet file once and say what it holds. Never raises on bad content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        start = file.read(len(_POINTER))
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    if start == _POINTER:
        return Finding(size, sha256, problem="holds a Git-LFS pointer instead of the data")
    try:
        # A file cut in its middle keeps no footer, a damaged page shows only when it is read.
        with pq.ParquetFile(path) as file:
            columns: dict[str, str] = {
                field.name: _physical(field.type) for field in file.schema_arrow
            }
            table = file.read([source.amount_column] if source.amount_column in columns else [])
            rows = file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        return Finding(size, sha256, problem=f"cannot be read as Parquet ({_first_line(error)})")
    problem = source.layout_problem(columns) or ("holds no rows" if rows == 0 else None)
    amount = None
    if source.amount_column in columns:
        amount = sum_amounts(table.column(source.amount_column), source.absurd_amount)
    return Finding(size, sha256, rows, amount, columns, problem)


def sum_amounts(values: Any, absurd: Decimal) -> Decimal:
    """Sum money exactly, by the rule of Processed: what it cannot read counts as nothing.

    A value can be read when it is a number in whole cents; above `absurd` doubles are too coarse
    to tell, and count as they are while they fit decimal(18,2).
    """
    cents = 0
    for value in values.to_pylist():
        if not re.match(NUMBER, str(value).strip(" ")):
            continue
        amount = float(value)
        if abs(amount) >= 1e16:
            continue
        nearest = Decimal(repr(amount)).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
        if abs(amount) > absurd or abs(amount * 100 - float(nearest * 100)) < 1e-6:
            cents += int(nearest * 100)
    return Decimal(cents).scaleb(-2)


def _physical(arrow_type: Any) -> PhysicalType:
    from pyarrow import types

    if types.is_string(arrow_type) or types.is_large_string(arrow_type):
        return "string"
    if types.is_float64(arrow_type):
        return "double"
    if types.is_int64(arrow_type):
        return "long"
    if types.is_date32(arrow_type):
        return "date"
    if types.is_decimal(arrow_type):
        return "decimal"
    return "boolean" if types.is_boolean(arrow_type) else "other"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:160]
