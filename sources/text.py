"""Read delivered text, a line a row: CSV, JSON lines, a JSON array. Values stay as written.

Landing counts with this code and Spark's workers read with it, so that both see the same rows. It
imports no module of the project and travels to the workers by value.

A row's position is its line, counted from 0 after a header; blank lines are no rows. A field does
not span lines: a row that was cut, or a stray quote, then spoils its own line and no other. Where
a source declares quoted line breaks (RFC 4180), records are counted instead of lines.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

BATCH_ROWS = 20_000


@dataclass(frozen=True)
class Row:
    """A row; `values` are those of the columns asked for, None where there is none.

    One that is not readable has not as many fields as its header, is no JSON object, or is not in
    UTF-8. Of a row with too few fields those before its last are kept: the last may be cut.
    """

    position: int
    is_readable: bool
    values: list[str | None]


def columns(
    body: BinaryIO, kind: str, delimiter: str = ",", quoted_line_breaks: bool = False
) -> list[str]:
    """Return the names of a file's columns, in order.

    Raises:
        ValueError: saying what is wrong with the file as a whole.
    """
    if kind == "csv":
        return _header(_records(body, delimiter, quoted_line_breaks), delimiter)
    objects = _array(body) if kind == "json" else _objects(enumerate(body))
    names = list(dict.fromkeys(name for _, values in objects for name in values or ()))
    if not names:
        raise ValueError("no line of it is a JSON object")
    return names


def rows(
    body: BinaryIO,
    kind: str,
    wanted: Sequence[str],
    delimiter: str = ",",
    quoted_line_breaks: bool = False,
) -> Iterator[Row]:
    """Yield each row of a file with its values of the columns `wanted`.

    Raises:
        ValueError: as `columns` does.
    """
    if kind == "csv":
        records = _records(body, delimiter, quoted_line_breaks)
        header = _header(records, delimiter)
        yield from line_rows(enumerate(records), kind, wanted, delimiter, header)
    elif kind == "json":
        yield from _json_rows(_array(body), wanted)
    else:
        yield from line_rows(enumerate(body), kind, wanted)


def line_rows(
    lines: Iterable[tuple[int, bytes]],
    kind: str,
    wanted: Sequence[str],
    delimiter: str = ",",
    header: Sequence[str] = (),
) -> Iterator[Row]:
    """Yield the rows of lines that come with their positions; a CSV file's have its `header`.

    A line keeps its line end: only the last one of a file may have none.
    """
    if kind == "csv":
        yield from _csv_rows(lines, wanted, delimiter, header)
    else:
        yield from _json_rows(_objects(lines), wanted)


def batches(rows: Iterable[Row], wanted: Sequence[str]) -> Iterator[Any]:
    """Yield rows as Arrow batches: raw_position, is_readable, and the columns `wanted` as text."""
    import pyarrow as pa

    schema = pa.schema(
        [("raw_position", pa.int64()), ("is_readable", pa.bool_())]
        + [(name, pa.string()) for name in wanted]
    )
    pending: list[Row] = []

    def packed() -> Any:
        values = zip(*(row.values for row in pending), strict=True)
        arrays = [
            pa.array([row.position for row in pending], pa.int64()),
            pa.array([row.is_readable for row in pending], pa.bool_()),
            *(pa.array(one, pa.string()) for one in values),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    for row in rows:
        pending.append(row)
        if len(pending) == BATCH_ROWS:
            yield packed()
            pending.clear()
    if pending:
        yield packed()


def _records(body: BinaryIO, delimiter: str, quoted_line_breaks: bool) -> Iterator[bytes]:
    """Return the records of a CSV file: its lines, unless a quoted field may span them."""
    return _joined(body, delimiter) if quoted_line_breaks else iter(body)


def _joined(lines: Iterable[bytes], delimiter: str) -> Iterator[bytes]:
    """Yield records, each a line or the lines that a quoted field spans.

    A record has an even number of quotes, so a line with an odd number opens a field that the next
    such line closes. If these lines are no record together, a quote is stray or a field was cut:
    each line is then a record by itself, except the last, which may open a field. So no line is
    lost, and damage spoils no record after it.
    """
    pending: list[bytes] = []
    for line in lines:
        is_odd = line.count(b'"') % 2 == 1
        if not pending and not is_odd:
            yield line
            continue
        pending.append(line)
        if is_odd and len(pending) > 1:
            record = b"".join(pending)
            if _fields(record.decode("utf-8-sig", errors="replace"), delimiter) is not None:
                yield record
                pending = []
            else:
                yield from pending[:-1]
                pending = [line]
    yield from pending


def _header(records: Iterator[bytes], delimiter: str) -> list[str]:
    """Take the first record of a CSV file and return the names in it."""
    first = next(records, b"")
    try:
        names = _fields(first.decode("utf-8-sig"), delimiter)
    except UnicodeDecodeError as error:
        raise ValueError("its first line is not UTF-8 text") from error
    if names is None or not first.strip():
        raise ValueError("its first line is no header")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"its header has two columns called {twice[0] or '(nothing)'}")
    return names


def _fields(line: str, delimiter: str) -> list[str] | None:
    """Return the fields of a line; None when a quote in it is not closed where it should be."""
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None


def _csv_rows(
    lines: Iterable[tuple[int, bytes]], wanted: Sequence[str], delimiter: str, header: Sequence[str]
) -> Iterator[Row]:
    width, places = len(header), [header.index(n) if n in header else None for n in wanted]
    for position, line in lines:
        try:
            text, is_text = line.decode(), True
        except UnicodeDecodeError:
            text, is_text = line.decode(errors="replace"), False
        if not text.strip():
            continue
        fields = _fields(text, delimiter)
        # A file may end without a line end; one that also ends without a value was cut there.
        is_cut = not text.endswith("\n") and fields is not None and fields[-1] == ""
        if fields is None or len(fields) > width:
            yield Row(position, False, [None] * len(places))
        elif len(fields) < width or is_cut:
            kept = [*fields[:-1], *[None] * (width - len(fields) + 1)]
            yield Row(position, False, [_at(kept, place) for place in places])
        else:
            yield Row(position, is_text, [_at(fields, place) for place in places])


def _at(fields: Sequence[str | None], place: int | None) -> str | None:
    return None if place is None else fields[place]


def _json_rows(
    objects: Iterable[tuple[int, dict[str, str | None] | None]], wanted: Sequence[str]
) -> Iterator[Row]:
    for position, values in objects:
        yield Row(position, values is not None, [(values or {}).get(name) for name in wanted])


def _array(body: BinaryIO) -> Iterator[tuple[int, dict[str, str | None] | None]]:
    """Yield position and values of each object of a JSON array; None for what is no object."""
    try:
        array = _parsed(body.read())
    except ValueError as error:
        raise ValueError("it is not one whole JSON array in UTF-8") from error
    if not isinstance(array, list):
        raise ValueError("it is not a JSON array")
    for position, one in enumerate(array):
        yield position, _flat(one) if isinstance(one, dict) else None


def _objects(
    lines: Iterable[tuple[int, bytes]],
) -> Iterator[tuple[int, dict[str, str | None] | None]]:
    """Yield position and values of each line's JSON object; None for a line that is none."""
    for position, line in lines:
        if not line.strip():
            continue
        try:
            one = _parsed(line)
        except ValueError:
            one = None
        yield position, _flat(one) if isinstance(one, dict) else None


def _parsed(text: bytes) -> Any:
    return json.loads(text.decode("utf-8-sig"), parse_float=str, parse_int=str, parse_constant=str)


def _flat(value: dict[str, Any], before: str = "") -> dict[str, str | None]:
    """Return the values of an object as text; those of an inner one are called `outer.inner`."""
    flat: dict[str, str | None] = {}
    for name, one in value.items():
        if isinstance(one, dict):
            flat |= _flat(one, f"{before}{name}.")
        elif one is None or isinstance(one, str):
            flat[before + name] = one
        else:
            flat[before + name] = json.dumps(one)
    return flat
