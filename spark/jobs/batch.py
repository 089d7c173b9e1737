"""Steps of `process` and `redrive`: decide on rows of Raw, count them, write them to a branch."""

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
from contracts.withdrawals import Withdrawal
from lake.dates import date_ranges
from lake.frames import delete, merge, read, within, write
from sources.currencies import ISO_4217, UNKNOWN_CURRENCY
from sources.declaration import LabelFeed, Source
from sources.manifest import Manifest
from spark.jobs.raw import read_raw
from spark.transforms.coarsen import coarsen
from spark.transforms.deduplicate import ACCEPTED, DUPLICATE, QUARANTINED, deduplicate
from spark.transforms.labels import without_overruled
from spark.transforms.parties import customers, merchants
from spark.transforms.pseudonymise import pads, pseudonymise
from spark.transforms.validate import validate
from spark.transforms.withdraw import is_withdrawn, refuse_withdrawn

FLOWS: Final = {ACCEPTED: "out", QUARANTINED: "quarantined", DUPLICATE: "duplicate"}
"""The flow of a balance that counts the rows of a verdict."""
_REPEAT_DAYS: Final = 31
"""Repeats are detected within this many days of a batch, so that the cost is bounded."""
_KNOWN: Final = (
    *("source_system", "event_id", "content_hash", "raw_object", "raw_position", "ingested_at"),
)
_PAYMENT: Final = ("source_system", "event_id")
_FEW: Final = 50_000
"""Up to this many repeated payments are joined by broadcast."""
_WRITES_AT_ONCE: Final = 3


def load(
    spark: SparkSession,
    source: Source,
    manifests: Sequence[Manifest],
    raw_bucket: str,
    key_file: Path,
    withdrawals: Sequence[Withdrawal],
) -> DataFrame:
    """Return the batch: canonical rows with their reasons, without direct identifiers."""
    rows = read_raw(spark, source, manifests, raw_bucket)
    return typed(spark, source, rows, key_file, withdrawals)


def typed(
    spark: SparkSession,
    source: Source,
    rows: DataFrame,
    key_file: Path,
    withdrawals: Sequence[Withdrawal],
) -> DataFrame:
    """Validate mapped rows of Raw, and return them without direct identifiers."""
    key = spark.read.format("binaryFile").load(key_file.absolute().as_uri())
    batch = coarsen(pseudonymise(validate(rows, source), pads(key)))
    return refuse_withdrawn(batch, withdrawals)


@contextmanager
def on_disk(frame: DataFrame) -> Iterator[DataFrame]:
    """Persist a frame that is read several times, until the block ends.

    The frame is on disk: in memory, a block that is evicted while another thread reads it fails the
    job. The server would keep it after the end of the session.
    """
    persisted = frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield persisted
    finally:
        persisted.unpersist()


def with_verdicts(
    spark: SparkSession,
    batch: DataFrame,
    version: str | int,
    own: Sequence[str] = (),
    withdrawals: Sequence[Withdrawal] = (),
) -> DataFrame:
    """Return the batch with the columns of `deduplicate`, given the transactions at `version`.

    `own` are the Raw objects that are completely in the batch: known payments of these objects are
    ignored, as are withdrawn ones. Only payments that occur more than once, in the batch or in the
    batch and the table, are shuffled and ordered.
    """
    days = [row[0] for row in batch.select("event_date").distinct().collect() if row[0]]
    nearby = within("event_date", date_ranges(days, _REPEAT_DAYS, _REPEAT_DAYS))
    is_other = ~F.col("raw_object").isin(*own) if own else F.lit(True)
    known = read(spark, "processed.transactions", version).filter(nearby & is_other)
    known = known.filter(~is_withdrawn(withdrawals)).select(*_KNOWN)
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
    once = once.withColumns({"verdict": verdict, "is_later": F.lit(False)})
    return once.unionByName(twice) if found else once


def balance_currency(currency: Column) -> Column:
    """Return the currency that a row is counted under: XXX for an unknown one."""
    is_known = F.coalesce(currency.isin(*sorted(ISO_4217)), F.lit(False))
    return F.when(is_known, currency).otherwise(UNKNOWN_CURRENCY)


def counted(decided: DataFrame) -> list[Row]:
    """Return rows and money of the batch by currency, verdict, date and reasons."""
    reasons = F.when(F.col("verdict") == QUARANTINED, F.concat_ws(",", "reasons"))
    rows: list[Row] = (
        decided.groupBy(
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
    """Return the flows of rows and money by source system and currency."""
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
    labels: DataFrame,
    touched: Sequence[date],
    branch: str,
    *,
    kept: Callable[[str, Column], DataFrame],
    refused: DataFrame | None,
    delivered: Sequence[date],
    leaving: DataFrame | None = None,
) -> None:
    """Write each table's new content on the dates `touched` to the branch.

    `labels` are those of the accepted payments, and corrections of others.
    `kept` returns the rows of a dated table that stay beside those of the batch, on the dates of a
    condition. `refused` are the rows of the batch for the quarantine, on the dates `delivered`.
    None leaves it as it is.
    `leaving` are payments that are no longer there. Their parties are derived from what remains.
    """

    def dated(table: str, rows: DataFrame, dates: Sequence[date] = touched) -> None:
        column = str(TABLES[table].partition_by)
        there = kept(table, within(column, date_ranges(dates)))
        both = there.unionByName(rows.select(*there.columns))
        if table == "processed.labels" and isinstance(source.labels, LabelFeed):
            both = without_overruled(both).select(*there.columns)
        write(both, table, branch, dates)

    def party(table: str, merged: Callable[[DataFrame, DataFrame], DataFrame]) -> None:
        # The table has these payments already, so Raw is not read again.
        written = read(spark, "processed.transactions", branch).filter(
            within("event_date", date_ranges(touched)) & (F.col("source_system") == source.name)
        )
        if leaving is not None:
            key = list(TABLES[table].key)
            parties = leaving.select(key).distinct()
            delete(parties, table, branch)
            remaining = read(spark, "processed.transactions", branch)
            written = written.unionByName(remaining.join(F.broadcast(parties), key, "left_semi"))
        merge(merged(read(spark, table, branch), written), table, branch)

    first: list[Callable[[], None]] = []
    then: list[Callable[[], None]] = []
    if touched:
        first = [lambda: dated("processed.transactions", accepted)]
        then = [
            lambda: dated("processed.labels", labels),
            lambda: party("processed.customers", customers),
            lambda: party("processed.merchants", merchants),
        ]
    if refused is not None:
        first.append(lambda: dated("processed.quarantine", refused, delivered))
    with ThreadPoolExecutor(_WRITES_AT_ONCE) as pool:
        for writes in (first, then):
            for done in [pool.submit(task) for task in writes]:
                done.result()
