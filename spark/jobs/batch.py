"""What `process` and `redrive` share: rows of Raw judged, counted, and written to a branch."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.results import Balance
from contracts.tables import TABLES
from lake.dates import date_ranges
from lake.frames import merge, read, within, write
from sources.currencies import ISO_4217, UNKNOWN_CURRENCY
from sources.declaration import Source
from sources.manifest import Manifest
from spark.jobs.raw import read_raw
from spark.transforms.coarsen import coarsen
from spark.transforms.deduplicate import ACCEPTED, DUPLICATE, QUARANTINED, deduplicate
from spark.transforms.labels import truth_labels
from spark.transforms.parties import customers, merchants
from spark.transforms.pseudonymise import pads, pseudonymise
from spark.transforms.validate import validate

FLOWS: Final = {ACCEPTED: "out", QUARANTINED: "quarantined", DUPLICATE: "duplicate"}
"""The flow of a balance into which a verdict leads."""
_REPEAT_DAYS: Final = 31
"""How far from a batch's dates a repeat of its payments is looked for: the cost stays bounded."""
_KNOWN: Final = ("source_system", "event_id", "content_hash", "raw_object", "raw_position")
_PAYMENT: Final = ("source_system", "event_id")
_FEW: Final = 50_000
"""Payments that stand twice are brought together by their ids, up to so many."""
_WRITES_AT_ONCE: Final = 3


def load(
    spark: SparkSession,
    source: Source,
    manifests: Sequence[Manifest],
    raw_bucket: str,
    key_file: Path,
) -> DataFrame:
    """Return the batch: canonical rows with their refusals, no direct identifier left."""
    return typed(spark, source, read_raw(spark, source, manifests, raw_bucket), key_file)


def typed(spark: SparkSession, source: Source, rows: DataFrame, key_file: Path) -> DataFrame:
    """Judge mapped rows of Raw; no direct identifier is left in what is returned."""
    key = spark.read.format("binaryFile").load(key_file.absolute().as_uri())
    return coarsen(pseudonymise(validate(rows, source), pads(key)))


@contextmanager
def on_disk(frame: DataFrame) -> Iterator[DataFrame]:
    """Keep rows that are read several times, and let go of them however that ends.

    Not in memory: a block that is evicted while another thread reads it fails the job. What is not
    let go of, the server would keep beyond the session.
    """
    held = frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield held
    finally:
        held.unpersist()


def judge(
    spark: SparkSession, batch: DataFrame, version: str | int, own: Sequence[str] = ()
) -> DataFrame:
    """Return the batch with its verdicts, given what `version` of the transactions holds.

    `own` are the Raw objects that the batch holds whole: what was known from them is the batch.
    Nearly every payment stands once and is judged where it stands; only those that stand twice,
    in the batch or in it and in the table, are brought together and put in order.
    """
    days = [row[0] for row in batch.select("event_date").distinct().collect() if row[0]]
    nearby = within("event_date", date_ranges(days, _REPEAT_DAYS, _REPEAT_DAYS))
    is_other = ~F.col("raw_object").isin(*own) if own else F.lit(True)
    known = read(spark, "processed.transactions", version).filter(nearby & is_other)
    known = known.select(*_KNOWN)
    both = batch.select(*_PAYMENT).unionByName(known.select(*_PAYMENT))
    repeated = both.groupBy(*_PAYMENT).count().filter("count > 1").select(*_PAYMENT)
    found = repeated.limit(_FEW + 1).collect()
    if len(found) > _FEW:
        return deduplicate(batch, known)
    once = batch
    if found:
        few = F.broadcast(spark.createDataFrame(found, repeated.schema))
        twice = deduplicate(
            batch.join(few, on=list(_PAYMENT), how="left_semi"),
            known.join(few, on=list(_PAYMENT), how="left_semi"),
        )
        once = batch.join(few, on=list(_PAYMENT), how="left_anti")
    verdict = F.when(F.size("reasons") == 0, ACCEPTED).otherwise(QUARANTINED)
    once = once.withColumn("verdict", verdict)
    return once.unionByName(twice) if found else once


def balance_currency(currency: Column) -> Column:
    """Return the currency under which a row is counted: XXX for one that nobody knows."""
    is_known = F.coalesce(currency.isin(*sorted(ISO_4217)), F.lit(False))
    return F.when(is_known, currency).otherwise(UNKNOWN_CURRENCY)


def counted(judged: DataFrame) -> list[Row]:
    """Return rows and money of the batch by currency, verdict, date and reasons."""
    reasons = F.when(F.col("verdict") == QUARANTINED, F.concat_ws(",", "reasons"))
    rows: list[Row] = (
        judged.groupBy(
            "source_system",
            balance_currency(F.col("currency")).alias("balance_currency"),
            "verdict",
            "event_date",
            reasons.alias("reason_text"),
        )
        .agg(F.count(F.lit(1)).alias("row_count"), F.sum("amount").alias("total"))
        .collect()
    )
    return rows


def balances(groups: Sequence[Row]) -> tuple[Balance, ...]:
    """Return what went in and where it went, by source system and currency."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for row in groups:
        sums = kept.setdefault(
            (row["source_system"], row["balance_currency"]),
            {
                **{f"rows_{flow}": 0 for flow in ("in", *FLOWS.values())},
                **{f"amount_{flow}": Decimal("0.00") for flow in ("in", *FLOWS.values())},
            },
        )
        for flow in ("in", FLOWS[row["verdict"]]):
            sums[f"rows_{flow}"] += row["row_count"]
            sums[f"amount_{flow}"] += row["total"] or 0
    return tuple(Balance(*key, **sums) for key, sums in sorted(kept.items()))


def reasons(groups: Sequence[Row]) -> dict[str, int]:
    """Return how many rows each reason refuses."""
    counts: dict[str, int] = {}
    for row in groups:
        for reason in filter(None, (row["reason_text"] or "").split(",")):
            counts[reason] = counts.get(reason, 0) + row["row_count"]
    return dict(sorted(counts.items()))


def write_batch(
    spark: SparkSession,
    source: Source,
    accepted: DataFrame,
    touched: Sequence[date],
    branch: str,
    *,
    kept: Callable[[str], DataFrame],
    refused: DataFrame | None,
    delivered: Sequence[date],
) -> None:
    """Write each table's new content on the dates `touched` to the branch.

    `kept` returns the rows of a dated table that stay beside those of the batch. `refused` are the
    rows of the batch for the quarantine, on the dates `delivered`. None leaves it as it is.
    """

    def dated(table: str, rows: DataFrame, dates: Sequence[date] = touched) -> None:
        column = str(TABLES[table].partition_by)
        there = kept(table).filter(within(column, date_ranges(dates)))
        both = there.unionByName(rows.select(*there.columns))
        write(both, table, branch, dates)

    def party(table: str, merged: Callable[[DataFrame, DataFrame], DataFrame]) -> None:
        # What stands in the table by now costs no second reading of Raw.
        written = read(spark, "processed.transactions", branch).filter(
            within("event_date", date_ranges(touched)) & (F.col("source_system") == source.name)
        )
        merge(merged(read(spark, table, branch), written), table, branch)

    first: list[Callable[[], None]] = []
    then: list[Callable[[], None]] = []
    if touched:
        first = [
            lambda: dated("processed.transactions", accepted),
            lambda: dated("processed.labels", truth_labels(accepted, source.labels)),
        ]
        then = [
            lambda: party("processed.customers", customers),
            lambda: party("processed.merchants", merchants),
        ]
    if refused is not None:
        first.append(lambda: dated("processed.quarantine", refused, delivered))
    with ThreadPoolExecutor(_WRITES_AT_ONCE) as pool:
        for writes in (first, then):
            for done in [pool.submit(task) for task in writes]:
                done.result()
