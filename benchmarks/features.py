"""The feature job against its baselines, and one day of it with two lengths of history.

`python -m benchmarks.features [--rounds N]`, on a running platform. The floors read the handbook's
daily files, drop repeats, compute 14 features and write a local Parquet file. Ours reads processed
payments and labels from the lake, computes every feature that the handbook can fill, and writes a
lake table with a partition for each day; so it does more, as the page says. Its tables are in a
separate namespace, which is dropped afterwards.
"""

import argparse
import importlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import psutil
from pyiceberg.catalog import Catalog
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.data import HANDBOOK, NO_HANDBOOK, handbook_days
from benchmarks.floors import spark_features
from benchmarks.page import skip, write_section
from benchmarks.rounds import Timing, interleaved, service_pids, table
from contracts.columns import LogicalType
from contracts.features import LABEL_DELAY_DAYS, LOOKBACK_DAYS, fillable
from contracts.render.to_iceberg import create_table
from contracts.settings import load_settings
from contracts.tables import TABLES
from lake.catalog import open_catalog
from lake.frames import ONE_FILE_AT_A_TIME, conform
from spark.jobs.column_coverage import columns_filled
from spark.jobs.feature_tasks import TableAt, feature_rows
from spark.session import session

_NAMESPACE: Final = "benchmark"
_TABLES: Final = ("processed.transactions", "processed.labels", "sandbox.features")
_SHORT_DAYS: Final = 30
_FILLED: Final = {"handbook": columns_filled("handbook")}


def main() -> int:
    """Run the benchmark and write its section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each figure (default 3)")
    rounds = parser.parse_args().rounds
    files = handbook_days()
    if not files:
        return skip("features", NO_HANDBOOK)
    busy = os.getloadavg()[0]
    settings = load_settings()
    spark, pids = session(settings), service_pids(settings, "spark", "s3", "postgres")
    with tempfile.TemporaryDirectory() as folder, _lake(spark):
        fill(spark, until=_SHORT_DAYS)
        days = {_SHORT_DAYS: _day_timings(spark, files[_SHORT_DAYS - 1], rounds, pids)}
        fill(spark, until=len(files))
        days[len(files)] = _day_timings(spark, files[-1], rounds, pids)
        contestants = _contestants(spark, files, Path(folder))
        for name in ("Spark, growing frames", "ours"):
            contestants[name]()  # warm: classes loaded, code compiled
        timings = interleaved(contestants, rounds=rounds, processes=pids)
    write_section("features", title="Features", lines=_lines(timings, days), busy=busy)
    return 0


def _contestants(
    spark: SparkSession, files: list[Path], folder: Path
) -> dict[str, Callable[[], object]]:
    """Return the contestants."""
    contestants: dict[str, Callable[[], object]] = {}
    for engine in ("numpy", "duckdb", "polars"):
        floor = importlib.import_module(f"benchmarks.floors.{engine}_features")
        contestants[engine] = partial(floor.run, files, folder / f"{engine}.parquet")
    contestants["Spark, growing frames"] = partial(
        spark_features.run, spark, HANDBOOK, folder / "spark"
    )
    contestants["ours"] = partial(_compute, spark, _days(spark))
    return contestants


@contextmanager
def _lake(spark: SparkSession) -> Iterator[None]:
    """Create the tables of the benchmark, and drop them afterwards."""
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS lake.{_NAMESPACE}")
    try:
        _drop(spark)
        for name in _TABLES:
            spark.sql(create_table(replace(TABLES[name], name=_named(name))))
        yield
    finally:
        _drop(spark)
        spark.sql(f"DROP NAMESPACE IF EXISTS lake.{_NAMESPACE}")


def _drop(spark: SparkSession) -> None:
    for name in _TABLES:
        spark.sql(f"DROP TABLE IF EXISTS lake.{_named(name)} PURGE")


def _named(table_name: str) -> str:
    return f"{_NAMESPACE}.{TABLES[table_name].short_name}"


def fill(spark: SparkSession, *, until: int) -> None:
    """Write the first `until` days of the handbook as processed payments and labels."""
    raw = spark.read.parquet(HANDBOOK.as_uri())
    raw = raw.filter(F.col("TX_TIME_DAYS") < until)
    at = F.col("TX_DATETIME").cast("timestamp")
    rows = raw.select(
        F.col("TRANSACTION_ID").cast("string").alias("event_id"),
        F.lit("handbook").alias("source_system"),
        F.col("TRANSACTION_ID").alias("source_sequence"),
        F.lit(1).alias("schema_version"),
        at.alias("event_at"),
        F.lit("second").alias("event_at_precision"),
        F.to_date(at).alias("event_date"),
        at.alias("ingested_at"),
        # As long as a token.
        F.md5(F.col("CUSTOMER_ID").cast("string")).alias("customer_id"),
        F.col("TERMINAL_ID").cast("string").alias("counterparty_id"),
        F.lit("terminal").alias("counterparty_type"),
        F.lit("purchase").alias("transaction_type"),
        F.lit("pos").alias("channel"),
        F.lit("card").alias("payment_method"),
        F.col("TX_AMOUNT").cast(str(LogicalType.MONEY)).alias("amount"),
        F.lit("EUR").alias("currency"),
        F.sha2(F.col("TRANSACTION_ID").cast("string"), 256).alias("content_hash"),
        F.date_format(at, "yyyy-MM-dd").alias("raw_object"),
        F.col("TRANSACTION_ID").alias("raw_position"),
        (F.col("TX_FRAUD") == 1).alias("is_fraud"),
        F.lit("truth").alias("label_source"),
        (at + F.expr(f"interval {LABEL_DELAY_DAYS} days")).alias("known_at"),
    )
    for name in _TABLES[:2]:
        lacking = [column for column in TABLES[name].column_names if column not in rows.columns]
        _put(rows.withColumns({column: F.lit(None) for column in lacking}), name)


def _compute(spark: SparkSession, days: Mapping[date, int]) -> None:
    """Compute the features of `days`, with the rows of each, into their table."""
    with closing(open_catalog(load_settings(), "processor")) as catalog:
        sources = (_current(catalog, _TABLES[0]), _current(catalog, _TABLES[1]))
    _put(feature_rows(spark, sources, _FILLED, days), "sandbox.features")


def _put(rows: DataFrame, table: str) -> None:
    writer = conform(rows, TABLES[table]).writeTo(f"lake.{_named(table)}")
    writer.options(**ONE_FILE_AT_A_TIME).overwritePartitions()


def _current(catalog: Catalog, table: str) -> TableAt:
    at = catalog.load_table(_named(table)).metadata.current_snapshot_id
    return TableAt(_named(table), at or 0)


def _days(spark: SparkSession) -> dict[date, int]:
    rows = spark.table(f"lake.{_named('processed.transactions')}").groupBy("event_date").count()
    return {row["event_date"]: row["count"] for row in rows.collect()}


def _day_timings(
    spark: SparkSession, file: Path, rounds: int, pids: list[int]
) -> tuple[list[Timing], float]:
    """Return the time of the day of a file, and the peak memory of the server in MiB."""
    day = date.fromisoformat(file.stem)
    run = partial(_compute, spark, {day: _days(spark)[day]})
    run()
    peaks = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            resident = sum(psutil.Process(pid).memory_info().rss for pid in pids)
            peaks.append(resident / 2**20)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        timings = interleaved({"day": run}, rounds=rounds, processes=pids)["day"]
    finally:
        done.set()
        watcher.join()
    return timings, max(peaks)


def _lines(
    timings: dict[str, list[Timing]], days: dict[int, tuple[list[Timing], float]]
) -> list[str]:
    short, long = days
    walls = {
        length: median(timing.wall for timing in timings) for length, (timings, _) in days.items()
    }
    cpus = {
        length: median(timing.cpu for timing in timings) for length, (timings, _) in days.items()
    }
    count = len(fillable(columns_filled("handbook")))
    return [
        "The floors and the textbook Spark job go from the handbook's Parquet files to 14 features"
        f" in local Parquet; ours goes from processed payments in the lake to {count} features in"
        " a lake table with a partition a day, on the same warm Spark server. CPU counts Spark, S3"
        " and Postgres.",
        "",
        *table(timings, against="numpy"),
        "",
        f"One day, from the {LOOKBACK_DAYS} days before it, with {short} and {long} days in the"
        " lake:",
        "",
        "| days in the lake | wall, s | CPU, s | peak of the services, MiB |",
        "|---|---|---|---|",
        *(
            f"| {length} | {walls[length]:.2f} | {cpus[length]:.2f} | {days[length][1]:.0f} |"
            for length in days
        ),
        f"| ratio | {walls[long] / walls[short]:.2f} | {cpus[long] / cpus[short]:.2f} |"
        f" {days[long][1] / days[short][1]:.2f} |",
    ]


if __name__ == "__main__":
    sys.exit(main())
