"""STAGING on Snowflake, behind the same functions as on Postgres."""
