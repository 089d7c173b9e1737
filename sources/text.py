"""Read delivered text, a line a row: CSV, JSON lines, a JSON array. Values stay as written.

Landing counts with this code and Spark's workers read with it, so that both see the same rows. It
imports nothing of ours and travels to the workers by value.

A row's position is its line, counted from 0 after a header; blank lines are no rows. A field does
not span lines: a row that was cut, or a stray quote, then spoils its own line and no other.
"""

import csv
import json
from collections.abc import Iterator, Sequence
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


def columns(body: BinaryIO, kind: str, delimiter: str = ",") -> list[str]:
    """Return the names of a file's columns, in order.

    Raises:
        ValueError: saying what is wrong with the file as a whole.
    """
    if kind == "csv":
        line = body.readline()
        try:
            names = _fields(line.decode("utf-8-sig"), delimiter)
        except UnicodeDecodeError as error:
            raise ValueError("its first line is not UTF-8 text") from error
        if names is None or not line.strip():
            raise ValueError("its first line is no header")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"its header has two columns called {twice[0] or '(nothing)'}")
        return names
    names = list(dict.fromkeys(name for _, found in _objects(body, kind) for name in found or ()))
    if not names:
        raise ValueError("no line of it is a JSON object")
    return names


def rows(body: BinaryIO, kind: str, wanted: Sequence[str], delimiter: str = ",") -> Iterator[Row]:
    """Yield each row with its values of the columns `wanted`.

    Raises:
        ValueError: as `columns` does.
    """
    if kind == "csv":
        yield from _csv_rows(body, wanted, delimiter)
        return
    for position, found in _objects(body, kind):
        values = [None if found is None else found.get(name) for name in wanted]
        yield Row(position, found is not None, values)


def batches(
    body: BinaryIO, kind: str, wanted: Sequence[str], delimiter: str = ","
) -> Iterator[Any]:
    """Yield rows as Arrow batches: raw_position, is_readable, and the columns `wanted` as text.

    Raises:
        ValueError: as `columns` does.
    """
    import pyarrow as pa

    schema = pa.schema(
        [("raw_position", pa.int64()), ("is_readable", pa.bool_())]
        + [(name, pa.string()) for name in wanted]
    )
    held: list[Row] = []

    def packed() -> Any:
        values = zip(*(row.values for row in held), strict=True)
        arrays = [
            pa.array([row.position for row in held], pa.int64()),
            pa.array([row.is_readable for row in held], pa.bool_()),
            *(pa.array(one, pa.string()) for one in values),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    for row in rows(body, kind, wanted, delimiter):
        held.append(row)
        if len(held) == BATCH_ROWS:
            yield packed()
            held.clear()
    if held:
        yield packed()


def _fields(line: str, delimiter: str) -> list[str] | None:
    """Return the fields of a line; None when a quote in it is not closed where it should be."""
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None


def _csv_rows(body: BinaryIO, wanted: Sequence[str], delimiter: str) -> Iterator[Row]:
    header = columns(body, "csv", delimiter)
    width, places = len(header), [header.index(n) if n in header else None for n in wanted]
    for position, line in enumerate(body):
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


def _objects(body: BinaryIO, kind: str) -> Iterator[tuple[int, dict[str, str | None] | None]]:
    """Yield position and values of each JSON object; None for a line that is none."""
    if kind == "json":
        try:
            held = _parsed(body.read())
        except ValueError as error:
            raise ValueError("it is not one whole JSON array in UTF-8") from error
        if not isinstance(held, list):
            raise ValueError("it is not a JSON array")
        for position, one in enumerate(held):
            yield position, _flat(one) if isinstance(one, dict) else None
        return
    for position, line in enumerate(body):
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
