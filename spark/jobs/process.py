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
from lake.frames import read
from lake.tables import ensure_tables
from sources.declaration import Source
from sources.manifest import Manifest
from sources.registry import source as declared
from spark.jobs.batch import balances, counted, judge, load, on_disk, reasons, write_batch
from spark.transforms.deduplicate import ACCEPTED, QUARANTINED
from spark.transforms.quarantine import rules, with_history


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

    # Parquet is read again by each write, only the columns that it needs: cheaper than to keep all.
    batch = load(spark, source, manifests, raw_bucket, key_file)
    is_text = any(not key.endswith(".parquet") for key in _objects(manifests))
    with on_disk(batch) if is_text else nullcontext(batch) as rows:
        groups, touched, delivered = _write(spark, source, rows, manifests, window, branch)
    held = references(spark, tables)
    return ProcessResult(
        window=window,
        run_id=run_id,
        dates=touched,
        snapshots={name: branches[branch] for name, branches in held.items()},
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
    """Write the batch onto the branch, in place of the rows there that come from its objects.

    Returns the counts of its groups, the dates that it touches, and the dates of its deliveries.
    """
    objects = _objects(manifests)
    judged = judge(spark, batch, branch, own=objects)
    groups = counted(judged)
    _check_arrived(groups, manifests)
    is_foreign = ~F.col("raw_object").isin(objects)
    accepted_dates = {row["event_date"] for row in groups if row["verdict"] == ACCEPTED}
    # A mapping that has changed may lead payments to other dates than they stand on.
    stood = read(spark, "processed.transactions", branch).filter(~is_foreign).select("event_date")
    touched = tuple(sorted(accepted_dates | {row[0] for row in stood.distinct().collect()}))

    def kept(table: str) -> DataFrame:
        return read(spark, table, branch).filter(is_foreign)

    before = read(spark, "processed.quarantine", branch).filter(~is_foreign)
    dates_before = {row[0] for row in before.select("delivered_date").distinct().collect()}
    dates = {landed.delivered_date for manifest in manifests for landed in manifest.objects}
    delivered = tuple(sorted(dates | dates_before))
    refused = None
    if reasons(groups) or dates_before:
        refused = with_history(judged.filter(F.col("verdict") == QUARANTINED), before)
        refused = refused.withColumns({"window_key": F.lit(window.key), "rules": rules(source)})
    accepted = judged.filter(F.col("verdict") == ACCEPTED)
    write_batch(
        spark,
        source,
        accepted,
        touched,
        branch,
        kept=kept,
        refused=refused,
        delivered=delivered,
    )
    return groups, touched, delivered


def _objects(manifests: Sequence[Manifest]) -> list[str]:
    return sorted({held.key for manifest in manifests for held in manifest.objects})


def _check_arrived(groups: Sequence[Row], manifests: Sequence[Manifest]) -> None:
    """Prove that the rows and the money that were read are those that landed."""
    objects = {held.key: held for manifest in manifests for held in manifest.objects}.values()
    landed: dict[str, tuple[int, Decimal]] = {}
    found: dict[str, tuple[int, Decimal]] = {}
    for held in objects:
        for currency, rows in held.row_counts.items():
            _count(landed, currency, rows, held.amounts[currency])
    for row in groups:
        _count(found, row["balance_currency"], row["row_count"], row["total"] or Decimal(0))
    for currency in sorted(landed.keys() | found.keys()):
        there, here = landed.get(currency, (0, 0)), found.get(currency, (0, 0))
        if there != here:
            raise ConservationError(
                f"process read {here[0]} rows and {here[1]} of money in {currency} from Raw,"
                f" where the manifests hold {there[0]} and {there[1]}. If the source's mapping has"
                " changed since, land the window again."
            )


def _count(sums: dict[str, tuple[int, Decimal]], currency: str, rows: int, amount: Decimal) -> None:
    known = sums.get(currency, (0, Decimal(0)))
    sums[currency] = (known[0] + rows, known[1] + amount)
