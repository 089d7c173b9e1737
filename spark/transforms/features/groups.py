"""Helpers of all families: payments sorted by group and time, and counts of windows.

A window (t - w, t] is the difference of two positions in one sorted array. Sums add integers and do
not depend on the order, so a run of a whole history and a run of a day compute identical values.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contracts.features import HISTORY_DAYS, LOOKBACK_DAYS
from contracts.render.to_arrow import from_units, whole_and_fraction

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SECOND: Final = 1_000_000
"""Times are counted in microseconds, the resolution of the lake."""
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR
HISTORY: Final = HISTORY_DAYS * DAY
"""Length of the history of a customer before a payment."""
_LARGEST: Final = 1 << 62
_MARGIN: Final = (LOOKBACK_DAYS + 1) * DAY


@dataclass(frozen=True)
class Groups:
    """Rows by group, and by time within a group. Rows without a group are excluded.

    `order` has their positions among all `count` rows, `codes` and `micros` their group and time.
    """

    count: int
    order: Ints
    codes: Ints
    micros: Ints

    @classmethod
    def of(cls, codes: Ints, micros: Ints) -> "Groups":
        """Sort rows, which are in order of time, by `codes`; a negative code is no group.

        >>> Groups.of(np.array([1, 0, -1]), np.array([5, 6, 7])).order.tolist()
        [1, 0]
        """
        grouped = np.flatnonzero(codes >= 0)
        order = grouped[_sorted(codes[grouped])]
        return cls(len(codes), order, codes[order], micros[order])

    def within(self, codes: Ints) -> "Groups":
        """Divide the groups further by codes of all rows; a negative code is no group.

        >>> groups = Groups.of(np.array([0, 0, 0]), np.array([5, 6, 7]))
        >>> groups.within(np.array([1, 0, 1])).codes.tolist()
        [0, 1, 1]
        """
        own = codes[self.order]
        grouped = np.flatnonzero(own >= 0)
        place = grouped[_sorted(own[grouped])]
        inner, outer = own[place], self.codes[place]
        is_first = np.concatenate([[0], (np.diff(inner) != 0) | (np.diff(outer) != 0)])
        pairs = np.cumsum(is_first[: len(place)], dtype=np.int64)
        return Groups(self.count, self.order[place], pairs, self.micros[place])

    @cached_property
    def _keys(self) -> Ints | None:
        """Return group and time as one integer with room for the look-back; None when too large."""
        if not len(self.order):
            return self.micros
        width = int(self.micros.max() - self.micros.min()) + _MARGIN
        if (int(self.codes[-1]) + 1) * width > _LARGEST:
            return None
        keys: Ints = self.codes * width + (self.micros - self.micros.min() + _MARGIN)
        return keys

    def before(self, micros: int) -> Ints:
        """Return the number of rows at or before the time of each row minus `micros`.

        Rows of smaller groups are counted too, so only differences within a group are meaningful.

        >>> Groups.of(np.array([0, 0, 0]), np.array([5, 6, 9])).before(3).tolist()
        [0, 0, 2]
        """
        if self._keys is None or micros >= _MARGIN:
            return until(self.codes, self.micros, self.codes, self.micros - micros)
        return np.searchsorted(self._keys, self._keys - micros, side="right")

    def through(self) -> Ints:
        """Return the number of rows up to and including each row.

        >>> Groups.of(np.array([0, 0]), np.array([5, 6])).through().tolist()
        [1, 2]
        """
        return np.arange(1, len(self.order) + 1)

    def running(self, values: Any) -> Ints:
        """Return the sums of the first 0, 1, 2, … grouped rows; `values` are those of all rows.

        Columns of values are summed each.

        >>> Groups.of(np.array([1, 0]), np.array([5, 6])).running(np.array([10, 20])).tolist()
        [0, 20, 30]
        """
        sums = np.cumsum(values[self.order], axis=0, dtype=np.int64)
        return np.concatenate([np.zeros((1, *sums.shape[1:]), dtype=np.int64), sums])

    def earlier(self) -> tuple[Ints, Flags]:
        """Return the time of the previous row of the group, and whether there is one.

        >>> Groups.of(np.array([0, 0]), np.array([5, 6])).earlier()[1].tolist()
        [False, True]
        """
        last = np.concatenate([self.micros[:1], self.micros[:-1]])
        return last, np.concatenate([[False], self.codes[1:] == self.codes[:-1]])[: len(last)]

    def later(self) -> tuple[Ints, Flags]:
        """Return the time of the next row of the group, and whether there is one.

        >>> Groups.of(np.array([0, 0]), np.array([5, 6])).later()[1].tolist()
        [True, False]
        """
        following = np.concatenate([self.micros[1:], self.micros[-1:]])
        is_there = np.concatenate([self.codes[1:] == self.codes[:-1], [False]])
        return following, is_there[: len(following)]

    def placed(self, values: Any) -> pa.Array:
        """Return values of grouped rows in the order of all rows, null for rows without a group.

        >>> groups = Groups.of(np.array([1, 0, -1]), np.array([5, 6, 7]))
        >>> groups.placed(np.array([10, 20])).to_pylist()
        [20, 10, None]
        """
        out = np.zeros(self.count, dtype=values.dtype)
        out[self.order] = values
        if len(self.order) == self.count:
            return pa.array(out)
        is_null = np.ones(self.count, dtype=bool)
        is_null[self.order] = False
        return pa.array(out, mask=is_null)

    def placed_where(self, is_known: Flags, values: Any) -> pa.Array:
        """Return values in the order of all rows, null where not known or without a group.

        >>> groups = Groups.of(np.array([1, 0]), np.array([5, 6]))
        >>> groups.placed_where(np.array([True, False]), np.array([10, 20])).to_pylist()
        [None, 10]
        """
        out = np.zeros(self.count, dtype=values.dtype)
        out[self.order] = values
        is_null = np.ones(self.count, dtype=bool)
        is_null[self.order] = ~is_known
        return pa.array(out, mask=is_null)


def _sorted(codes: Ints) -> Ints:
    """Return the positions that sort codes, stable for equal codes."""
    # numpy sorts two-byte integers by counting.
    return np.argsort(codes.astype(np.min_scalar_type(int(codes.max(initial=0)))), kind="stable")


def until(codes: Ints, times: Ints, at_codes: Ints, at_times: Ints) -> Ints:
    """Return the number of pairs (`codes`, `times`) that are at most each (`at_codes`, `at_times`).

    Both are sorted by code; pairs compare by code, then time. Each pair becomes one integer; if the
    codes are too many for that, they are processed in ranges.

    >>> until(*(np.array(x) for x in ([0, 0, 1], [5, 9, 5], [0, 1], [8, 4])))
    array([1, 2])
    """
    counts = np.empty(len(at_codes), dtype=np.int64)
    if not len(counts) or not len(codes):
        counts[:] = 0
        return counts
    least = min(int(times.min()), int(at_times.min()))
    width = max(int(times.max()), int(at_times.max())) - least + 1
    at_once = _LARGEST // width
    for first in range(0, int(at_codes[-1]) + 1, at_once):
        bounds = (first, first + at_once)
        start, end = np.searchsorted(codes, bounds)
        at_start, at_end = np.searchsorted(at_codes, bounds)
        keys = (codes[start:end] - first) * width + (times[start:end] - least)
        at_keys = (at_codes[at_start:at_end] - first) * width + (at_times[at_start:at_end] - least)
        counts[at_start:at_end] = start + np.searchsorted(keys, at_keys, side="right")
    return counts


def codes_of(table: pa.Table, *names: str) -> Ints:
    """Return an integer for each distinct combination of values; -1 where a value is null.

    >>> codes_of(pa.table({"a": ["x", "y", None, "x"]}), "a")
    array([ 0,  1, -1,  0])
    """
    codes = np.zeros(table.num_rows, dtype=np.int64)
    is_null = np.zeros(table.num_rows, dtype=bool)
    for name in names:
        column = _whole(table[name])
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        own = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        is_null |= own < 0
        codes = codes * max(len(encoded.dictionary), 1) + own
    codes[is_null] = -1
    return codes


def in_order(table: pa.Table) -> pa.Table:
    """Return the payments ordered by time, then by the sequence of the source, then by id.

    A receipt comes after its payment.

    >>> payments = {"event_id": ["e1", "e2"], "event_at": [6, 5], "source_sequence": [0, 0]}
    >>> in_order(pa.table(payments))["event_id"].to_pylist()
    ['e2', 'e1']
    """
    micros, sequence = integers(table, "event_at"), integers(table, "source_sequence")
    least: tuple[Any, ...] = ()
    if "is_receipt" in table.column_names:
        least = (table["is_receipt"].to_numpy(),)
    order = np.lexsort((*least, sequence, micros))
    in_turn, in_sequence = micros[order], sequence[order]
    is_tied = (in_turn[1:] == in_turn[:-1]) & (in_sequence[1:] == in_sequence[:-1])
    if is_tied.any():
        tied = np.zeros(len(order), dtype=bool)
        tied[1:] |= is_tied
        tied[:-1] |= is_tied
        rows = order[tied]
        rank = np.zeros(len(order), dtype=np.int64)
        ids = table["event_id"].take(pa.array(rows))
        rank[rows] = pc.rank(ids, tiebreaker="dense").to_numpy()
        order = np.lexsort((*least, rank, sequence, micros))
    if (np.diff(order) == 1).all():
        return table
    return table.take(pa.array(order))


def integers(table: pa.Table, name: str) -> Ints:
    """Return a column of integers, times or dates without nulls as integers.

    >>> integers(pa.table({"day": pa.array([3], pa.date32())}), "day").tolist()
    [3]
    """
    column = table[name]
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    values: Ints = column.cast(pa.int64()).to_numpy()
    return values


def money_of(table: pa.Table, name: str) -> Ints:
    """Return amounts as two columns of integers: whole units, and ten-thousandths beyond them.

    >>> from decimal import Decimal
    >>> amounts = pa.array([Decimal("12.5")], pa.decimal128(20, 4))
    >>> money_of(pa.table({"amount": amounts}), "amount").tolist()
    [[12, 5000]]
    """
    amounts = _whole(table[name])
    if not len(amounts):
        return np.zeros((0, 2), dtype=np.int64)
    return np.stack(whole_and_fraction(amounts), axis=1)


def cents_of(money: Ints) -> Floats:
    """Return the hundredths of `money_of`, exact for whole cents up to 2 ** 53.

    >>> cents_of(np.array([[12, 5000]])).tolist()
    [1250.0]
    """
    cents: Floats = money[:, 0] * 100.0 + money[:, 1] / 100
    return cents


def amounts_of(whole: pa.Array, fraction: pa.Array) -> pa.Array:
    """Return amounts from whole units and ten-thousandths, null where both are.

    Raises:
        pyarrow.ArrowInvalid: for an amount with more digits than are stored.

    >>> amounts_of(pa.array([12, None]), pa.array([5000, None])).to_pylist()
    [Decimal('12.5000'), None]
    """
    units = from_units(fraction)
    return pc.add(whole.cast(pa.decimal128(19, 0)), units).cast(units.type)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
