"""Read delivered text, a line a row: CSV, JSON lines, a JSON array. Values stay as written.

Landing counts with this code and Spark's workers read with it, so that both see the same rows. It
imports no module of the project and travels to the workers by value.

A row's position is its line, counted from 0 after a header; blank lines are no rows. A field does
not span lines: a row that was cut, or a stray quote, then spoils its own line and no other. Where
a source declares quoted line breaks (RFC 4180), records are counted instead of lines.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

BATCH_ROWS = 20_000
LARGEST_WHOLE = 64 * 2**20
"""Most bytes of a file that one task reads whole: the heap of 1 GB of the embedded Spark does not
hold twice as many (docs/decisions/0010)."""
DEEPEST = 64
"""Levels of JSON in a row. Python parses about a thousand, fewer where the stack is deep already:
this limit is the same at landing and in a worker."""
_SIGNS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
"""What shows where an element of a JSON array ends: strings, brackets and commas."""
_START_BYTES = 4096
_MARK = "\ufeff"
"""The byte order mark, decoded."""
_NUL_SHARE = 0.1
"""UTF-16 of Latin text is half NUL bytes; a damaged row has a few."""


@dataclass(frozen=True)
class Row:
    """A row; `values` are those of the columns asked for, None where there is none.

    One that is not readable has not as many fields as its header, is no JSON object or nests deeper
    than `DEEPEST`, is not in its encoding, or escapes half of a surrogate pair. Of a row with too
    few fields those before its last are kept: the last may be cut.
    """

    position: int
    is_readable: bool
    values: list[str | None]


@dataclass(frozen=True)
class CsvForm:
    """How a source writes its CSV files.

    - `delimiter`: separates the fields.
    - `quoted_line_breaks`: a quoted field may span lines.
    - `skip_lines`: lines before the header, such as a title; they may hold anything.
    - `encoding`: a codec in which a line ends with the byte of a line feed.
    """

    delimiter: str = ","
    quoted_line_breaks: bool = False
    skip_lines: int = 0
    encoding: str = "utf-8"


_USUAL = CsvForm()


def columns(body: BinaryIO, kind: str, form: CsvForm = _USUAL) -> list[str]:
    """Return the names of a file's columns, in order.

    Raises:
        ValueError: saying what is wrong with the file as a whole.
    """
    _check_encoding(body)
    if kind == "csv":
        return _header(_records(body, form), form)
    objects = _array(body) if kind == "json" else _objects(enumerate(body))
    names = list(dict.fromkeys(name for _, _, values in objects for name in values))
    if not names:
        raise ValueError("no line of it is a JSON object")
    return names


def rows(
    body: BinaryIO,
    kind: str,
    wanted: Sequence[str],
    form: CsvForm = _USUAL,
) -> Iterator[Row]:
    """Yield each row of a file with its values of the columns `wanted`.

    Raises:
        ValueError: as `columns` does.
    """
    if kind == "csv":
        records = _records(body, form)
        header = _header(records, form)
        yield from line_rows(enumerate(records), kind, wanted, form, header)
    elif kind == "json":
        yield from _json_rows(_array(body), wanted)
    else:
        yield from line_rows(enumerate(body), kind, wanted)


def line_rows(
    lines: Iterable[tuple[int, bytes]],
    kind: str,
    wanted: Sequence[str],
    form: CsvForm = _USUAL,
    header: Sequence[str] = (),
) -> Iterator[Row]:
    """Yield the rows of lines that come with their positions; a CSV file's have its `header`.

    A line keeps its line end: only the last one of a file may have none.
    """
    if kind == "csv":
        yield from _csv_rows(lines, wanted, form, header)
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


def _records(body: BinaryIO, form: CsvForm) -> Iterator[bytes]:
    """Return the records of a CSV file from its header on.

    They are its lines, unless a quoted field may span them.
    """
    lines = islice(body, form.skip_lines, None)
    return _joined(lines, form) if form.quoted_line_breaks else lines


def _joined(lines: Iterable[bytes], form: CsvForm) -> Iterator[bytes]:
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
            text = record.decode(form.encoding, errors="replace").removeprefix(_MARK)
            if _fields(text, form.delimiter) is not None:
                yield record
                pending = []
            else:
                yield from pending[:-1]
                pending = [line]
    yield from pending


def _header(records: Iterator[bytes], form: CsvForm) -> list[str]:
    """Take the first record of a CSV file and return the names in it."""
    first = next(records, b"")
    line = f"line {form.skip_lines + 1}" if form.skip_lines else "its first line"
    try:
        names = _fields(first.decode(form.encoding).removeprefix(_MARK), form.delimiter)
    except UnicodeDecodeError as error:
        raise ValueError(f"{line} is not {form.encoding.upper()} text") from error
    if names is None or not first.strip():
        raise ValueError(f"{line} is no header")
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
    lines: Iterable[tuple[int, bytes]], wanted: Sequence[str], form: CsvForm, header: Sequence[str]
) -> Iterator[Row]:
    width, places = len(header), [header.index(n) if n in header else None for n in wanted]
    for position, line in lines:
        try:
            text, is_text = line.decode(form.encoding), True
        except UnicodeDecodeError:
            text, is_text = line.decode(form.encoding, errors="replace"), False
        if not text.strip():
            continue
        fields = _fields(text, form.delimiter)
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


def _check_encoding(body: BinaryIO) -> None:
    """Refuse a file in UTF-16 or UTF-32, and one that is no text; leave `body` at its start."""
    start = body.read(_START_BYTES)
    body.seek(0)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it starts with the mark of UTF-16 text: write it as UTF-8")
    if start.count(0) > _NUL_SHARE * len(start):
        raise ValueError("it has NUL bytes, as UTF-16 text or a binary file: write UTF-8 text")


def undecodable(body: BinaryIO, encoding: str = "utf-8") -> tuple[int, int]:
    """Return how many lines of a file are not in its encoding, and the number of the first."""
    lines = [number for number, line in enumerate(body, 1) if not _is_in(encoding, line)]
    return len(lines), lines[0] if lines else 0


def _is_in(encoding: str, line: bytes) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


_Object = tuple[int, bool, dict[str, str | None]]
"""Position of a JSON object, whether it is readable, and its values by name."""


def _json_rows(objects: Iterable[_Object], wanted: Sequence[str]) -> Iterator[Row]:
    for position, is_readable, values in objects:
        yield Row(position, is_readable, [values.get(name) for name in wanted])


def _array(body: BinaryIO) -> Iterator[_Object]:
    """Yield each object of a JSON array; one that is no object is not readable."""
    try:
        array = body.read().decode("utf-8-sig")
        escapes = _escapes_surrogates(array)
        elements = _elements(array)
    except ValueError as error:
        raise ValueError("it is not one whole JSON array in UTF-8") from error
    if not isinstance(elements, list):
        raise ValueError("it is not a JSON array")
    for position, one in enumerate(elements):
        yield position, *_values(one, escapes)


def _elements(array: str) -> Any:
    """Return the elements of a JSON array, None in place of one that Python cannot nest."""
    try:
        return _parsed(array)
    except RecursionError:
        return [_shallow(element) for element in _split(array)]


def _split(array: str) -> Iterator[str]:
    """Yield the texts of the elements of a JSON array, without recursion.

    Raises:
        ValueError: when the text is not one whole array.
    """
    depth, start = 0, array.find("[") + 1
    is_array = not array[: max(start - 1, 0)].strip()
    for sign in _SIGNS.finditer(array):
        if sign[0] in ("[", "{"):
            depth += 1
        elif sign[0] in ("]", "}"):
            depth -= 1
        if depth == 0 or (depth == 1 and sign[0] == ","):
            yield array[start : sign.start()]
            start = sign.end()
    if depth or array[start:].strip() or not is_array:
        raise ValueError("not one whole array")


def _shallow(text: str) -> Any:
    try:
        return _parsed(text)
    except RecursionError:
        return None


def _objects(lines: Iterable[tuple[int, bytes]]) -> Iterator[_Object]:
    """Yield each line's JSON object; a line that is none is not readable."""
    for position, line in lines:
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8-sig")
            one = _shallow(text)
        except ValueError:
            text, one = "", None
        yield position, *_values(one, _escapes_surrogates(text))


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _escapes_surrogates(text: str) -> bool:
    """Return whether a text may hold half of a surrogate pair, which only an escape can write."""
    return "\\ud" in text or "\\uD" in text


def _values(one: Any, escapes: bool) -> tuple[bool, dict[str, str | None]]:
    """Return whether a parsed row is readable, and its values that are text."""
    if not isinstance(one, dict):
        return False, {}
    try:
        values = _flat(one)
    except ValueError:
        return False, {}
    if not escapes:
        return True, values
    texts = {
        name: value if value is None or _is_text(value) else None
        for name, value in values.items()
        if _is_text(name)
    }
    return texts == values, texts


def _is_text(value: str) -> bool:
    """Return whether a value can be written as UTF-8, which half of a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flat(value: dict[str, Any], before: str = "", levels: int = DEEPEST) -> dict[str, str | None]:
    """Return the values of an object as text; those of an inner one are called `outer.inner`.

    Raises:
        ValueError: when it nests deeper than `levels`.
    """
    if levels == 0:
        raise ValueError("nests too deep")
    flat: dict[str, str | None] = {}
    for name, one in value.items():
        if isinstance(one, dict):
            flat |= _flat(one, f"{before}{name}.", levels - 1)
        elif one is None or isinstance(one, str):
            flat[before + name] = one
        else:
            _check_depth(one, levels - 1)
            flat[before + name] = json.dumps(one)
    return flat


def _check_depth(value: Any, levels: int) -> None:
    if isinstance(value, dict | list):
        if levels == 0:
            raise ValueError("nests too deep")
        for one in value.values() if isinstance(value, dict) else value:
            _check_depth(one, levels - 1)
