"""What the gates of the lake share: the rows of a zone's tables, counted by Spark."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from contracts.render import to_spark
from contracts.render.to_gx import not_empty
from contracts.tables import TABLES
from expectations.comparison import schema_batch
from expectations.relations import SparkRows
from expectations.run import Batch, counted_batch
from expectations.suites.tables import SUITES

_AT_ONCE: Final = 3


def table_batches(
    zone: str, frames: Mapping[str, Any], is_expected: bool, may_be_empty: Sequence[str]
) -> list[Batch]:
    """Return, for each table, its types and what its suite refuses of its rows."""

    def counted(name: str) -> list[Batch]:
        table, rows = TABLES[f"{zone}.{name}"], SparkRows(frames[name])
        rules = SUITES[table.short_name](table)
        if is_expected and name not in may_be_empty:
            rules = (*rules, not_empty())
        declared = dict(to_spark.dtypes(table))
        types = schema_batch(table.name, declared.items(), rows.types.items())
        return [types, counted_batch(table, rows, declared, rules)]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [batch for batches in pool.map(counted, frames) for batch in batches]
