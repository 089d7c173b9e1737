"""Rows in a store, as `expectations/counted.py` counts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class SparkRows:
    """The rows of a Spark frame."""

    frame: Any

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Return the type of each column, in order."""
        return dict(self.frame.dtypes)

    def count(self, expressions: Sequence[str]) -> list[int]:
        """Return aggregates over all rows, in one query."""
        named = [f"{expression} as c{n}" for n, expression in enumerate(expressions)]
        return [int(value) for value in self.frame.selectExpr(*named).first()]

    def repeated(self, key: Sequence[str]) -> int:
        """Return how many rows share their key with a row before them.

        Keys are told apart by a hash of 64 bits, which one row in 10^7 of a million may share with
        another by chance; only where it shows a repeat are the keys themselves counted.
        """
        names = ", ".join(key)
        (found,) = self.count([f"count(*) - count(distinct xxhash64({names}))"])
        if found:
            (found,) = self.count([f"count(*) - count(distinct struct({names}))"])
        return found

    def quote(self, columns: Sequence[str], condition: str, most: int) -> list[dict[str, Any]]:
        """Return these columns of some rows that meet a condition."""
        rows = self.frame.where(condition).select(*columns).limit(most).collect()
        return [row.asDict() for row in rows]


@dataclass(frozen=True)
class PostgresRows:
    """The rows of a query; `table` is the relation that it reads, for its types and indexes."""

    connection: Any
    query: str
    table: str

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Return the type of each column, in order."""
        stored = self.connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
            (self.table,),
        )
        return dict(stored.fetchall())

    def count(self, expressions: Sequence[str]) -> list[int]:
        """Return aggregates over all rows, in one query."""
        query = f"select {', '.join(expressions)} from ({self.query}) as rows"  # noqa: S608
        row = self.connection.execute(query.encode()).fetchone()
        return [int(value) for value in row]

    def repeated(self, key: Sequence[str]) -> int:
        """Return how many rows share their key with a row before them.

        A unique index on the key, or on a part of it, has proved that there are none.
        """
        proved = self.connection.execute(
            "select exists (select from pg_index as i where i.indrelid = to_regclass(%s)"
            " and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null"
            " and %s::name[] @> array("
            "select a.attname from pg_attribute as a"
            " where a.attrelid = i.indrelid and a.attnum = any(i.indkey)))",
            (self.table, list(key)),
        ).fetchone()[0]
        if proved:
            return 0
        row = f"row({', '.join(key)})"
        # As in Spark, a hash first: it is sorted in a third of the time of the keys.
        (found,) = self.count([f"count(*) - count(distinct hash_record_extended({row}, 0))"])
        if found:
            (found,) = self.count([f"count(*) - count(distinct {row})"])
        return found

    def quote(self, columns: Sequence[str], condition: str, most: int) -> list[dict[str, Any]]:
        """Return these columns of some rows that meet a condition."""
        names = ", ".join(columns)
        query = f"select {names} from ({self.query}) as rows where {condition} limit {most}"  # noqa: S608
        found = self.connection.execute(query.encode()).fetchall()
        return [dict(zip(columns, row, strict=True)) for row in found]
