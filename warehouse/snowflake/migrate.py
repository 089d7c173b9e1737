"""Create what the loader and dbt need on Snowflake, once or again.

Run as ``python -m warehouse.snowflake.migrate``. Database, roles and the compute warehouse are an
administrator's: see docs/snowflake.md.
"""

from __future__ import annotations

from typing import Final

from contracts.render import to_snowflake
from contracts.settings import Settings, get_settings
from contracts.tables import zone
from warehouse.snowflake.files import STAGE
from warehouse.snowflake.session import connect

ORIGINS: Final = "staging.loaded_days"
"""From which snapshot the rows of each table and day are; a day is `all` where there are none."""


def migrate(settings: Settings) -> None:
    """Bring schemas, the stage and the tables of STAGING to the declared state."""
    with connect(settings, "loader") as loader:
        loader.run("create schema if not exists staging")
        loader.run(f"create stage if not exists {STAGE}")
        loader.run(
            f"create table if not exists {ORIGINS} (table_name text, day text, run text,"
            " snapshot bigint, sequence bigint, loaded_at timestamp_tz)"
        )
        for table in zone("staging"):
            loader.run(f"create table if not exists {table.name} ({to_snowflake.columns(table)})")
    with connect(settings, "transformer") as transformer:
        transformer.run("create schema if not exists production_audit")
        transformer.run("create schema if not exists production")


if __name__ == "__main__":
    migrate(get_settings())
