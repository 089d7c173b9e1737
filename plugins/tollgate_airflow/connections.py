"""Plain values for jobs from Airflow connections."""

from __future__ import annotations

from typing import Any

from contracts.settings import S3Role, SettingsError, WarehouseRole, get_settings


def s3(role: S3Role) -> Any:
    """Return a boto3 client of the connection `s3_<role>`."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook(aws_conn_id=f"s3_{role}").get_conn()


def warehouse(role: WarehouseRole) -> str:
    """Return the libpq URI of the connection `warehouse_<role>`: never log it.

    Raises:
        SettingsError: when the settings choose Snowflake, which no DAG loads.
    """
    if get_settings().warehouse.kind != "postgres":
        raise SettingsError(
            "The DAGs load, check and build Postgres only: unset TOLLGATE_WAREHOUSE__KIND, and load"
            " windows into Snowflake with `python -m warehouse.snowflake` (docs/snowflake.md)."
        )
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    url = PostgresHook(f"warehouse_{role}").sqlalchemy_url.set(drivername="postgresql")
    return str(url.render_as_string(hide_password=False))
