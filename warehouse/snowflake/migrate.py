"""Create the schemas and tables of the loader and of dbt on Snowflake; safe to repeat.

Run as ``python -m warehouse.snowflake.migrate``. Database, roles and the compute warehouse are an
administrator's: see docs/snowflake.md.
"""

from __future__ import annotations

from typing import Final

from contracts.render import to_snowflake
from contracts.settings import Settings, get_settings
from contracts.tables import Table, zone
from warehouse.snowflake.files import STAGE
from warehouse.snowflake.session import Session, connect

ORIGINS: Final = "staging.loaded_days"
"""The origin of the rows of each table and day."""


_NAME: Final = "split_part(raw_object, '/', 3)"
_DELIVERED_DATE: Final = f"""
coalesce(
    case
        when right({_NAME}, 10) like '____-__-__' then try_to_date(right({_NAME}, 10), 'YYYY-MM-DD')
    end,
    convert_timezone('UTC', first_seen_at)::date
)
"""
"""`RawObject.delivered_date` of a row."""


def migrate(settings: Settings) -> None:
    """Bring schemas, the stage and the tables of STAGING to the declared state.

    Raises:
        RuntimeError: when a table has amounts with two decimals, as earlier versions created it.
    """
    with connect(settings, "loader") as loader:
        loader.run("create schema if not exists staging")
        _refuse_narrow_amounts(loader)
        loader.run(f"create stage if not exists {STAGE}")
        loader.run(
            f"create table if not exists {ORIGINS} (table_name text, day text, run text,"
            " snapshot bigint, sequence bigint, loaded_at timestamp_tz)"
        )
        for table in zone("staging"):
            _upgrade_reasons(loader, table)
            loader.run(f"create table if not exists {table.name} ({to_snowflake.columns(table)})")
        _upgrade_quarantine(loader)
    with connect(settings, "transformer") as transformer:
        transformer.run("create schema if not exists production_audit")
        transformer.run("create schema if not exists production")


def _refuse_narrow_amounts(loader: Session) -> None:
    # Snowflake changes no decimals of a column.
    narrow = loader.rows(
        "select distinct table_name from information_schema.columns"
        " where table_schema = 'STAGING' and numeric_scale = 2 order by 1"
    )
    if narrow:
        names = ", ".join(name.lower() for (name,) in narrow)
        raise RuntimeError(
            f"The amounts of {names} in STAGING have two decimals, because an earlier version"
            " created them. Drop the tables of STAGING, PRODUCTION and PRODUCTION_AUDIT, and load"
            " the windows again with `python -m warehouse.snowflake`."
        )


def _upgrade_reasons(loader: Session, table: Table) -> None:
    """Give a table of an earlier version, whose reasons are names of features, codes and sentences.

    The sentences of its rows are empty, because they need features that STAGING does not have.
    """
    columns = loader.rows(
        "select column_name from information_schema.columns where table_schema = 'STAGING'"  # noqa: S608 - our own names
        f" and table_name = '{table.short_name.upper()}'"
    )
    if ("SCORE_REASONS",) not in columns:
        return
    loader.run(f"alter table {table.name} rename column score_reasons to reason_codes")
    loader.run(f"alter table {table.name} add column reason_sentences array")
    loader.run(
        f"update {table.name} set reason_sentences = array_construct(),"  # noqa: S608 - our own names
        " reason_codes = parse_json(upper(to_json(reason_codes)))"
    )


def _upgrade_quarantine(loader: Session) -> None:
    """Add the dates of delivery to a quarantine of an earlier version."""
    columns = loader.rows(
        "select column_name from information_schema.columns"
        " where table_schema = 'STAGING' and table_name = 'QUARANTINE'"
    )
    if ("DELIVERED_DATE",) in columns:
        return
    loader.run("alter table staging.quarantine add column delivered_date date")
    loader.run(f"update staging.quarantine set delivered_date = {_DELIVERED_DATE}")  # noqa: S608


if __name__ == "__main__":
    migrate(get_settings())
