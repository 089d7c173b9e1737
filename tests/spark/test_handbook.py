"""The feature job against what the handbook's authors published."""

from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pytest

from contracts.features import LOOKBACK_DAYS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

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

    features = computed(*payments_and_labels(spark, "2018-04-01", "2018-09-30"))
    published = spark.read.parquet((FOLDER / "published_features.parquet").as_uri())
    # Spark counts the differences: 1.75 million rows of either table are not sent to the client.
    both = features.join(published, F.col("event_id") == F.col("TRANSACTION_ID"), "full")
    differs = {
        name: ~F.coalesce(_is_close(F.col(name), F.col(theirs)), F.lit(False))
        for name, theirs in _PUBLISHED.items()
    }
    counted = both.agg(
        F.count("event_id").alias("ours"),
        F.count("TRANSACTION_ID").alias("theirs"),
        F.count("*").alias("both"),
        F.count_if(reduce(or_, differs.values())).alias("any"),
        *(F.count_if(condition).alias(name) for name, condition in differs.items()),
    ).collect()[0]

    assert counted["ours"] == counted["theirs"] == counted["both"] == 1_754_155
    wrong = {name: counted[name] for name in _PUBLISHED if counted[name]}
    assert all(name.startswith("customer_") for name in wrong), wrong
    assert counted["any"] <= _TIES, wrong


def _is_close(ours: "Column", theirs: "Column") -> "Column":
    from pyspark.sql import functions as F

    difference = F.abs(ours.cast("double") - theirs.cast("double"))
    return difference <= 1e-9 + 1e-9 * F.abs(theirs)


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
