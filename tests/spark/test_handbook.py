"""The feature job against what the handbook's authors published."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pytest

from contracts.features import LOOKBACK_DAYS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "handbook"

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        not FOLDER.is_dir(),
        reason="the handbook's data (no licence to ship) is not beside the repository",
    ),
]

_PUBLISHED: Final = {
    "is_weekend": "TX_DURING_WEEKEND",
    "is_night": "TX_DURING_NIGHT",
    **{
        f"customer_{ours}_{days}d": f"CUSTOMER_ID_{theirs}_{days}DAY_WINDOW"
        for days in (1, 7, 30)
        for ours, theirs in (("transaction_count", "NB_TX"), ("amount_mean", "AVG_AMOUNT"))
    },
    **{
        f"merchant_{ours}_{days}d": f"TERMINAL_ID_{theirs}_{days}DAY_WINDOW"
        for days in (1, 7, 30)
        for ours, theirs in (("transaction_count", "NB_TX"), ("fraud_share", "RISK"))
    },
}
_TIES: Final = 20


def payments_and_labels(spark: "SparkSession", first: str, last: str) -> tuple[Any, Any]:
    """Return the handbook's days as canonical payments, each label known after 7 days."""
    from pyspark.sql import functions as F

    raw = spark.read.parquet((FOLDER / "raw_daily").as_uri())
    at = F.col("TX_DATETIME").cast("timestamp")
    rows = raw.filter(F.to_date("TX_DATETIME").between(first, last)).select(
        F.col("TRANSACTION_ID").cast("string").alias("event_id"),
        F.lit("handbook").alias("source_system"),
        F.col("TRANSACTION_ID").alias("source_sequence"),
        at.alias("event_at"),
        F.lit("second").alias("event_at_precision"),
        F.to_date(at).alias("event_date"),
        F.col("CUSTOMER_ID").cast("string").alias("customer_id"),
        F.col("TERMINAL_ID").cast("string").alias("counterparty_id"),
        F.lit("terminal").alias("counterparty_type"),
        F.col("TX_AMOUNT").cast("decimal(20,4)").alias("amount"),
        F.lit("EUR").alias("currency"),
        (F.col("TX_FRAUD") == 1).alias("is_fraud"),
        (at + F.expr("interval 7 days")).alias("known_at"),
    )
    labels = rows.select("event_id", "source_system", "event_date", "is_fraud", "known_at")
    return rows.drop("is_fraud", "known_at"), labels


def computed(transactions: "DataFrame", labels: "DataFrame") -> "DataFrame":
    """Return the features of the handbook as its source declares what it fills."""
    from spark.jobs.column_coverage import columns_filled
    from tests.spark.whole_features import features

    return features(transactions, labels, {"handbook": columns_filled("handbook")})


def test_the_features_are_those_that_the_authors_published(spark: "SparkSession") -> None:
    from pyspark.sql import functions as F

    frame = computed(*payments_and_labels(spark, "2018-04-01", "2018-09-30"))
    columns = [F.col(name).cast("double") for name in _PUBLISHED]
    ours = frame.select(
        F.col("event_id").cast("bigint").alias("TRANSACTION_ID"), *columns
    ).toPandas()
    ours = ours.set_index("TRANSACTION_ID").sort_index()
    published = pd.read_parquet(FOLDER / "published_features.parquet")
    published = published.set_index("TRANSACTION_ID").sort_index()

    assert len(ours) == len(published) == 1_754_155
    assert (ours.index == published.index).all()
    differs = {
        name: ~np.isclose(ours[name], published[theirs], rtol=1e-9, atol=1e-9)
        for name, theirs in _PUBLISHED.items()
    }
    wrong = {name: int(rows.sum()) for name, rows in differs.items() if rows.any()}
    assert all(name.startswith("customer_") for name in wrong), wrong
    assert np.logical_or.reduce(list(differs.values())).sum() <= _TIES, wrong


@pytest.mark.parametrize("day", ["2018-06-20"])
def test_a_day_by_itself_has_the_same_bits_as_in_the_whole_history(
    spark: "SparkSession", day: str
) -> None:
    from contracts.tables import TABLES
    from lake.frames import conform

    first = pd.Timestamp(day) - pd.Timedelta(days=LOOKBACK_DAYS)
    table = TABLES["sandbox.features"]

    def of_the_day(since: str) -> pd.DataFrame:
        frame = computed(*payments_and_labels(spark, since, day))
        rows = conform(frame.filter(frame.event_date == day), table).toPandas()
        return rows.sort_values("event_id", ignore_index=True)

    whole = of_the_day("2018-04-01")
    alone = of_the_day(str(first.date()))

    assert len(whole) > 9_000
    pd.testing.assert_frame_equal(alone, whole, check_exact=True)
