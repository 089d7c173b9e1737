"""Gates of the warehouse: STAGING against the lake, and the marts of PRODUCTION against STAGING."""

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, Final

from contracts.columns import COLUMNS, LogicalType
from contracts.render import to_postgres
from contracts.results import GateResult
from contracts.stage_results import BuildResult, Difference, LoadResult
from contracts.stages import Gate
from contracts.tables import TABLES, Table
from expectations.checkpoint import Batch, PostgresQuery
from expectations.comparison import run_batch, side_by_side
from expectations.run import evaluate
from expectations.stored import Stored, table_batches
from expectations.suites import comparisons, production
from expectations.suites.tables import SUITES
from lake.dates import rows_on
from sources.registry import source as declared
from warehouse.load_plan import SOURCES

AUDIT_SCHEMA: Final = "production_audit"
_COMPARED: Final = {
    "transactions": ("amount",),
    "features": ("amount",),
    "labels": ("is_fraud",),
}
"""Columns whose sums are compared by day, besides the number of rows and the content."""

_CONTENT: Final = {
    "transactions": (
        *("event_id", "event_at", "customer_id", "counterparty_id", "merchant_category"),
        *("channel", "transaction_type", "currency"),
    ),
    "features": ("event_id", "event_at", "customer_id", "counterparty_id", "currency"),
    "labels": ("event_id", "known_at", "label_source", "scenario"),
    "customers": ("customer_id", "first_event_at", "last_event_at"),
    "merchants": ("counterparty_id", "merchant_category", "first_event_at", "last_event_at"),
    "quarantine": ("raw_object", "raw_position"),
}
"""Columns of the content checksum, whose text is the same in Arrow and Postgres."""


_ANY_PAYMENT: Final = """
select exists (
    select from staging.transactions
    where source_system = %(source)s and event_date = any(%(dates)s)
)
"""


def gate_staging(dsn: str, catalog: Any, staged: LoadResult, state_dir: Path) -> GateResult:
    """Check the shadow tables of STAGING against the recorded snapshots of the lake."""
    import psycopg

    batches: list[Batch] = []
    tables = {TABLES[n]: beside for n, beside in staged.beside.items()}
    # This process reads the lake while Postgres aggregates its tables.
    with ThreadPoolExecutor(1) as reader, psycopg.connect(dsn) as connection:
        read = {t: reader.submit(_lake_sums, catalog, t, staged, _groups(t)) for t in tables}
        for table, beside in tables.items():
            groups = _groups(table)
            measures = ("rows", *_COMPARED.get(table.short_name, ()), "content")
            after = _sums(connection, beside, table, groups)
            rows = stored_table(dsn, connection, table, beside, "true")
            before = read[table].result()
            batches += [
                Batch(
                    table.name,
                    side_by_side(before, after, groups, measures),
                    comparisons.agreement_rules(measures, len(before) > 0),
                    groups,
                    part="lake",
                ),
                _differences(table.name, staged),
                *rows,
            ]
    batches.append(run_batch("staging.transactions", staged))
    return evaluate(Gate.STAGING, staged.window, staged.run_id, batches, state_dir)


def gate_production(dsn: str, built: BuildResult, state_dir: Path) -> GateResult:
    """Check the built marts in the audit schema against STAGING, for the dates of the build.

    A build fills the slices of the window's source alone. The facts are compared with what the
    build read in STAGING, which later windows may have changed since.

    Raises:
        BuildFailed: when another build has replaced this one.
    """
    import psycopg

    from warehouse import staging_sums, transform

    dates = list(built.dates)
    source = declared(built.window.source)
    given = {"dates": dates, "source": source.name, "run_id": built.run_id}
    batches: list[Batch] = []
    with psycopg.connect(dsn) as connection:
        transform.require_waiting(connection, built.layer, built)
        # No payment is left on these dates when all of them were withdrawn.
        is_expected = bool(query_frame(connection, _ANY_PAYMENT, given).squeeze())
        for mart, staging, measure in staging_sums.FACTS:
            measures = ("rows", measure, "content")
            groups = ("event_date", "source_system")
            audited, columns = f"{AUDIT_SCHEMA}.{mart}", TABLES[staging].column_names
            before, after = (
                query_frame(connection, query, given)
                for query in (
                    staging_sums.recorded(mart, measure),
                    staging_sums.fact_sums(audited, measure, columns),
                )
            )
            batches.append(
                Batch(
                    f"production.{mart}",
                    side_by_side(before, after, groups, measures),
                    comparisons.agreement_rules(
                        measures,
                        is_expected and staging.partition(".")[2] not in source.may_leave_empty,
                    ),
                    groups,
                    part="staging",
                )
            )
        for mart, staging, key in production.DIMENSIONS:
            strays = query_frame(connection, production.strays(mart, staging, key), given)
            name, rules = f"production.{mart}", production.stray_rules()
            batches.append(Batch(name, strays, rules, ("source_system",), part="keys"))
            versions = query_frame(connection, production.versions(mart, key), given)
            rules = production.version_rules()
            batches.append(Batch(name, versions, rules, ("source_system",), part="versions"))
        orphans = query_frame(connection, production.ORPHANS, given)
        batches += [
            Batch("production.fct_transactions", orphans, production.orphan_rules(), part="keys"),
            *(
                Batch(
                    f"production.{report}",
                    query_frame(connection, production.report_sums(report, day, which), given),
                    production.report_rules(is_expected),
                    ("event_date", "source_system", "currency"),
                    part="facts",
                )
                for report, day, which in production.REPORTS
            ),
        ]
        for name in production.MARTS:
            table = TABLES[name]
            conditions = []
            if "source_system" in table.column_names:
                conditions.append(f"source_system = '{given['source']}'")
            if table.partition_by:
                conditions.append(f"({rows_on(table, dates)})")
            where = " and ".join(conditions) or "true"
            batches += stored_table(
                dsn, connection, table, f"{AUDIT_SCHEMA}.{table.short_name}", where
            )
    return evaluate(Gate.PRODUCTION, built.window, built.run_id, batches, state_dir)


def _differences(name: str, staged: LoadResult) -> Batch:
    """Return the differences that the loader found in its totals over all copied rows."""
    import pandas as pd

    columns = [field.name for field in fields(Difference)]
    rows = [astuple(difference) for difference in staged.tables[name].differences]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    rules = comparisons.agreement_of_loader_rules()
    return Batch(name, frame, rules, ("group", "measure"), part="copy")


def stored_table(dsn: str, connection: Any, table: Table, relation: str, where: str) -> list[Batch]:
    """Return the batches of the column types and of the rows of a relation."""
    stored = Stored.in_postgres(connection, relation)
    data = PostgresQuery(f"select * from {relation} where {where}", dsn)  # noqa: S608 - our names
    declared = {name: kind for name, kind, _ in to_postgres.signature(table)}
    return table_batches(table, data, stored, declared, SUITES[table.short_name](table))


def query_frame(connection: Any, query: str, values: dict[str, Any]) -> Any:
    """Return the rows of a query as a pandas frame with the values of the driver."""
    import pandas as pd

    cursor = connection.execute(query, values)
    return pd.DataFrame(
        cursor.fetchall(), columns=[column.name for column in cursor.description], dtype=object
    )


def _groups(table: Table) -> tuple[str, ...]:
    """Return the columns by which a table is compared with the lake."""
    return (table.partition_by, "source_system") if table.partition_by else ("source_system",)


def _sums(connection: Any, relation: str, table: Table, groups: Sequence[str]) -> Any:
    sums = "".join(
        f", sum({name}{'::int' if _is_a(LogicalType.BOOLEAN, name) else ''}) as {name}"
        for name in _COMPARED.get(table.short_name, ())
    )
    texts = ", ".join(
        f"(extract(epoch from {name}) * 1000000)::bigint::text"
        if _is_a(LogicalType.TIMESTAMP, name)
        else f"{name}::text"
        for name in _CONTENT[table.short_name]
    )
    content = f"sum(crc32(convert_to(concat_ws('|', {texts}), 'UTF8'))) as content"
    by = ", ".join(groups)
    query = f"select {by}, count(*) as rows{sums}, {content} from {relation} group by {by}"  # noqa: S608
    return query_frame(connection, query, {})


def _is_a(kind: LogicalType, name: str) -> bool:
    return COLUMNS[name].type is kind


def _lake_sums(catalog: Any, table: Table, staged: LoadResult, groups: Sequence[str]) -> Any:
    """Return rows, sums and content by group of a table's source at its recorded snapshot.

    A separate reader reads the compared columns by file, because the totals of the loader would not
    include rows that it lost.
    """
    import pyarrow as pa

    source = SOURCES[table.name]
    summed = (*_COMPARED.get(table.short_name, ()), "content")
    content = _CONTENT[table.short_name]
    columns = tuple(dict.fromkeys((*groups, *summed[:-1], *content)))
    condition = rows_on(table, staged.tables[table.name].dates)
    snapshot = staged.snapshots[source]
    scan = catalog.load_table(source).scan(condition, columns, snapshot_id=snapshot)
    with scan.to_arrow_batch_reader() as batches:
        measured = (_measured(batch, groups, summed, content) for batch in batches)
        parts = [_grouped(part, groups, [([], "count_all")], summed) for part in measured]
    if not parts:
        return pa.table({name: [] for name in (*groups, "rows", *summed)}).to_pandas()
    by_part = pa.concat_tables(parts).rename_columns([*groups, "rows", *summed])
    total = _grouped(by_part, groups, [("rows", "sum")], summed)
    return total.rename_columns([*groups, "rows", *summed]).to_pandas().astype(object)


def _measured(
    batch: Any, groups: Sequence[str], summed: Sequence[str], content: Sequence[str]
) -> Any:
    """Return the groups of a batch, and each measure as a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {name: batch[name] for name in groups}
    for name in summed:
        if name == "content":
            columns[name] = _checksums(batch, content)
        elif _is_a(LogicalType.BOOLEAN, name):
            columns[name] = pc.cast(batch[name], "int64")
        else:
            columns[name] = batch[name]
    return pa.table(columns)


def _grouped(rows: Any, groups: Sequence[str], counts: Any, summed: Sequence[str]) -> Any:
    sums = [(name, "sum") for name in summed]
    counted = rows.group_by(list(groups)).aggregate([*counts, *sums])
    names = [name for name in counted.column_names if name not in groups]
    return counted.select([*groups, *names])


def _checksums(rows: Any, columns: Sequence[str]) -> Any:
    """Return a CRC-32 of the non-null values of each row, with times in microseconds."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [
        pc.cast(
            pc.cast(rows[name], "int64") if _is_a(LogicalType.TIMESTAMP, name) else rows[name],
            pa.string(),
        )
        for name in columns
    ]
    joined = pc.binary_join_element_wise(*texts, "|", null_handling="skip").cast(pa.binary())
    numbers = map(zlib.crc32, joined.to_pylist())
    return pa.array(np.fromiter(numbers, np.int64, len(joined)))
