"""Spark reads local times of a zone as Python's zoneinfo does."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from sources.mapping_file import zones

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

CHANGES = {
    "Europe/Berlin": ("2024-03-31 00:00", "2024-10-27 00:00"),
    "America/New_York": ("2024-03-10 00:00", "2024-11-03 00:00"),
    # Half an hour, and one that begins at midnight.
    "Australia/Lord_Howe": ("2024-10-06 00:00", "2024-04-07 00:00"),
    "Africa/Cairo": ("2024-04-25 22:00", "2024-10-31 22:00"),
}


def instant_of(local: datetime, zone: str) -> datetime | None:
    """Return the first instant at which clocks of a zone show a time, None if they skip it."""
    at = local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return at if at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local else None


@pytest.mark.parametrize("zone", CHANGES)
def test_local_times_are_instants_of_their_zone(spark: "SparkSession", zone: str) -> None:
    from pyspark.sql import functions as F

    from spark.transforms.adapt import of_zone
    from spark.transforms.validate import business_date

    starts = map(datetime.fromisoformat, CHANGES[zone])
    times = [start + timedelta(minutes=15 * n) for start in starts for n in range(24)]
    rows = spark.createDataFrame([(str(time),) for time in times], "written string")
    local = rows.select("written", F.to_timestamp_ntz("written").cast("timestamp").alias("local"))
    at = local.select("written", of_zone(F.col("local"), zone).alias("at"))
    read = at.select("written", F.unix_seconds("at"), business_date(F.col("at"), zone)).collect()

    expected = []
    for time in times:
        at_time = instant_of(time, zone)
        seconds, day = (int(at_time.timestamp()), time.date()) if at_time else (None, None)
        expected.append((str(time), seconds, day))
    assert sorted(map(tuple, read), key=str) == sorted(expected, key=str)
    assert any(seconds is None for _, seconds, _ in expected)


def test_a_date_of_a_day_that_begins_late_is_its_first_instant(spark: "SparkSession") -> None:
    from pyspark.sql import functions as F

    from spark.transforms.adapt import of_zone

    midnight = F.lit("2024-04-26").cast("timestamp")
    exact = of_zone(midnight, "Africa/Cairo")
    first = of_zone(midnight, "Africa/Cairo", has_hour=False)
    row = spark.range(1).select(exact, first.cast("string")).first()
    assert tuple(row or ()) == (None, "2024-04-25 22:00:00")


def test_spark_knows_each_zone_that_a_mapping_may_declare(spark: "SparkSession") -> None:
    from pyspark.sql import functions as F

    rows = spark.createDataFrame([(zone,) for zone in sorted(zones())], "zone string")
    at = datetime(2024, 7, 1, 12, tzinfo=UTC)
    local = F.from_utc_timestamp(F.lit("2024-07-01 12:00:00").cast("timestamp"), F.col("zone"))
    read = dict(map(tuple, rows.select("zone", local.cast("string")).collect()))

    shown = {zone: f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}" for zone in zones()}
    assert {zone: (read[zone], shown[zone]) for zone in shown if read[zone] != shown[zone]} == {}
