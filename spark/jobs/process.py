"""Raw to Processed: typed, validated, deduplicated, pseudonymised, on an audit branch."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from pathlib import Path

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.results import ConservationError
from contracts.stage_results import ProcessResult
from contracts.windows import Window
from lake.branches import branch_name, open_branch, references
from lake.dates import date_ranges
from lake.frames import read, within
from lake.tables import ensure_tables
from sources.declaration import Source
from sources.manifest import Manifest
from sources.registry import source as declared
from spark.jobs.batch import balances, counted, load, on_disk, reasons, with_verdicts, write_batch
from spark.transforms.deduplicate import ACCEPTED, DUPLICATE, QUARANTINED
from spark.transforms.labels import corrections, truth_labels
from spark.transforms.quarantine import with_history


def process(
    spark: SparkSession,
    manifests: Sequence[Manifest],
    window: Window,
    *,
    run_id: str,
    raw_bucket: str,
    key_file: Path,
) -> ProcessResult:
    """Process the landed objects of a window onto the audit branch of the run.

    Main does not change: `publish` moves it after the gate. Another run replaces the branch, also
    after a kill.

    Raises:
        RawUnfitError: when an object cannot be read or lacks declared columns.
        ConservationError: when rows or money are lost.
    """
    source = declared(manifests[0].source)
    tables = ensure_tables(spark, "processed")
    branch = branch_name(run_id)
    open_branch(spark, tables, branch)

    # Each write reads Parquet again: reading its columns costs less than persisting all of them.
    batch = load(spark, source, manifests, raw_bucket, key_file)
    is_text = any(not key.endswith(".parquet") for key in _objects(manifests))
    with on_disk(batch) if is_text else nullcontext(batch) as rows:
        groups, touched, delivered = _write(spark, source, rows, manifests, window, branch)
    heads = references(spark, tables)
    return ProcessResult(
        window=window,
        run_id=run_id,
        dates=touched,
        snapshots={name: branches[branch] for name, branches in heads.items()},
        branch=branch,
        balances=balances(groups),
        manifests=tuple(manifest.key for manifest in manifests),
        reasons=reasons(groups),
        delivered_dates=delivered,
    ).check()


def _write(
    spark: SparkSession,
    source: Source,
    batch: DataFrame,
    manifests: Sequence[Manifest],
    window: Window,
    branch: str,
) -> tuple[list[Row], tuple[date, ...], tuple[date, ...]]:
    """Write the batch to the branch, and replace the rows of the same objects.

    Returns the counts of its groups, the dates that it touches, and the dates of its deliveries.
    """
    objects = _objects(manifests)
    decided = with_verdicts(spark, batch, branch, own=objects)
    groups = counted(decided)
    _check_arrived(groups, manifests)
    is_foreign = ~F.col("raw_object").isin(objects)
    accepted = decided.filter(F.col("verdict") == ACCEPTED)
    labels = truth_labels(accepted, source.labels)

    def dates_of(rows: DataFrame) -> set[date]:
        return {row[0] for row in rows.select("event_date").distinct().collect()}

    # A changed mapping may move payments to other dates, or refuse them.
    dates_before = dates_of(read(spark, "processed.transactions", branch).filter(~is_foreign))

    def kept(table: str) -> DataFrame:
        rows = read(spark, table, branch).filter(is_foreign)
        if table != "processed.labels" or not dates_before:
            return rows
        # Another delivery may have corrected the label of a payment that is now refused.
        columns = ["source_system", "event_id", "event_date"]
        payments = kept("processed.transactions").select(columns)
        return rows.join(payments.unionByName(accepted.select(columns)), columns, "left_semi")

    dates_touched = {row["event_date"] for row in groups if row["verdict"] == ACCEPTED}
    dates_touched |= dates_before
    dates_touched |= dates_of(read(spark, "processed.labels", branch).filter(~is_foreign))
    if repeated := {row["event_date"] for row in groups if row["verdict"] == DUPLICATE}:
        known = kept("processed.labels").filter(within("event_date", date_ranges(repeated)))
        repeats = decided.filter((F.col("verdict") == DUPLICATE) & F.col("is_later"))
        corrected = corrections(repeats, known.unionByName(labels), source.labels)
        dates_touched |= dates_of(corrected)
        labels = labels.unionByName(corrected)
    touched = tuple(sorted(dates_touched))

    before = read(spark, "processed.quarantine", branch).filter(~is_foreign)
    refused_before = {row[0] for row in before.select("delivered_date").distinct().collect()}
    dates = {landed.delivered_date for manifest in manifests for landed in manifest.objects}
    delivered = tuple(sorted(dates | refused_before))
    refused = None
    if reasons(groups) or refused_before:
        refused = with_history(decided.filter(F.col("verdict") == QUARANTINED), before)
        refused = refused.withColumn("window_key", F.lit(window.key))
    write_batch(
        spark,
        source,
        accepted,
        labels,
        touched,
        branch,
        kept=kept,
        refused=refused,
        delivered=delivered,
    )
    return groups, touched, delivered


def _objects(manifests: Sequence[Manifest]) -> list[str]:
    return sorted({landed.key for manifest in manifests for landed in manifest.objects})


def _check_arrived(groups: Sequence[Row], manifests: Sequence[Manifest]) -> None:
    """Check that the rows and the money that were read are those that landed."""
    objects = {one.key: one for manifest in manifests for one in manifest.objects}.values()
    landed: dict[str, tuple[int, Decimal]] = {}
    read_back: dict[str, tuple[int, Decimal]] = {}
    for one in objects:
        for currency, rows in one.row_counts.items():
            _count(landed, currency, rows, one.amounts[currency])
    for row in groups:
        _count(read_back, row["balance_currency"], row["row_count"], row["total"] or Decimal(0))
    for currency in sorted(landed.keys() | read_back.keys()):
        there, here = landed.get(currency, (0, 0)), read_back.get(currency, (0, 0))
        if there != here:
            raise ConservationError(
                f"process read {here[0]} rows and {here[1]} of money in {currency} from Raw,"
                f" but {there[0]} rows and {there[1]} landed. If the mapping of the source has"
                " changed since, land the window again."
            )


def _count(sums: dict[str, tuple[int, Decimal]], currency: str, rows: int, amount: Decimal) -> None:
    known = sums.get(currency, (0, Decimal(0)))
    sums[currency] = (known[0] + rows, known[1] + amount)
