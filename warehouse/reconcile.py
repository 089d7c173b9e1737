"""Compute the same measures on both sides of a load: in Arrow from the lake, in SQL after it.

Measures per business date, source system and currency: rows; the sum of every exact number; the
count of true booleans; the count of non-null values of a nullable column. Doubles are not summed,
because the last digits of a sum depend on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from contracts.columns import LogicalType
from contracts.results import Balance
from contracts.stage_results import Difference
from contracts.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

_GROUPS: Final = ("event_date", "source_system", "currency")
_SUMMED: Final = (LogicalType.MONEY, LogicalType.INTEGER, LogicalType.LONG)
_PENDING_BATCHES: Final = 256

Measures = dict[tuple[str, ...], dict[str, Decimal]]
"""Group → measure → value."""


@dataclass(frozen=True)
class _Plan:
    groups: tuple[str, ...]
    summed: tuple[str, ...]
    flags: tuple[str, ...]
    filled: tuple[str, ...]


def _plan(table: Table) -> _Plan:
    def of_type(*types: LogicalType) -> tuple[str, ...]:
        return tuple(c.name for c in table.columns if c.type in types)

    return _Plan(
        groups=tuple(name for name in _GROUPS if name in table.column_names),
        summed=of_type(*_SUMMED),
        flags=of_type(LogicalType.BOOLEAN),
        filled=tuple(n for n in table.column_names if table.is_nullable(n)),
    )


@dataclass
class Tally:
    """Count what passes from the lake, batch by batch, in constant memory."""

    table: Table
    _parts: list[pa.Table] = field(default_factory=list)

    def watch(self, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Return the same stream, counted as it is read."""
        import pyarrow as pa

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in reader:
                self._add(batch)
                yield batch

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    def _add(self, batch: pa.RecordBatch) -> None:
        import pyarrow as pa

        plan = _plan(self.table)
        counted = (
            pa.Table.from_batches([batch])
            .group_by(list(plan.groups))
            .aggregate(
                [
                    ([], "count_all"),
                    *((name, "sum") for name in (*plan.summed, *plan.flags)),
                    *((name, "count") for name in plan.filled),
                ]
            )
        )
        self._parts.append(counted)
        if len(self._parts) >= _PENDING_BATCHES:
            self._parts = [self._folded()]

    def _folded(self) -> pa.Table:
        import pyarrow as pa

        plan = _plan(self.table)
        together = pa.concat_tables(self._parts)
        values = [name for name in together.column_names if name not in plan.groups]
        folded = together.group_by(list(plan.groups)).aggregate([(v, "sum") for v in values])
        return folded.select([*plan.groups, *(f"{v}_sum" for v in values)]).rename_columns(
            [*plan.groups, *values]
        )

    def measures(self) -> Measures:
        """Return what was counted so far."""
        if not self._parts:
            return {}
        plan = _plan(self.table)
        names = {
            "count_all": "rows",
            **{f"{n}_sum": f"sum of {n}" for n in plan.summed},
            **{f"{n}_sum": f"true {n}" for n in plan.flags},
            **{f"{n}_count": f"filled {n}" for n in plan.filled},
        }
        return {
            tuple(str(row[g]) for g in plan.groups): {
                measure: Decimal(row[column] or 0) for column, measure in names.items()
            }
            for row in self._folded().to_pylist()
        }


def stored(table: Table, name: str, fetch: Callable[[str], Sequence[tuple[Any, ...]]]) -> Measures:
    """Count the same measures of a stored table; `fetch` runs one query."""
    plan = _plan(table)
    measures = {
        "rows": "count(*)",
        **{f"sum of {n}": f"coalesce(sum({n}), 0)" for n in plan.summed},
        **{f"true {n}": f"count(case when {n} then 1 end)" for n in plan.flags},
        **{f"filled {n}": f"count({n})" for n in plan.filled},
    }
    columns = ", ".join(
        [*(f"{g}::text" for g in plan.groups), *(f"({v})::text" for v in measures.values())]
    )
    # Names come only from the contract; without groups, an empty table would return one row.
    query = f"select {columns} from {name} group by {', '.join(plan.groups)}"  # noqa: S608
    width = len(plan.groups)
    return {
        tuple(str(value) for value in row[:width]): {
            measure: Decimal(value) for measure, value in zip(measures, row[width:], strict=True)
        }
        for row in fetch(query)
    }


def differences(table: Table, lake: Measures, staging: Measures) -> tuple[Difference, ...]:
    """Return every measure that is not the same on both sides."""
    return tuple(
        Difference(
            table=table.name,
            group=" ".join(group),
            measure=measure,
            lake=str(ours.get(measure, 0)),
            staging=str(theirs.get(measure, 0)),
        )
        for group in sorted({*lake, *staging})
        for ours, theirs in [(lake.get(group, {}), staging.get(group, {}))]
        for measure in sorted({*ours, *theirs})
        if ours.get(measure, 0) != theirs.get(measure, 0)
    )


def balances(lake: Measures, staging: Measures) -> tuple[Balance, ...]:
    """Return rows and money of payments in and out, per source system and currency."""
    totals: dict[tuple[str, str], list[Decimal]] = {}
    for side, measures in enumerate((lake, staging)):
        for (_, source_system, currency), values in measures.items():
            total = totals.setdefault((source_system, currency), [Decimal(0)] * 4)
            total[side] += values["rows"]
            total[2 + side] += values["sum of amount"]
    return tuple(
        Balance(
            source_system=source_system,
            currency=currency,
            rows_in=int(rows_in),
            rows_out=int(rows_out),
            amount_in=amount_in,
            amount_out=amount_out,
        )
        for (source_system, currency), (rows_in, rows_out, amount_in, amount_out) in sorted(
            totals.items()
        )
    )
