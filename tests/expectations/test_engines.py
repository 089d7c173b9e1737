"""Each kind of rule has the same result in pandas, Spark and Postgres."""

from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from contracts.render.to_gx import (
    Rule,
    between,
    free_of,
    hexadecimal,
    not_below,
    not_empty,
    present_with,
)
from contracts.results import GateResult
from contracts.settings import Settings
from contracts.stages import Gate
from contracts.windows import Window
from expectations.checkpoint import Batch, PostgresQuery
from expectations.run import evaluate

pytestmark = [pytest.mark.spark, pytest.mark.postgres]

ROWS = pd.DataFrame(
    {
        "event_id": ["a", "b", "b", "d"],
        "hour_of_day": [1, 22, 24, -1],
        "customer_id": ["4779-4766-0284", "b" * 32, None, "d" * 32],
        "first_count": [1, 2, 3, 4],
        "second_count": [1, 1, 4, 4],
        "region": ["FL", "123-45-6789", None, "NY"],
        "channel": ["web", "app", "fax", None],
    }
)
ALLOWED = {"value_set": ["web", "app"]}
RULES = (
    Rule(
        "ExpectTableColumnsToMatchOrderedList",
        "columns",
        "these",
        "declared",
        arguments={"column_list": list(ROWS.columns)},
    ),
    Rule("ExpectColumnValuesToNotBeNull", "not_null", "no null", "declared", "channel"),
    Rule(
        "ExpectColumnValuesToBeInSet", "in_set", "web, app", "closed", "channel", arguments=ALLOWED
    ),
    Rule("ExpectColumnValuesToBeUnique", "unique", "one row", "key", "event_id"),
    Rule(
        "ExpectCompoundColumnsToBeUnique",
        "key_unique",
        "one row",
        "key",
        arguments={"column_list": ["event_id", "channel"]},
    ),
    between("hour_of_day", 0, 23, "a day has 24 hours"),
    between("hour_of_day", None, 20, "shops close", what="plausible"),
    *hexadecimal("customer_id", 32, "a token"),
    free_of("region", "(?:^|[^0-9])[0-9]{3}-[0-9]{2}-[0-9]{4}(?:[^0-9]|$)", "none", "free text"),
    present_with("channel", "region", "known together"),
    not_below("first_count", "second_count", "nested"),
    not_empty(),
)
FAILED = {
    "channel.not_null": "1 of 4 rows",
    "channel.in_set": "1 of 4 rows",
    "event_id.unique": "2 of 4 rows",
    "hour_of_day.between": "2 of 4 rows",
    "hour_of_day.plausible": "2 of 4 rows",
    "customer_id.form": "1 of 4 rows",
    "customer_id.length": "1 of 4 rows",
    "region.free_of": "1 of 4 rows",
    "channel.present_with_region": "1 of 3 rows",
    "first_count.not_below_second_count": "1 of 4 rows",
}


def _seen(result: GateResult) -> dict[str, str]:
    return {
        check.name.removeprefix("transactions."): (check.observed or "").partition(",")[0]
        for check in result.checks
        if not check.passed
    }


def test_each_kind_of_rule_has_the_same_result_in_each_engine(
    spark: Any, own: Settings, tmp_path: Path
) -> None:
    """The first Spark jobs of a session make it slow when it runs alone."""
    dsn = own.warehouse.dsn("loader")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create table staging.engines (event_id text, hour_of_day int, customer_id text,"
            " first_count int, second_count int, region text, channel text)"
        )
        try:
            rows = [
                [None if pd.isna(value) else value for value in row]
                for row in ROWS.itertuples(index=False)
            ]
            with connection.cursor() as cursor:
                cursor.executemany(
                    "insert into staging.engines values (%s, %s, %s, %s, %s, %s, %s)", rows
                )
            for data in (
                ROWS,
                spark.createDataFrame(ROWS),
                PostgresQuery("select * from staging.engines", dsn),
            ):
                batch = Batch("processed.transactions", data, RULES, ("event_id",))
                window = Window.parse("sparkov@2024-05-01")
                result = evaluate(Gate.PROCESSED, window, batch.engine, [batch], tmp_path)
                assert _seen(result) == FAILED, batch.engine
        finally:
            connection.execute("drop table staging.engines")
