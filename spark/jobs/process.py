"""Raw to Processed: typed, validated, deduplicated, pseudonymised, on an audit branch."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Final

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.reasons import RejectReason
from contracts.results import ConservationError
from contracts.stage_results import FeedCounts, ProcessResult
from contracts.tables import TABLES
from contracts.windows import Window
from contracts.withdrawals import Withdrawal
from lake.branches import branch_name, open_branch, references
from lake.dates import date_ranges
from lake.frames import read, within
from lake.tables import delivered_date, ensure_tables
from sources.declaration import LabelFeed, Source
from sources.manifest import Manifest
from sources.registry import source as declared
from spark.jobs.batch import balances, counted, load, on_disk, reasons, with_verdicts, write_batch
from spark.jobs.label_feed import feed_labels, label_files, named_dates
from spark.transforms.deduplicate import ACCEPTED, DUPLICATE, QUARANTINED
from spark.transforms.labels import corrections, truth_labels
from spark.transforms.quarantine import with_history
from spark.transforms.withdraw import is_withdrawn, refusal

_TRANSACTIONS: Final = "processed.transactions"
_LABELS: Final = "processed.labels"
_QUARANTINE: Final = "processed.quarantine"
_PAYMENT: Final = ("source_system", "event_id", "event_date", "event_at")
_SMALL: Final = 100_000
"""Up to this many rows of Parquet are persisted."""


def process(
    spark: SparkSession,
    manifests: Sequence[Manifest],
    window: Window,
    *,
    run_id: str,
    raw_bucket: str,
    key_file: Path,
    withdrawals: Sequence[Withdrawal] = (),
) -> ProcessResult:
    """Process the landed objects of a window onto the audit branch of the run.

    Withdrawn payments are refused; those of other deliveries on the dates of the run move to the
    quarantine.

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

    # Each write reads large Parquet again: reading its columns costs less than persisting all of
    # them. Of few rows, planning and compiling the reading for each write costs more.
    batch = load(spark, source, manifests, raw_bucket, key_file, withdrawals)
    is_text = any(not one.key.endswith(".parquet") for m in manifests for one in m.objects)
    is_small = sum(manifest.rows for manifest in manifests) <= _SMALL
    with ExitStack() as stack:
        if is_text or is_small:
            batch = stack.enter_context(on_disk(batch))
        decided = with_verdicts(spark, batch, branch, _objects(manifests), withdrawals)
        if is_small:
            decided = stack.enter_context(on_disk(decided))
        groups, touched, delivered, removed, label_feed = _write(
            spark, source, decided, manifests, window, branch, withdrawals, raw_bucket
        )
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
        withdrawn=reasons(groups).get(RejectReason.WITHDRAWN, 0) + removed,
        label_feed=label_feed,
    ).check()


def _write(
    spark: SparkSession,
    source: Source,
    decided: DataFrame,
    manifests: Sequence[Manifest],
    window: Window,
    branch: str,
    withdrawals: Sequence[Withdrawal],
    raw_bucket: str,
) -> tuple[list[Row], tuple[date, ...], tuple[date, ...], int, FeedCounts]:
    """Write the decided rows of the batch to the branch, and replace those of the same objects.

    Returns the counts of its groups, the dates that it touches, the dates of its deliveries, how
    many payments of other deliveries it removes, and what became of the rows of the label feed.
    """
    objects = _objects(manifests)
    groups = counted(decided)
    _check_arrived(groups, manifests)
    is_foreign = ~F.col("raw_object").isin(objects)
    accepted = decided.filter(F.col("verdict") == ACCEPTED)
    labels = truth_labels(accepted, source.labels)

    # A changed mapping may move payments to other dates, or refuse them.
    before = _dates_before(spark, branch, objects)

    def kept(table: str, on_dates: Column) -> DataFrame:
        rows = read(spark, table, branch).filter(is_foreign & on_dates)
        if table == _TRANSACTIONS:
            return rows.filter(~is_withdrawn(withdrawals))
        if table != _LABELS or not (before[_TRANSACTIONS] or withdrawals):
            return rows
        # Another delivery may have corrected the label of a payment that is now refused. Labels
        # are written after the payments.
        columns = ["source_system", "event_id", "event_date"]
        payments = read(spark, _TRANSACTIONS, branch).filter(on_dates).select(columns)
        return rows.join(payments, columns, "left_semi")

    dates_touched = {row["event_date"] for row in groups if row["verdict"] == ACCEPTED}
    dates_touched |= before[_TRANSACTIONS] | before[_LABELS]
    feed_counts = FeedCounts()
    for files in label_files(source, manifests):
        named = named_dates(files.longest_days, window)
        payments = kept(_TRANSACTIONS, named).select(*_PAYMENT)
        payments = payments.unionByName(accepted.filter(named).select(*_PAYMENT))
        feed = feed_labels(spark, source, files, raw_bucket, payments, kept(_LABELS, named))
        labels = labels.unionByName(feed.labels)
        dates_touched |= feed.dates
        if not files.is_feedback:
            feed_counts = feed.counts
    repeated = {row["event_date"] for row in groups if row["verdict"] == DUPLICATE}
    if repeated and not isinstance(source.labels, LabelFeed):
        on_dates = within("event_date", date_ranges(repeated))
        known = read(spark, _LABELS, branch).filter(is_foreign & on_dates)
        repeats = decided.filter((F.col("verdict") == DUPLICATE) & F.col("is_later"))
        corrected = corrections(repeats, known.unionByName(labels), source.labels)
        dates_touched |= {row[0] for row in corrected.select("event_date").distinct().collect()}
        labels = labels.unionByName(corrected)

    delivered = before[_QUARANTINE]
    refused = None
    if reasons(groups) or delivered:
        refused = decided.filter(F.col("verdict") == QUARANTINED)
    delivered |= {landed.delivered_date for manifest in manifests for landed in manifest.objects}

    leaving, removed_count = None, 0
    if withdrawals:
        days = date_ranges({*window.dates(), *dates_touched})
        found = _withdrawn(spark, branch, withdrawals).filter(within("event_date", days))
        by_date = found.groupBy(is_foreign.alias("is_foreign"), "event_date", "delivered_date")
        places = by_date.count().collect()
        leaving = found if places else None
        others = [row for row in places if row["is_foreign"]]
        removed_count = sum(row["count"] for row in others)
        dates_touched |= {row["event_date"] for row in others}
        delivered |= {row["delivered_date"] for row in others}
        if others:
            names = [name for name in found.columns if name in decided.columns]
            both = decided.filter(F.col("verdict") == QUARANTINED).select(names)
            refused = both.unionByName(found.filter(is_foreign).select(names))
    if refused is not None:
        earlier = read(spark, _QUARANTINE, branch).filter(~is_foreign)
        refused = with_history(refused, earlier).withColumn("window_key", F.lit(window.key))

    touched, dates_delivered = tuple(sorted(dates_touched)), tuple(sorted(delivered))
    write_batch(
        spark,
        source,
        accepted,
        labels,
        touched,
        branch,
        kept=kept,
        refused=refused,
        delivered=dates_delivered,
        leaving=leaving,
    )
    return groups, touched, dates_delivered, removed_count, feed_counts


def _dates_before(spark: SparkSession, branch: str, objects: Sequence[str]) -> dict[str, set[date]]:
    """Return, by dated table, the dates on which a branch has rows of these objects."""
    tables = (_TRANSACTIONS, _LABELS, _QUARANTINE)
    dates = [
        read(spark, table, branch)
        .filter(F.col("raw_object").isin(objects))
        .select(F.lit(table), F.col(str(TABLES[table].partition_by)))
        for table in tables
    ]
    before: dict[str, set[date]] = {table: set() for table in tables}
    # One job for all tables: a job costs more to plan than to run.
    for table, day in reduce(DataFrame.union, dates).distinct().collect():
        before[table].add(day)
    return before


def _withdrawn(spark: SparkSession, branch: str, withdrawals: Sequence[Withdrawal]) -> DataFrame:
    """Return the withdrawn payments of a branch as it is now, as rows to refuse."""
    # By the snapshot, since the branch changes before these rows are written to it.
    snapshot = references(spark, [TABLES[_TRANSACTIONS]])[_TRANSACTIONS][branch]
    payments = read(spark, _TRANSACTIONS, snapshot).filter(is_withdrawn(withdrawals))
    date_of = delivered_date(F.col("raw_object"), F.col("ingested_at"))
    return payments.withColumns({**refusal(), "delivered_date": date_of})


def _objects(manifests: Sequence[Manifest]) -> list[str]:
    return sorted({one.key for m in manifests for one in (*m.objects, *m.labels)})


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
