"""Inspection of a delivered file: rows, money, columns, or the problem with it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contracts.printable import printable
from contracts.values import canonical
from sources import text
from sources.currencies import ISO_4217, UNKNOWN_CURRENCY, minor_unit_digits
from sources.declaration import Source, Version
from sources.event_dates import days_of
from sources.manifest import RawObject
from sources.money import as_text, in_units, read_amounts
from sources.parquet_types import name_of
from sources.rules import Coded, Constant, Rule, Take, columns_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW_LINES: Final = 20
"""Lines that are not UTF-8 in a sound file, at most: these are damaged, more are an encoding."""
_POINTER: Final = b"version https://git-lfs"


@dataclass(frozen=True)
class Finding:
    """Content of a file; `problem` is the reason why it cannot be processed.

    Rows and money are counted by currency, under XXX if the currency is unknown. `days` counts the
    rows of a whole file by their dates, where they are understood (`sources/event_dates.py`).
    """

    bytes: int
    sha256: str
    rows: int | None = None
    version: int | None = None
    row_counts: dict[str, int] = field(default_factory=dict)
    amounts: dict[str, Decimal] = field(default_factory=dict)
    columns: dict[str, str] | None = None
    days: Mapping[date, int] = field(default_factory=dict)
    problem: str | None = None

    def landed_as(self, key: str, name: str, landed_at: datetime) -> RawObject:
        """Return the object of Raw with this content."""
        return RawObject(
            key=key,
            name=name,
            bytes=self.bytes,
            sha256=self.sha256,
            landed_at=landed_at,
            schema_version=self.version,
            rows=self.rows,
            row_counts=self.row_counts,
            amounts=self.amounts,
            columns=self.columns,
            problem=self.problem,
        )


def inspect(path: Path, source: Source, *, may_be_empty: bool = False) -> Finding:
    """Read a delivered file once and return its content. Never raises on bad content.

    A file without rows, or without a byte, is no problem if it `may_be_empty`.
    """
    import pyarrow as pa

    with path.open("rb") as file:
        start = file.read(len(_POINTER))
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    if start == _POINTER:
        return Finding(size, sha256, problem="holds a Git-LFS pointer instead of the data")
    if size == 0 and may_be_empty:
        return Finding(size, sha256, rows=0)
    kind = path.suffix.lower().removeprefix(".")
    if source.reads_whole(kind) and size > text.LARGEST_WHOLE:
        return Finding(size, sha256, problem=_too_large(kind, size))
    read = _read_parquet if kind == "parquet" else _read_text
    try:
        columns, version, rows, table = read(path, source)
    except (pa.ArrowException, OSError, ValueError) as error:
        name = {"parquet": "Parquet", "csv": "CSV"}.get(kind, "JSON")
        return Finding(size, sha256, problem=f"cannot be read as {name} ({_first_line(error)})")
    empty = "holds no rows" if rows == 0 and not may_be_empty else None
    problem = source.layout_problem(columns) or empty
    if version is None:
        return Finding(size, sha256, rows, columns=columns, problem=problem)
    row_counts, amounts = _by_currency(source, version, table, rows)
    days: Mapping[date, int] = {}
    if source.delivers == "whole" and rows and problem is None:
        days = days_of(version.mapping["event_at"], table)
    return Finding(size, sha256, rows, version.number, row_counts, amounts, columns, days, problem)


def inspect_messages(body: bytes, source: Source) -> Finding:
    """Count the lines of JSON of an object that holds messages of a stream.

    A stream has the newest layout of its source. Lines that are no JSON object are counted too.
    """
    import pyarrow as pa

    version = source.versions[-1]
    wanted = _columns_to_count(source, version)
    read = list(text.batches(text.rows(BytesIO(body), "jsonl", wanted), wanted))
    rows = sum(batch.num_rows for batch in read)
    row_counts, amounts = _by_currency(source, version, pa.Table.from_batches(read), rows)
    return Finding(
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        rows=rows,
        version=version.number,
        row_counts=row_counts,
        amounts=amounts,
        columns=dict.fromkeys((column.name for column in version.layout), "string"),
    )


def inspect_labels(path: Path, layout: Version) -> Finding:
    """Read a file of labels once and return its content. Never raises on bad content."""
    size = path.stat().st_size
    with path.open("rb") as body:
        sha256 = hashlib.file_digest(body, "sha256").hexdigest()
        if size == 0:
            return Finding(size, sha256, rows=0)
        if size > text.LARGEST_WHOLE:
            limit = f"{text.LARGEST_WHOLE / 2**20:g} MiB"
            return Finding(size, sha256, problem=f"is above {limit}, which one task can read")
        try:
            body.seek(0)
            columns = dict.fromkeys(text.columns(body, "jsonl"), "string")
            body.seek(0)
            rows = sum(1 for _ in text.rows(body, "jsonl", ()))
        except ValueError as error:
            return Finding(size, sha256, problem=f"cannot be read as JSON ({_first_line(error)})")
    problem = layout.problem(columns)
    return Finding(size, sha256, rows, layout.number, columns=columns, problem=problem)


def _too_large(kind: str, size: int) -> str:
    what = "a JSON array" if kind == "json" else "CSV with quoted line breaks"
    return (
        f"has {size / 2**20:.1f} MiB, and one task reads {what} whole, up to"
        f" {text.LARGEST_WHOLE / 2**20:g} MiB: deliver {'JSON lines' if kind == 'json' else 'rows'}"
        f"{'' if kind == 'json' else ' that span no lines'}, or smaller files"
    )


def _columns_to_count(source: Source, version: Version | None) -> list[str]:
    """Return the columns of money and, for a whole file, those of the time."""
    if version is None:
        return []
    rules: list[Rule] = [version.currency]
    if source.delivers == "whole":
        rules.append(version.mapping["event_at"])
    return list(dict.fromkeys([version.amount_column, *(n for r in rules for n in columns_of(r))]))


def _read_parquet(path: Path, source: Source) -> tuple[dict[str, str], Version | None, int, Any]:
    """Return columns, version, rows, and the columns that are counted of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A truncated file has no footer; a damaged page is detected only when it is read.
    with pq.ParquetFile(path) as file:
        leaves = (file.schema.column(place) for place in range(len(file.schema)))
        stored_as = {leaf.path: leaf.physical_type for leaf in leaves}
        columns = {
            one.name: name_of(one.type, stored_as.get(one.name, "")) for one in file.schema_arrow
        }
        version = source.version_of(columns)
        _check_names(file.schema_arrow.names, version)
        wanted = _columns_to_count(source, version)
        table = file.read([name for name in wanted if name in columns])
        table = pa.table({name: _as_written(table[name]) for name in table.column_names})
        return columns, version, file.metadata.num_rows, table


def _read_text(path: Path, source: Source) -> tuple[dict[str, str], Version | None, int, Any]:
    """Return columns, version, rows, and the columns that are counted of a text file."""
    import pyarrow as pa

    kind = path.suffix.lower().removeprefix(".")
    with path.open("rb") as body:
        columns = dict.fromkeys(text.columns(body, kind, source.csv), "string")
        version = source.version_of(columns)
        wanted = _columns_to_count(source, version)
        body.seek(0)
        read = list(text.batches(text.rows(body, kind, wanted, source.csv), wanted))
        rows = sum(batch.num_rows for batch in read)
        unreadable = rows - sum(batch["is_readable"].true_count for batch in read)
        most = source.ranges.quarantined_share * rows
        if unreadable > most:
            body.seek(0)
            encoding = source.csv.encoding if kind == "csv" else "utf-8"
            count, first = text.undecodable(body, encoding)
            if count > max(most, _FEW_LINES):
                raise ValueError(
                    f"{count} of its lines, the first of them line {first}, are not"
                    f" {encoding.upper()} text: write it as UTF-8"
                    f"{', or declare its encoding' if kind == 'csv' else ''}"
                )
    return columns, version, rows, pa.Table.from_batches(read) if read else None


def _by_currency(
    source: Source, version: Version, table: Any, rows: int
) -> tuple[dict[str, int], dict[str, Decimal]]:
    """Count rows and sum money by currency."""
    import pyarrow as pa
    from pyarrow import compute

    if rows == 0:
        return {}, {}
    codes, places = _currencies(table, version.currency, rows)
    digits = np.array([minor_unit_digits(code) for code in codes])[places]
    values = in_units(table.column(version.amount_column), source.numbers, digits)
    decimals = [source.decimals_in(code) for code in codes]
    amounts = read_amounts(values, np.array(decimals)[places])
    if source.negative_amounts == "refund":
        amounts = compute.abs(amounts)
    counts = np.bincount(places, minlength=len(codes))
    sums = [compute.sum(amounts.filter(pa.array(places == place))) for place in range(len(codes))]
    return (
        {code: int(count) for code, count in zip(codes, counts, strict=True)},
        {
            code: one.as_py().quantize(Decimal(1).scaleb(-digits))
            for code, one, digits in zip(codes, sums, decimals, strict=True)
        },
    )


def _currencies(
    table: Any, rule: Constant | Take | Coded, rows: int
) -> "tuple[list[str], NDArray[np.int64]]":
    """Return the distinct currencies, and for each row the index of its currency."""
    if isinstance(rule, Constant):
        return [str(rule.value)], np.zeros(rows, dtype=np.int64)
    if rule.column in table.column_names:
        values = as_text(table.column(rule.column)).to_pylist()
    else:
        values = [None] * rows
    code_of = {value: _currency(value, rule) for value in set(values)}
    codes = sorted(set(code_of.values()))
    places = {value: codes.index(code) for value, code in code_of.items()}
    return codes, np.array([places[value] for value in values], dtype=np.int64)


def _currency(written: str | None, rule: Take | Coded) -> str:
    """Return the currency that a value of a file stands for; XXX for an unknown one."""
    code: str | None = canonical(written or "")
    if isinstance(rule, Coded):
        codes = {name.lower(): meaning for name, meaning in rule.codes.items()}
        code = codes.get(code.lower(), code) if code else rule.missing
    code = (code or "").upper()
    return code if code in ISO_4217 else UNKNOWN_CURRENCY


def _as_written(column: Any) -> Any:
    """Return floats of 32 bits as the numbers that were written, as doubles."""
    import pyarrow as pa

    if not pa.types.is_float32(column.type):
        return column
    written = column.to_numpy().astype(str).astype(float)
    return pa.chunked_array([pa.array(written, from_pandas=True)])


def _check_names(names: Sequence[str], version: Version | None) -> None:
    """Refuse columns that Spark cannot tell apart.

    Raises:
        ValueError: naming two of them.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"it has two columns called {twice[0]}")
    for one in version.layout if version else ():
        alike = [name for name in names if name.lower() == one.name.lower()]
        if len(alike) > 1:
            raise ValueError(f"its columns {' and '.join(alike)} differ in case only: rename one")


def _first_line(error: Exception) -> str:
    return printable(str(error).splitlines()[0][:160])
