"""Raw to Processed: typed, validated, deduplicated, pseudonymised, on an audit branch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.results import Balance, ConservationError, StageResult
from contracts.stages import Stage
from contracts.windows import Window
from sources.currencies import ISO_4217, UNKNOWN_CURRENCY
from sources.declaration import Source
from sources.manifest import Manifest
from sources.registry import source as declared
from spark.jobs.raw import read_raw
from spark.session import says_when_lost
from spark.tables import (
    branch_name,
    ensure_tables,
    open_branch,
    read,
    references,
    spans,
    within,
    write,
)
from spark.transforms.adapt import adapt
from spark.transforms.coarsen import coarsen
from spark.transforms.deduplicate import ACCEPTED, DUPLICATE, QUARANTINED, deduplicate
from spark.transforms.labels import truth_labels
from spark.transforms.parties import customers, merchants
from spark.transforms.pseudonymise import pads, pseudonymise
from spark.transforms.validate import validate

_REPEAT_DAYS: Final = 31
"""How far from a batch's dates a repeat of its payments is looked for: the cost stays bounded."""
_KNOWN: Final = ("source_system", "event_id", "content_hash", "raw_object", "raw_position")
_WRITES_AT_ONCE: Final = 3


@says_when_lost
def process(
    spark: SparkSession,
    manifests: Sequence[Manifest],
    window: Window,
    *,
    run_id: str,
    raw_bucket: str,
    key_file: Path,
) -> StageResult:
    """Process the landed objects of a window onto the audit branch of the run.

    Main is not touched: `publish` moves it after the gate. Running it again, also after a kill,
    replaces the branch.

    Raises:
        RawUnfitError: when an object cannot be read or has not the declared columns.
        ConservationError: when rows or money are lost on the way.
    """
    source = declared(manifests[0].source)
    tables = ensure_tables(spark, "processed")
    branch = branch_name(run_id)
    open_branch(spark, tables, branch)

    batch = load(spark, source, manifests, raw_bucket, key_file).persist()
    days = [row[0] for row in batch.select("event_date").distinct().collect() if row[0]]
    nearby = within("event_date", spans(days, _REPEAT_DAYS, _REPEAT_DAYS))
    known = read(spark, "processed.transactions", branch).filter(nearby).select(*_KNOWN)
    judged = deduplicate(batch, known).persist()
    groups = _counted(judged)
    _check_arrived(groups, manifests)
    touched = tuple(sorted({row["event_date"] for row in groups if row["verdict"] == ACCEPTED}))

    _write(spark, source, judged, groups, touched, window, manifests, branch)
    for frame in (judged, batch):
        frame.unpersist()
    held = references(spark, tables)
    return StageResult(
        stage=Stage.PROCESS,
        window=window.key,
        run_id=run_id,
        dates=touched,
        snapshots={name: branches[branch] for name, branches in held.items()},
        branch=branch,
        balances=_balances(groups),
        details={
            "manifests": [manifest.key for manifest in manifests],
            "reasons": _reasons(groups),
        },
    ).check()


def load(
    spark: SparkSession,
    source: Source,
    manifests: Sequence[Manifest],
    raw_bucket: str,
    key_file: Path,
) -> DataFrame:
    """Return the batch: canonical rows with their refusals, no direct identifier left."""
    key = spark.read.format("binaryFile").load(key_file.absolute().as_uri())
    rows = validate(adapt(read_raw(spark, source, manifests, raw_bucket), source), source)
    return coarsen(pseudonymise(rows, pads(key)))


def _counted(judged: DataFrame) -> list[Row]:
    """Return rows and money of the batch by currency, verdict, date and reasons."""
    is_known = F.coalesce(F.col("currency").isin(*sorted(ISO_4217)), F.lit(False))
    currency = F.when(is_known, F.col("currency")).otherwise(UNKNOWN_CURRENCY)
    reasons = F.when(F.col("verdict") == QUARANTINED, F.concat_ws(",", "reasons"))
    rows: list[Row] = (
        judged.groupBy(
            "source_system",
            currency.alias("balance_currency"),
            "verdict",
            "event_date",
            reasons.alias("reason_text"),
        )
        .agg(F.count(F.lit(1)).alias("row_count"), F.sum("amount").alias("total"))
        .collect()
    )
    return rows


def _check_arrived(groups: Sequence[Row], manifests: Sequence[Manifest]) -> None:
    """Prove that the rows and the money that were read are those that landed."""
    objects = {held.key: held for manifest in manifests for held in manifest.objects}.values()
    landed = (sum(held.rows or 0 for held in objects), sum(held.amount or 0 for held in objects))
    found = (sum(row["row_count"] for row in groups), sum(row["total"] or 0 for row in groups))
    if landed != found:
        raise ConservationError(
            f"process read {found[0]} rows and {found[1]} of money from Raw,"
            f" where the manifests hold {landed[0]} and {landed[1]}."
        )


def _balances(groups: Sequence[Row]) -> tuple[Balance, ...]:
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    flows = {ACCEPTED: "out", QUARANTINED: "quarantined", DUPLICATE: "duplicate"}
    for row in groups:
        sums = kept.setdefault(
            (row["source_system"], row["balance_currency"]),
            {
                **{f"rows_{flow}": 0 for flow in ("in", *flows.values())},
                **{f"amount_{flow}": Decimal("0.00") for flow in ("in", *flows.values())},
            },
        )
        for flow in ("in", flows[row["verdict"]]):
            sums[f"rows_{flow}"] += row["row_count"]
            sums[f"amount_{flow}"] += row["total"] or 0
    return tuple(Balance(*key, **sums) for key, sums in sorted(kept.items()))


def _reasons(groups: Sequence[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in groups:
        for reason in filter(None, (row["reason_text"] or "").split(",")):
            counts[reason] = counts.get(reason, 0) + row["row_count"]
    return dict(sorted(counts.items()))


def _write(
    spark: SparkSession,
    source: Source,
    judged: DataFrame,
    groups: Sequence[Row],
    touched: Sequence[date],
    window: Window,
    manifests: Sequence[Manifest],
    branch: str,
) -> None:
    """Write each table's new content: what other objects brought stays, this batch is replaced."""
    objects = sorted({held.key for manifest in manifests for held in manifest.objects})
    is_foreign = ~F.col("raw_object").isin(objects)
    accepted = judged.filter(F.col("verdict") == ACCEPTED)

    def kept(table: str) -> DataFrame:
        return read(spark, table, branch).filter(is_foreign)

    def dated(table: str, rows: DataFrame) -> None:
        there = kept(table).filter(within("event_date", spans(touched)))
        write(there.unionByName(rows.select(*there.columns)), table, branch)

    def party(table: str, merged: Callable[[DataFrame, DataFrame], DataFrame]) -> None:
        write(merged(read(spark, table, branch), accepted), table, branch)

    def refused() -> None:
        rows = judged.filter(F.col("verdict") == QUARANTINED).withColumns(
            {"window_key": F.lit(window.key), "first_seen_at": F.col("ingested_at")}
        )
        there = kept("processed.quarantine")
        write(there.unionByName(rows.select(*there.columns)), "processed.quarantine", branch)

    writes: list[Callable[[], None]] = []
    if touched:
        writes += [
            lambda: dated("processed.transactions", _blank_columns(accepted)),
            lambda: dated("processed.labels", truth_labels(accepted, source.labels)),
            lambda: party("processed.customers", customers),
            lambda: party("processed.merchants", merchants),
        ]
    if (
        _reasons(groups)
        or not read(spark, "processed.quarantine", branch).filter(~is_foreign).isEmpty()
    ):
        writes.append(refused)
    with ThreadPoolExecutor(_WRITES_AT_ONCE) as pool:
        for done in [pool.submit(task) for task in writes]:
            done.result()


def _blank_columns(accepted: DataFrame) -> DataFrame:
    """Add the canonical columns that no source fills yet."""
    return accepted.withColumn("source_flags", F.lit(None).cast("array<string>"))
