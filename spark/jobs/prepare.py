"""Processed to Sandbox: point-in-time features and a masked sample, on an audit branch."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from contracts.features import LOOKBACK_DAYS
from contracts.results import Balance
from contracts.stage_results import PrepareResult, ProcessResult
from lake.branches import ancestors, branch_name, open_branch, references
from lake.dates import date_ranges
from lake.frames import note_of, read, within, write
from lake.tables import ensure_tables
from spark.jobs.column_coverage import columns_filled
from spark.jobs.feature_tasks import TableAt, feature_rows
from spark.transforms.mask import masked_sample

_TRANSACTIONS: Final = "processed.transactions"


def prepare(spark: SparkSession, processed: ProcessResult, *, run_id: str) -> PrepareResult:
    """Compute the features that a processed window changes, on the audit branch of the run.

    A payment on day t changes features up to t + `LOOKBACK_DAYS`. The existing days of this range
    are computed again, each from the `LOOKBACK_DAYS` before it. Processed is read at the snapshots
    of `processed`, or at those that Sandbox was computed from if they are later, so that an old
    window does not undo later ones. The result names these snapshots for the load.

    Raises:
        ConservationError: when payments and features do not match.
    """
    tables = ensure_tables(spark, "sandbox")
    branch = branch_name(run_id)
    open_branch(spark, tables, branch)

    inputs = _inputs(spark, processed.snapshots, branch)
    transactions = read(spark, _TRANSACTIONS, inputs[_TRANSACTIONS])
    came_in = _counted(transactions, date_ranges(processed.dates, after=LOOKBACK_DAYS))
    days: dict[date, int] = {}
    for (_, _, day), (count, _) in came_in.items():
        days[day] = days.get(day, 0) + count
    # A date of the window may have lost its payments.
    dates = sorted({*days, *processed.dates})
    if dates:
        labels = TableAt("processed.labels", inputs["processed.labels"])
        read_from = (TableAt(_TRANSACTIONS, inputs[_TRANSACTIONS]), labels)
        filled = {name: columns_filled(name) for name in {system for system, _, _ in came_in}}
        features = feature_rows(spark, read_from, filled, days)
        note = json.dumps(inputs)
        sample = masked_sample(transactions.filter(within("event_date", date_ranges(dates))))
        with ThreadPoolExecutor(len(tables)) as pool:
            for done in (
                pool.submit(write, features, "sandbox.features", branch, dates, note),
                pool.submit(write, sample, "sandbox.transactions_masked", branch, dates),
            ):
                done.result()
    heads = references(spark, tables)
    snapshots = {name: branches[branch] for name, branches in heads.items()}
    went_out = _counted(
        read(spark, "sandbox.features", snapshots["sandbox.features"]), date_ranges(dates)
    )
    return PrepareResult(
        window=processed.window,
        run_id=run_id,
        dates=tuple(dates),
        snapshots={**inputs, **snapshots},
        branch=branch,
        balances=_balances(came_in, went_out),
    ).check()


def _inputs(spark: SparkSession, given: dict[str, int], branch: str) -> dict[str, int]:
    """Return the snapshots of Processed to read: `given`, or later ones that Sandbox read."""
    note = note_of(spark, "sandbox.features", branch)
    if note is None:
        return given
    used: dict[str, int] = json.loads(note)
    head = (_TRANSACTIONS, used[_TRANSACTIONS])
    is_ahead = given[_TRANSACTIONS] in ancestors(spark, [_TRANSACTIONS], [head])[head]
    return used if is_ahead and given[_TRANSACTIONS] != used[_TRANSACTIONS] else given


_Counts = dict[tuple[str, str, date], tuple[int, Decimal]]


def _counted(df: DataFrame, ranges: list[tuple[date, date]]) -> _Counts:
    """Return rows and money by source, currency and day."""
    rows = (
        df.filter(within("event_date", ranges))
        .groupBy("source_system", "currency", "event_date")
        .agg(F.count(F.lit(1)).alias("row_count"), F.sum("amount").alias("total"))
        .collect()
    )
    return {
        (row["source_system"], row["currency"], row["event_date"]): (row["row_count"], row["total"])
        for row in rows
    }


def _balances(came_in: _Counts, went_out: _Counts) -> tuple[Balance, ...]:
    def total(counts: _Counts, key: tuple[str, str]) -> tuple[int, Decimal]:
        mine = [
            value for (system, currency, _), value in counts.items() if (system, currency) == key
        ]
        return sum(rows for rows, _ in mine), sum((money for _, money in mine), Decimal("0.00"))

    balances = []
    for key in sorted({(system, currency) for system, currency, _ in {**came_in, **went_out}}):
        rows_in, amount_in = total(came_in, key)
        rows_out, amount_out = total(went_out, key)
        balances.append(
            Balance(*key, rows_in, rows_out, amount_in=amount_in, amount_out=amount_out)
        )
    return tuple(balances)
