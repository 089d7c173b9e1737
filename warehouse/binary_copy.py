"""Encode Arrow batches as Postgres' binary COPY, by column.

A row is the number of its columns, then the length of each value in bytes and the value. Adjacent
columns with the same length in all rows of a batch form blocks, which numpy writes column by
column. Only where lengths vary, because of text or nulls, rows are joined from pieces. Values have
the types of `contracts/render/to_arrow.py`, in the format of the `_recv` functions of Postgres 18.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contracts.columns import LogicalType
from contracts.render.to_arrow import arrow_type, whole_and_fraction
from contracts.values import MONEY_DECIMALS

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Values = NDArray[Any]

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
_ROWS: Final = 65_536
"""Rows that are written at once: some 30 MB, far below the 2 GiB that Arrow's offsets reach."""

_NULL: Final = -1
_LENGTH: Final = np.dtype(">i4")
_DAYS_TO_2000: Final = 10_957
_MICROSECONDS_TO_2000: Final = 946_684_800_000_000
_TEXT_OID: Final = 25
_NEGATIVE: Final = 0x4000
_NUMERIC_BASE: Final = 10_000
"""Postgres' digits of a numeric have four decimal ones, as many as the decimals of an amount."""


@dataclass(frozen=True)
class _Cells:
    """A column: the length of each value, and the values, all as long or one after the other."""

    lengths: int | Values
    fixed: Values | None = None
    ragged: pa.BinaryArray | None = None


@dataclass
class _Block:
    """Adjacent columns of bytes, each with the same length in all rows."""

    columns: list[tuple[np.dtype[Any], int | Values]] = field(default_factory=list)

    def rows(self, count: int) -> Values:
        """Return the rows, packed."""
        kind = np.dtype([(f"f{at}", dtype) for at, (dtype, _) in enumerate(self.columns)])
        first = np.zeros(1, kind)
        for at, (_, value) in enumerate(self.columns):
            if isinstance(value, int):
                first[f"f{at}"] = value
        rows = np.repeat(first, count)
        for at, (_, value) in enumerate(self.columns):
            if not isinstance(value, int):
                rows[f"f{at}"] = value
        return rows


def encoded(batch: pa.RecordBatch) -> Iterator[memoryview]:
    """Yield the rows of a batch, without the header and the trailer of a COPY.

    Raises:
        TypeError: for a type that no column of the contract has.
    """
    for start in range(0, batch.num_rows, _ROWS):
        yield _rows(batch.slice(start, _ROWS))


def _rows(batch: pa.RecordBatch) -> memoryview:
    block = _Block([(np.dtype(">i2"), batch.num_columns)])
    pieces: list[_Block | pa.BinaryArray] = [block]
    for column in batch.columns:
        cells = _cells(column)
        block.columns.append((_LENGTH, cells.lengths))
        if cells.fixed is not None:
            block.columns.append((cells.fixed.dtype, cells.fixed))
        elif cells.ragged is not None:
            block = _Block()
            pieces += [cells.ragged, block]
    count = batch.num_rows
    if len(pieces) == 1:
        return block.rows(count).view("u1").data
    joined = _joined(
        *(
            _stepped(piece.rows(count)) if isinstance(piece, _Block) else piece
            for piece in pieces
            if not isinstance(piece, _Block) or piece.columns
        )
    )
    return memoryview(joined.buffers()[2])[: int(_offsets(joined)[-1])]


def _cells(column: pa.Array) -> _Cells:
    import pyarrow.types as kinds

    if column.null_count == len(column):
        return _Cells(_NULL)
    if kinds.is_string(column.type):
        return _text(column)
    if kinds.is_list(column.type) and kinds.is_string(column.type.value_type):
        return _texts(column)
    values = _fixed(column)
    if not column.null_count:
        return _Cells(values.dtype.itemsize, values)
    valid = _valid(column)
    lengths = np.where(valid, values.dtype.itemsize, _NULL)
    return _Cells(lengths, ragged=_present(values, valid))


def _fixed(column: pa.Array) -> Values:
    """Return values of the same length; the bytes of a null are arbitrary."""
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = column.type
    if kind == arrow_type(LogicalType.MONEY):
        return _numeric(*whole_and_fraction(column.fill_null(0)))
    if kinds.is_boolean(kind):
        return _plain(column.fill_null(False)).astype("u1")
    if kinds.is_timestamp(kind) and kind.unit == "us":
        return (_plain(column.view(pa.int64())) - _MICROSECONDS_TO_2000).astype(">i8")
    if kinds.is_date32(kind):
        return (_plain(column.view(pa.int32())) - _DAYS_TO_2000).astype(">i4")
    if kinds.is_int32(kind) or kinds.is_int64(kind) or kinds.is_float64(kind):
        values = _plain(column)
        return values.astype(values.dtype.newbyteorder(">"))
    raise TypeError(f"binary COPY does not support {kind}")


def _numeric(whole: Values, fraction: Values) -> Values:
    """Return amounts as numerics: digits in base 10,000, the last one after the decimal point.

    Postgres removes leading zeros, so all amounts of a batch can have the same number of digits.
    """
    sign = np.where((whole < 0) | (fraction < 0), _NEGATIVE, 0)
    whole = np.abs(whole)
    most = int(whole.max(initial=0))
    digits = [np.abs(fraction)]
    while most or len(digits) == 1:
        whole, digit = np.divmod(whole, _NUMERIC_BASE)
        digits.insert(0, digit)
        most //= _NUMERIC_BASE
    head = ("count", "weight", "sign", "scale")
    names = (*head, *(f"digit_{at}" for at in range(len(digits))))
    values = np.empty(len(whole), [(name, ">u2") for name in names])
    first = (len(digits), len(digits) - 2, sign, MONEY_DECIMALS)
    for name, value in zip(names, (*first, *digits), strict=True):
        values[name] = value
    return values


def _text(column: pa.Array) -> _Cells:
    import pyarrow as pa

    filled = column.fill_null("") if column.null_count else column
    offsets = _offsets(filled)
    lengths = np.diff(offsets)
    length = int(lengths[0])
    if column.null_count or (lengths != length).any():
        ragged = filled.cast(pa.binary())
        return _Cells(np.where(_valid(column), lengths, _NULL), ragged=ragged)
    if not length:
        return _Cells(0)
    # As V, because S would lose trailing zero bytes.
    start, count = int(offsets[0]), len(column)
    return _Cells(length, np.frombuffer(filled.buffers()[2], f"V{length}", count, start))


def _texts(column: pa.Array) -> _Cells:
    """Return lists of texts: a head of one dimension and the size, then each text as a value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    valid = _valid(column)
    sizes = _plain(pc.list_value_length(column).fill_null(0))
    heads = np.empty(len(column), [(f"f{at}", ">i4") for at in range(5)])
    for name, value in zip(heads.dtype.names or (), (1, 0, _TEXT_OID, sizes, 1), strict=True):
        heads[name] = value
    texts = column.flatten().cast(pa.binary())
    prefixes = _Block([(_LENGTH, np.where(_valid(texts), _lengths(texts), _NULL))])
    values = _joined(_stepped(prefixes.rows(len(texts))), texts.fill_null(b""))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    # The texts of a list are adjacent already: only the offsets of the lists change.
    bodies = _binary(_offsets(values)[ends], values.buffers()[2])
    lists = _joined(_present(heads, valid), bodies)
    return _Cells(np.where(valid, _lengths(lists), _NULL), ragged=lists)


def _plain(column: pa.Array) -> Values:
    """Return the values of an array without nulls, or of one whose nulls do not matter."""
    filled = column.fill_null(0) if column.null_count else column
    values: Values = filled.to_numpy(zero_copy_only=False)
    return values


def _valid(column: pa.Array) -> Values:
    valid: Values = column.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _offsets(column: pa.Array) -> Values:
    """Return where each text or list begins, and where the last ends."""
    offsets: Values = np.frombuffer(column.buffers()[1], "i4")
    return offsets[column.offset : column.offset + len(column) + 1]


def _lengths(column: pa.Array) -> Values:
    return np.diff(_offsets(column))


def _binary(offsets: Values, data: Any) -> pa.BinaryArray:
    import pyarrow as pa

    ends = pa.py_buffer(np.ascontiguousarray(offsets, "i4"))
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, [None, ends, data])


def _stepped(rows: Values) -> pa.BinaryArray:
    """Return each row of packed values as one piece of bytes."""
    import pyarrow as pa

    return _binary(np.arange(len(rows) + 1) * rows.dtype.itemsize, pa.py_buffer(rows))


def _present(values: Values, valid: Values) -> pa.BinaryArray:
    """Return the valid values as pieces of bytes, the others as empty ones."""
    import pyarrow as pa

    ends = np.concatenate([[0], np.cumsum(valid)]) * values.dtype.itemsize
    return _binary(ends, pa.py_buffer(values[valid]))


def _joined(*pieces: pa.BinaryArray) -> pa.BinaryArray:
    """Join pieces row by row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    join: Callable[..., pa.BinaryArray] = pc.binary_join_element_wise
    return join(*pieces, pa.scalar(b"", pa.binary()))
