"""Judge the warehouse: STAGING beside the lake, and PRODUCTION's marts beside STAGING."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from contracts.columns import LogicalType
from contracts.render import to_postgres
from contracts.results import GateResult, StageResult
from contracts.stages import Gate
from contracts.tables import TABLES, Table
from expectations.comparison import in_dates, quotable_key, run_batch, schema_batch, side_by_side
from expectations.run import SMALL_ROWS, Batch, SqlTable, judge
from expectations.suites import comparisons, production
from expectations.suites.tables import SUITES

AUDIT_SCHEMA: Final = "production_audit"
_LAKE_TABLES: Final = {
    "staging.transactions": "processed.transactions",
    "staging.labels": "processed.labels",
    "staging.customers": "processed.customers",
    "staging.merchants": "processed.merchants",
    "staging.quarantine": "processed.quarantine",
    "staging.features": "sandbox.features",
}
_COMPARED: Final = {
    "transactions": ("amount",),
    "features": ("amount",),
    "labels": ("is_fraud",),
}
"""Columns whose sum is compared by day, beside the count of rows."""


def gate_staging(dsn: str, catalog: Any, staged: StageResult, state_dir: Path) -> GateResult:
    """Judge the tables that were loaded beside STAGING against the lake's recorded snapshots."""
    import psycopg

    batches: list[Batch] = []
    with psycopg.connect(dsn) as connection:
        for name, beside in staged.details.get("beside", {}).items():
            table = TABLES[name]
            groups = ("event_date",) if table.partition_by else ("source_system",)
            measures = ("rows", *_COMPARED.get(table.short_name, ()))
            after = _sums(connection, beside, table, groups)
            before = _lake_sums(catalog, _LAKE_TABLES[name], staged, groups)
            is_expected = len(before) > 0
            frame = side_by_side(before, after, groups, measures)
            batches.append(
                Batch(
                    name,
                    frame,
                    comparisons.agreement_rules(measures, is_expected),
                    groups,
                    part="lake",
                )
            )
            batches.append(_types(connection, table, beside))
            rows = int(after["rows"].sum())
            batches.append(_differences(name, staged))
            query = f"select * from {beside}"  # noqa: S608 - the loader's own name
            batches.append(_rows(connection, dsn, table, query, rows))
    batches.append(run_batch("staging.transactions", staged))
    return judge(Gate.STAGING, staged.window, staged.run_id, batches, state_dir)


def gate_production(dsn: str, built: StageResult, state_dir: Path) -> GateResult:
    """Judge the built marts, in the audit schema, against STAGING for the dates built."""
    import psycopg

    dates = list(built.dates)
    is_expected = bool(dates)
    batches: list[Batch] = []
    with psycopg.connect(dsn) as connection:
        for mart, staging, measure in production.FACTS:
            measures = ("rows", measure)
            groups = ("event_date", "source_system")
            before, after = (
                _query(connection, production.fact_sums(relation, measure), {"dates": dates})
                for relation in (staging, f"{AUDIT_SCHEMA}.{mart}")
            )
            batches.append(
                Batch(
                    f"production.{mart}",
                    side_by_side(before, after, groups, measures),
                    comparisons.agreement_rules(measures, is_expected),
                    groups,
                    part="staging",
                )
            )
        for mart, staging, key in production.DIMENSIONS:
            strays = _query(connection, production.strays(mart, staging, key), {})
            name, rules = f"production.{mart}", production.stray_rules()
            batches.append(Batch(name, strays, rules, ("source_system",), part="keys"))
        orphans = _query(connection, production.ORPHANS, {"dates": dates})
        report = _query(connection, production.REPORT, {"dates": dates})
        batches += [
            Batch("production.fct_transactions", orphans, production.orphan_rules(), part="keys"),
            Batch(
                "production.rpt_fraud_daily",
                report,
                production.report_rules(is_expected),
                ("event_date", "source_system", "currency"),
                part="facts",
            ),
        ]
        for name in production.MARTS:
            table = TABLES[name]
            audit = f"{AUDIT_SCHEMA}.{table.short_name}"
            batches.append(_types(connection, table, audit))
            query = f"select * from {audit}"  # noqa: S608 - names of our own contracts
            if table.partition_by:
                query += f" where {in_dates(table.partition_by, dates)}"
            batches.append(_rows(connection, dsn, table, query, None))
    return judge(Gate.PRODUCTION, built.window, built.run_id, batches, state_dir)


def _differences(name: str, staged: StageResult) -> Batch:
    """Return what the loader itself saw differ while it copied: every number of every row."""
    import pandas as pd

    found = staged.details.get("tables", {}).get(name, {}).get("differences", [])
    columns = ["table", "group", "measure", "lake", "staging"]
    frame = pd.DataFrame(found, columns=columns, dtype=object)
    rules = comparisons.agreement_of_loader_rules()
    return Batch(name, frame, rules, ("group", "measure"), part="copy")


def _rows(connection: Any, dsn: str, table: Table, query: str, rows: int | None) -> Batch:
    """Return the rows of a relation with its suite: fetched when few, else judged by Postgres."""
    rules = SUITES[table.short_name](table)
    if rows is None or rows <= SMALL_ROWS:
        fetched = _query(connection, f"{query} limit {SMALL_ROWS + 1}", {})
        if len(fetched) <= SMALL_ROWS:
            return Batch(table.name, fetched, rules, quotable_key(table))
    return Batch(table.name, SqlTable(dsn, query), rules, engine="postgres")


def _types(connection: Any, table: Table, relation: str) -> Batch:
    """Return the declared and stored types of a relation's columns."""
    stored = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        (relation,),
    ).fetchall()
    declared = [(name, kind) for name, kind, _ in to_postgres.signature(table)]
    return schema_batch(table.name, declared, stored)


def _query(connection: Any, query: str, values: dict[str, Any]) -> Any:
    import pandas as pd

    cursor = connection.execute(query, values)
    return pd.DataFrame(
        cursor.fetchall(), columns=[column.name for column in cursor.description], dtype=object
    )


def _sums(connection: Any, relation: str, table: Table, groups: Sequence[str]) -> Any:
    sums = "".join(
        f", sum({name}{'::int' if _is_boolean(table, name) else ''}) as {name}"
        for name in _COMPARED.get(table.short_name, ())
    )
    by = ", ".join(groups)
    query = f"select {by}, count(*) as rows{sums} from {relation} group by {by}"  # noqa: S608
    return _query(connection, query, {})


def _is_boolean(table: Table, name: str) -> bool:
    return any(c.name == name and c.type is LogicalType.BOOLEAN for c in table.columns)


def _lake_sums(catalog: Any, name: str, staged: StageResult, groups: Sequence[str]) -> Any:
    """Return rows and sums by group of a lake table at its recorded snapshot.

    Only the compared columns are read, by a reader of its own: the loader's count of what it read
    would agree with itself whatever it lost.
    """
    import pyarrow.compute as pc

    table = TABLES[name]
    measures = _COMPARED.get(table.short_name, ())
    columns = (*groups, *measures)
    scan: dict[str, Any] = {"selected_fields": columns, "snapshot_id": staged.snapshots[name]}
    if table.partition_by:
        which = "feature_dates" if table.short_name == "features" else "payment_dates"
        dates = [date.fromisoformat(day) for day in staged.details[which]]
        scan["row_filter"] = in_dates(table.partition_by, dates)
    held = catalog.load_table(name).scan(**scan).to_arrow().select(list(columns))
    for column in (c for c in columns if _is_boolean(table, c)):
        counted = pc.cast(held[column], "int64")
        held = held.set_column(held.schema.get_field_index(column), column, counted)
    sums = [(column, "sum") for column in measures]
    grouped = held.group_by(list(groups)).aggregate([([], "count_all"), *sums])
    renamed = {"count_all": "rows", **{f"{column}_sum": column for column in measures}}
    return grouped.to_pandas().rename(columns=renamed).astype(object)
