"""Summary frames that compare two stores, with one row for each group."""

from collections.abc import Iterable, Sequence
from typing import Any

from contracts.render.to_gx import is_private
from contracts.stage_results import StageResult
from contracts.tables import Table
from expectations.checkpoint import Batch
from expectations.suites.comparisons import run_rules, schema_rules


def schema_batch(
    table: str, declared: Iterable[tuple[str, str]], stored: Iterable[tuple[str, str]]
) -> Batch:
    """Return the declared and the stored full type of each column, for a gate to compare."""
    import pandas as pd

    want, have = dict(declared), dict(stored)
    rows = [
        {"column": c, "declared_type": want.get(c, "none"), "stored_type": have.get(c, "missing")}
        for c in dict.fromkeys([*want, *have])
    ]
    frame = pd.DataFrame(rows, columns=["column", "declared_type", "stored_type"])
    return Batch(table, frame, schema_rules(), ("column",), part="types")


def side_by_side(before: Any, after: Any, groups: Sequence[str], measures: Sequence[str]) -> Any:
    """Return one row for each group, with each measure after and before (`<measure>_before`).

    A group that one side lacks has zeros there.
    """
    joined = after.merge(before, "outer", list(groups), suffixes=("", "_before"))
    compared = [name for m in measures for name in (m, f"{m}_before")]
    return joined.assign(**{name: joined[name].where(joined[name].notna(), 0) for name in compared})


def run_batch(table: str, written: StageResult) -> Batch:
    """Return the dates that a run reports; a run without dates must declare an empty window."""
    import pandas as pd

    rows = sum(balance.rows_out for balance in written.balances)
    frame = pd.DataFrame({"dates": [len(written.dates)], "rows_out": [rows]})
    return Batch(table, frame, () if written.dates else run_rules(), ("dates",), part="run")


def quotable_key(table: Table) -> tuple[str, ...]:
    """Return the key columns of a table that a report may quote."""
    return tuple(name for name in table.key if not is_private(name))
