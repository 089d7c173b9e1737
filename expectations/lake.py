"""Batches of the lake gates: the tables of a zone, as Spark frames."""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.render import to_spark
from contracts.render.to_gx import not_empty
from contracts.tables import TABLES
from expectations.checkpoint import Batch
from expectations.stored import Stored, table_batches
from expectations.suites.tables import SUITES


def zone_batches(
    zone: str, frames: Mapping[str, Any], is_expected: bool, may_be_empty: Sequence[str]
) -> list[Batch]:
    """Return, for each frame by the short name of its table, the batches of types and rows.

    If rows are expected, every table has rows except those that may be empty.
    """
    batches: list[Batch] = []
    for name, frame in frames.items():
        table = TABLES[f"{zone}.{name}"]
        rules = SUITES[name](table)
        if is_expected and name not in may_be_empty:
            rules = (*rules, not_empty())
        stored, declared = Stored.of_frame(frame), dict(to_spark.dtypes(table))
        batches += table_batches(table, frame, stored, declared, rules)
    return batches
