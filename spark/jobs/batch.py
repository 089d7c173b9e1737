"""What `process` and `redrive` share: rows of Raw judged, counted, and written to a branch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.results import Balance
from sources.currencies import ISO_4217, UNKNOWN_CURRENCY
from sources.declaration import Source
from sources.manifest import Manifest
from spark.jobs.raw import read_raw
from spark.tables import read, spans, within, write
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


def judge(spark: SparkSession, batch: DataFrame, version: str | int) -> DataFrame:
    """Return the batch with its verdicts, given what `version` of the transactions holds."""
    days = [row[0] for row in batch.select("event_date").distinct().collect() if row[0]]
    nearby = within("event_date", spans(days, _REPEAT_DAYS, _REPEAT_DAYS))
    known = read(spark, "processed.transactions", version).filter(nearby).select(*_KNOWN)
    return deduplicate(batch, known)


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
) -> None:
    """Write each table's new content to the branch.

    `kept` returns, of a dated table, the rows that stay beside those of the batch; `refused` is
    the new content of the quarantine, None when that stays as it is.
    """

    def dated(table: str, rows: DataFrame) -> None:
        there = kept(table).filter(within("event_date", spans(touched)))
        write(there.unionByName(rows.select(*there.columns)), table, branch)

    def party(table: str, merged: Callable[[DataFrame, DataFrame], DataFrame]) -> None:
        write(merged(read(spark, table, branch), accepted), table, branch)

    writes: list[Callable[[], None]] = []
    if touched:
        writes += [
            lambda: dated("processed.transactions", accepted),
            lambda: dated("processed.labels", truth_labels(accepted, source.labels)),
            lambda: party("processed.customers", customers),
            lambda: party("processed.merchants", merchants),
        ]
    if refused is not None:
        writes.append(lambda: write(refused, "processed.quarantine", branch))
    with ThreadPoolExecutor(_WRITES_AT_ONCE) as pool:
        for done in [pool.submit(task) for task in writes]:
            done.result()
