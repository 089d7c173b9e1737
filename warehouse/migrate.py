"""Create schemas, grants and tables of STAGING and SERVING in the warehouse; safe to repeat.

Run as ``python -m warehouse.migrate``. It logs in as the loader, which owns both, and as the
transformer, which owns PRODUCTION; no administrator is needed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import psycopg
from psycopg import sql

from contracts import model_tables
from contracts.columns import LogicalType
from contracts.render import to_postgres
from contracts.settings import Settings, get_settings
from contracts.tables import TABLES, Table, zone
from warehouse import schema_check, staging_sums

LEDGER: Final = TABLES["staging.run_ledger"]
BALANCES: Final = TABLES["staging.run_balances"]
RUN_TASKS: Final = TABLES["staging.run_tasks"]
GATE_RESULTS: Final = TABLES["staging.gate_results"]
BACKTESTS: Final = TABLES["staging.fraud_rule_backtests"]
WITHDRAWALS: Final = TABLES["staging.withdrawals"]
ABANDONED: Final = TABLES["staging.abandoned_windows"]
STREAM_ALERTS: Final = TABLES["staging.stream_alerts"]
DECISIONS: Final = TABLES["staging.decisions"]
REPLAYS: Final = TABLES["staging.decision_replays"]
_QUARANTINE: Final = TABLES["staging.quarantine"]
_DECISION_LOG: Final = TABLES["serving.decisions"]
RECORDS: Final = (
    *(LEDGER, BALANCES, RUN_TASKS, GATE_RESULTS, BACKTESTS, WITHDRAWALS, ABANDONED),
    *model_tables.TABLES,
    *(DECISIONS, REPLAYS),
)
"""Tables of STAGING that are not copied from the lake."""
_NARROW_MONEY: Final = "numeric(18,2)"
"""Type of the amounts of earlier versions."""
_CONSERVED: Final = tuple(
    f"constraint {measure}_conserved check ({measure}_in + {measure}_restated ="
    f" {measure}_out + {measure}_quarantined + {measure}_duplicate)"
    for measure in ("rows", "amount")
)
_INDEXES: Final = (
    "create index if not exists run_ledger_latest"
    " on staging.run_ledger (stage, window_key, finished_at desc)",
    "create index if not exists run_ledger_finished on staging.run_ledger (finished_at)",
    "create index if not exists run_tasks_finished on staging.run_tasks (finished_at)",
    "create index if not exists gate_results_checked on staging.gate_results (checked_at)",
    "create index if not exists model_versions_source on staging.model_versions (source_system)",
    "create index if not exists stream_alerts_date on staging.stream_alerts (event_date)",
    "create index if not exists decisions_recorded on staging.decisions (recorded_at)",
)

_SERVING_INDEXES: Final = (
    *(
        f"create index if not exists recent_payments_{party} on serving.recent_payments"
        f" (source_system, {party}_id, event_at)"
        for party in ("customer", "counterparty")
    ),
    "create unique index if not exists decisions_chain on serving.decisions (chain_position)",
    "create index if not exists decisions_to_review on serving.decisions (decided_at)"
    " where decision <> 'approve'",
    "create index if not exists refresh_tokens_user on serving.refresh_tokens (user_name)",
    "create index if not exists feedback_payment on serving.feedback"
    " (source_system, event_id, known_at)",
    "create index if not exists feedback_known on serving.feedback (source_system, known_at)",
    "create index if not exists decisions_request on serving.decisions (request_id)",
    "create index if not exists decisions_to_review on serving.decisions (decided_at)"
    " where decision <> 'approve'",
)

_SIGN_IN_STATE: Final = "is_disabled, failed_sign_in_count, failed_sign_in_at"
_API_RIGHTS: Final = {
    "serving.category_counts": "select",
    "serving.fills": "select",
    "serving.users": f"select, insert, update (password_hash, {_SIGN_IN_STATE})",
    "serving.refresh_tokens": "select, insert, update (used_at), delete",
}
"""Rights of the API on tables of SERVING. On the others it has the rights to read and to add."""
_ADD_SIGN_IN_STATE: Final = (
    "alter table if exists serving.users"
    " add column if not exists is_disabled boolean not null default false,"
    " add column if not exists failed_sign_in_count bigint not null default 0,"
    " add column if not exists failed_sign_in_at timestamp with time zone"
)
"""Upgrade of a table of an earlier version, whose users have a password only."""
_REMOVE_OTHER_HASHES: Final = "delete from serving.users where password_hash like 'scrypt:%'"
"""Users of an earlier version, whose passwords nothing verifies; the admin is added at start."""

_DATED: Final = """
select
    *,
    coalesce(
        case
            when pg_input_is_valid(right(split_part(raw_object, '/', 3), 10), 'date')
                and right(split_part(raw_object, '/', 3), 10) like '____-__-__'
                then right(split_part(raw_object, '/', 3), 10)::date
        end,
        (first_seen_at at time zone 'UTC')::date
    ) as delivered_date
from staging.quarantine_undated
"""
"""The quarantine of an earlier version, with `RawObject.delivered_date` of each row."""

LAYER_STATE: Final = (
    "create table if not exists production_audit.layer_state (layer text, source_system text,"
    " published_as_of date, unpublished jsonb, run_id text, primary key (layer, source_system));"
    " alter table production_audit.layer_state add column if not exists run_id text"
)
"""State of each source and layer of marts: the published as-of date, the slices that wait for their
gate, and the run that built them, or the last published run."""


class MigrationError(RuntimeError):
    """Raised when a table of STAGING differs from its declaration."""


def migrate(settings: Settings) -> None:
    """Bring schemas, grants and STAGING to the declared state; safe to run at every start.

    Raises:
        MigrationError: when a stored table has other columns than its declaration, or a view that
            is not dbt's reads amounts with two decimals.
    """
    warehouse = settings.warehouse
    transformer = sql.Identifier(warehouse.user("transformer"))
    developer = sql.Identifier(warehouse.user("developer"))
    reader = sql.Identifier(warehouse.user("reader"))
    with psycopg.connect(warehouse.dsn("loader")) as loader:
        # Two platforms starting at once must not race for the same names.
        loader.execute("select pg_advisory_xact_lock(hashtext('tollgate migrate'))")
        _require_schema(loader, "staging")
        # CREATE is for dbt's views; the loader still owns the tables under them.
        grant = "grant usage, create on schema staging to {}"
        loader.execute(sql.SQL(grant).format(transformer))
        loader.execute(sql.SQL("grant usage on schema staging to {}").format(developer))
        default = "alter default privileges in schema staging grant select on tables to {}, {}"
        loader.execute(sql.SQL(default).format(transformer, developer))
        _upgrade_quarantine(loader)
        for table in zone("staging"):
            if table.interval is not None:
                _upgrade_merged(loader, table)
            _upgrade_reasons(loader, table)
            loader.execute(_create(table).encode())
            _widen_amounts(loader, table)
            _require_declared(loader, table)
            # Tables of an earlier version do not have this grant.
            name = sql.Identifier(*table.name.split("."))
            loader.execute(sql.SQL("grant select on {} to {}").format(name, developer))
        for index in _INDEXES:
            loader.execute(index.encode())
        _create_serving(loader, sql.Identifier(warehouse.user("api")))
    with psycopg.connect(warehouse.dsn("transformer")) as owner:
        owner.execute("select pg_advisory_xact_lock(hashtext('tollgate migrate'))")
        _require_schema(owner, "production_audit")
        owner.execute(LAYER_STATE.encode())
        owner.execute(staging_sums.TABLE.encode())
        for shown in ("production", "production_as_known"):
            _require_schema(owner, shown)
            for grant in (
                f"grant usage on schema {shown} to {{}}",
                f"alter default privileges in schema {shown} grant select on tables to {{}}",
            ):
                owner.execute(sql.SQL(grant).format(reader))


def _require_schema(connection: psycopg.Connection, name: str) -> None:
    # `if not exists` would need the right to create even if the schema exists.
    if connection.execute("select to_regnamespace(%s)", (name,)).fetchone() == (None,):
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))


def _create_serving(loader: psycopg.Connection, api: sql.Identifier) -> None:
    """Create the tables of the decision API, which changes no payment and no decision."""
    _require_schema(loader, "serving")
    loader.execute(sql.SQL("grant usage on schema serving to {}").format(api))
    loader.execute(_ADD_SIGN_IN_STATE.encode())
    _set_aside_decisions(loader)
    for table in zone("serving"):
        loader.execute(_create(table).encode())
        _require_declared(loader, table)
        rights = _API_RIGHTS.get(table.name, "select, insert")
        name = sql.Identifier(table.zone, table.short_name)
        loader.execute(sql.SQL(f"grant {rights} on {{}} to {{}}").format(name, api))
    loader.execute(_REMOVE_OTHER_HASHES.encode())
    for index in _SERVING_INDEXES:
        loader.execute(index.encode())


def _set_aside_decisions(loader: psycopg.Connection) -> None:
    """Rename a decision log of an earlier version, whose rows are chained without new columns.

    The hash of a row covers all its columns, so that a chain cannot get columns later.
    """
    stored = {name for name, _, _ in schema_check.columns(loader, _DECISION_LOG.name)}
    if stored and stored != {*_DECISION_LOG.column_names}:
        name = f"decisions_until_{datetime.now(UTC):%Y%m%d_%H%M%S}"
        loader.execute(f"alter table {_DECISION_LOG.name} rename to {name}".encode())
        loader.execute("drop index if exists serving.decisions_chain")


def _create(table: Table) -> str:
    if table.partition_by is None:
        return to_postgres.create_table(
            table, table.name, *(_CONSERVED if table is BALANCES else ())
        )
    return to_postgres.create_parent(table, table.name)


def _upgrade_quarantine(loader: psycopg.Connection) -> None:
    """Partition a quarantine of an earlier version, which has no dates of delivery.

    This drops dbt's view of the table. The next build creates it again.
    """
    stored = tuple(name for name, _, _ in schema_check.columns(loader, _QUARANTINE.name))
    if (*stored, "delivered_date") != _QUARANTINE.column_names:
        return
    loader.execute("alter table staging.quarantine rename to quarantine_undated")
    loader.execute(_create(_QUARANTINE).encode())
    loader.execute(f"create temporary table dated on commit drop as {_DATED}".encode())
    days = loader.execute("select distinct delivered_date from dated").fetchall()
    key = ", ".join(_QUARANTINE.key)
    for (day,) in days:
        name = f"staging.{to_postgres.partition_name(_QUARANTINE, day)}"
        loader.execute(
            f"create table {name} partition of {_QUARANTINE.name} (primary key ({key}))"
            f" {to_postgres.partition_bound(day)}".encode()
        )
    names = ", ".join(_QUARANTINE.column_names)
    loader.execute(f"insert into {_QUARANTINE.name} ({names}) select {names} from dated".encode())  # noqa: S608 - our own names
    loader.execute("drop table staging.quarantine_undated cascade")


def _upgrade_merged(loader: psycopg.Connection, table: Table) -> None:
    """Replace a table of an earlier version by its only partition.

    This drops dbt's view of the table. The next build creates it again.
    """
    kinds = "select 1 from pg_class where oid = to_regclass(%s) and relkind = %s"
    if loader.execute(kinds, (table.name, "p")).fetchone() is None:
        return
    partition = f"{table.name}_all"
    if loader.execute(kinds, (partition, "r")).fetchone() is None:
        loader.execute(f"drop table {table.name} cascade".encode())
        return
    loader.execute(
        f"alter table {table.name} detach partition {partition};"
        f" drop table {table.name} cascade;"
        f" alter table {partition} rename to {table.short_name};"
        f" alter table {table.name} reset (autovacuum_enabled);"
        f" comment on table {table.name} is null".encode()
    )


def _upgrade_reasons(loader: psycopg.Connection, table: Table) -> None:
    """Give a table of an earlier version, whose reasons are names of features, codes and sentences.

    The sentences of its rows are empty, because they need features that STAGING does not have.
    """
    stored = {name for name, _, _ in schema_check.columns(loader, table.name)}
    if "score_reasons" not in stored:
        return
    loader.execute(
        f"alter table {table.name} rename column score_reasons to reason_codes;"  # noqa: S608 - our own names
        f" alter table {table.name} add column reason_sentences text[] not null default '{{}}';"
        f" alter table {table.name} alter column reason_sentences drop default;"
        f" update {table.name} set reason_codes = upper(reason_codes::text)::text[]"
        " where reason_codes <> '{}'".encode()
    )


def _widen_amounts(loader: psycopg.Connection, table: Table) -> None:
    """Give the amounts of a table of an earlier version, which have two decimals, their type.

    Postgres changes no column that a view reads. This drops dbt's views in STAGING. The next build
    creates them again.

    Raises:
        MigrationError: naming a view elsewhere that reads the amounts.
    """
    stored = schema_check.columns(loader, table.name)
    narrow = [name for name, kind, _ in stored if kind == _NARROW_MONEY]
    if not narrow:
        return
    views = loader.execute("select viewname from pg_views where schemaname = 'staging'").fetchall()
    for (view,) in views:
        drop = sql.SQL("drop view if exists {} cascade")
        loader.execute(drop.format(sql.Identifier("staging", view)))
    money = to_postgres.TYPES[LogicalType.MONEY]
    changes = ", ".join(f"alter column {name} type {money}" for name in narrow)
    try:
        loader.execute(f"alter table {table.name} {changes}".encode())
    except psycopg.errors.FeatureNotSupported as error:
        raise MigrationError(
            f"{table.name} has amounts with two decimals, because an earlier version created it,"
            f" and a view keeps them so: {error.diag.message_detail}. Drop this view as its owner"
            " and start again."
        ) from error


def _require_declared(connection: psycopg.Connection, table: Table) -> None:
    stored = schema_check.columns(connection, table.name)
    declared = to_postgres.signature(table)
    if stored != declared:
        differing = sorted({str(row[0]) for row in {*stored} ^ {*declared}}) or ["their order"]
        raise MigrationError(
            f"{table.name} is stored with other columns than declared ({', '.join(differing)}),"
            " because another version created it. Drop it as its owner and load its windows again,"
            " or delete all data with `make clean`."
        )


if __name__ == "__main__":
    migrate(get_settings())
