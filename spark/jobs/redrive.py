"""Process quarantined rows again from Raw, by the current rules and mapping."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.columns import LogicalType
from contracts.reasons import RejectReason
from contracts.results import Balance, ConservationError
from contracts.stage_results import ProcessResult, RedrivenResult, RedriveResult
from contracts.windows import Window
from contracts.withdrawals import Withdrawal
from lake.branches import MAIN, branch_name, open_branch, references
from lake.frames import read
from lake.tables import ensure_tables
from sources.currencies import formatted
from sources.declaration import Source
from sources.manifest import Manifest
from sources.registry import source as declared
from spark.jobs.batch import FLOWS, balance_currency, on_disk, typed, with_verdicts, write_batch
from spark.jobs.raw import read_raw
from spark.transforms.deduplicate import ACCEPTED, QUARANTINED
from spark.transforms.labels import truth_labels
from spark.transforms.quarantine import HISTORY

_PLACE: Final = ("raw_object", "raw_position")
_QUARANTINE: Final = "processed.quarantine"


class NothingToRedriveError(LookupError):
    """Raised when no row of the window is in quarantine for one of the requested reasons."""


class QuarantineMovedError(RuntimeError):
    """Raised when the quarantine of a window differs from the result of its last run."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of the quarantined rows that share reasons, currency and verdict.

    `reasons` and `amount` are those in quarantine, `reasons_now` and `amount_now` those by the
    current rules. A row that passes has no reason now.
    """

    reasons: tuple[str, ...]
    currency: str
    rows: int
    amount: Decimal
    verdict: str
    reasons_now: tuple[str, ...]
    currency_now: str
    amount_now: Decimal

    def __str__(self) -> str:
        """Return the outcome in a sentence."""
        now = {
            "accepted": "would pass",
            "duplicate": "would be dropped as a repeat",
            "quarantined": f"would be refused again ({', '.join(self.reasons_now)})",
        }[self.verdict]
        return (
            f"{', '.join(self.reasons)}: {self.rows} row{'s' * (self.rows != 1)} {now},"
            f" worth {formatted(self.amount_now, self.currency_now)} {self.currency_now}"
            f" (in quarantine {formatted(self.amount, self.currency)} {self.currency})"
        )


@dataclass(frozen=True)
class _Retried:
    """The selected rows with new verdicts, and with their columns in the quarantine as `was`."""

    source: Source
    rows: DataFrame
    groups: tuple[Row, ...]


def rehearse(
    spark: SparkSession,
    processed: ProcessResult,
    manifests: Sequence[Manifest],
    *,
    reasons: Iterable[str] = (),
    raw_bucket: str,
    key_file: Path,
    withdrawals: Sequence[Withdrawal] = (),
) -> tuple[Outcome, ...]:
    """Return what `redrive` would do, and write nothing.

    Raises: as `redrive`.
    """
    given = (reasons, MAIN, raw_bucket, key_file, withdrawals)
    with _retry(spark, processed, manifests, *given) as retried:
        return _outcomes(retried.groups)


def redrive(
    spark: SparkSession,
    processed: ProcessResult,
    manifests: Sequence[Manifest],
    *,
    reasons: Iterable[str] = (),
    run_id: str,
    raw_bucket: str,
    key_file: Path,
    withdrawals: Sequence[Withdrawal] = (),
) -> RedrivenResult:
    """Write the quarantined rows of a window that pass now to the audit branch of the run.

    `processed` is the last result of the stage process for the window, `manifests` are those that
    it read, and `withdrawals` those that are active. Their quarantined rows with a reason in
    `reasons` are processed again, or all if `reasons` is empty. A row that fails again stays in
    quarantine, with its history and one redrive more.

    Returns the result of the stage process with these rows, which the next stages read like the
    result of a complete run. Its `redrive` is the result of the redrive, for the selected rows.

    Raises:
        NothingToRedriveError: when no row is selected.
        QuarantineMovedError: when the quarantine has other rows of the window than `processed`:
            process the window again.
        RawUnfitError: when an object does not match its declared layout.
        ConservationError: when rows or money are lost.
    """
    tables = ensure_tables(spark, "processed")
    branch = branch_name(run_id)
    open_branch(spark, tables, branch)

    given = (reasons, branch, raw_bucket, key_file, withdrawals)
    with _retry(spark, processed, manifests, *given) as retried:
        accepted = retried.rows.filter(F.col("verdict") == ACCEPTED)
        touched = sorted(
            {row["event_date"] for row in retried.groups if row["verdict"] == ACCEPTED}
        )

        def kept(table: str, on_dates: Column) -> DataFrame:
            key, rows = list(_PLACE), retried.rows
            if table != _QUARANTINE:
                # A killed run may have published some of these payments.
                key, rows = ["source_system", "event_id", "raw_object"], accepted
            there = read(spark, table, branch).filter(on_dates)
            return there.join(F.broadcast(rows.select(key)), key, "left_anti")

        write_batch(
            spark,
            retried.source,
            accepted,
            truth_labels(accepted, retried.source.labels),
            touched,
            branch,
            kept=kept,
            refused=_refused(retried, processed.window, run_id),
            delivered=processed.delivered_dates,
        )
    heads = references(spark, tables)
    moved = RedriveResult(
        window=processed.window,
        run_id=run_id,
        dates=tuple(touched),
        balances=_moved(retried.groups),
        asked_for=tuple(sorted(reasons)),
        outcomes=tuple(str(outcome) for outcome in _outcomes(retried.groups)),
    ).check()
    return RedrivenResult(
        window=processed.window,
        run_id=run_id,
        dates=tuple(sorted({*processed.dates, *touched})),
        snapshots={name: branches[branch] for name, branches in heads.items()},
        branch=branch,
        balances=_restated(processed.balances, retried.groups),
        manifests=processed.manifests,
        reasons=_reasons_after(processed.reasons, retried.groups),
        delivered_dates=processed.delivered_dates,
        label_feed=processed.label_feed,
        redrive=moved,
    ).check()


@contextmanager
def _retry(
    spark: SparkSession,
    processed: ProcessResult,
    manifests: Sequence[Manifest],
    reasons: Iterable[str],
    version: str,
    raw_bucket: str,
    key_file: Path,
    withdrawals: Sequence[Withdrawal],
) -> Iterator[_Retried]:
    """Read the selected rows from Raw and decide on them, given the current payments."""
    asked = sorted({str(RejectReason(reason)) for reason in reasons})
    keys = sorted({landed.key for manifest in manifests for landed in manifest.objects})
    quarantine = read(spark, _QUARANTINE, version).filter(F.col("raw_object").isin(keys))
    wanted = F.lit(True) if not asked else F.arrays_overlap("reasons", F.lit(asked))
    _check_quarantine(quarantine, processed)
    was = F.struct(
        F.concat_ws(",", "reasons").alias("reasons"),
        balance_currency(F.col("currency")).alias("currency"),
        "amount",
        *HISTORY,
    )
    with ExitStack() as stack:
        selected = quarantine.filter(wanted).select(*_PLACE, was.alias("was"))
        selected = stack.enter_context(on_disk(selected))
        objects = {row[0] for row in selected.select("raw_object").distinct().collect()}
        if not objects:
            raise NothingToRedriveError(
                f"no row of the window {processed.window.key} is in quarantine"
                f"{' for ' + ', '.join(asked) if asked else ''}: there is nothing to redrive."
            )
        source = declared(manifests[0].source)
        landed = read_raw(spark, source, _only(manifests, objects), raw_bucket)
        rows = landed.join(F.broadcast(selected.select(*_PLACE)), list(_PLACE), "left_semi")
        batch = typed(spark, source, rows, key_file, withdrawals)
        batch = batch.join(F.broadcast(selected), list(_PLACE), "inner")
        batch = stack.enter_context(on_disk(batch))
        decided = with_verdicts(spark, batch, version, withdrawals=withdrawals)
        retried = stack.enter_context(on_disk(decided))
        groups = _counted(retried)
        count, expected = sum(row["row_count"] for row in groups), selected.count()
        if count != expected:
            raise ConservationError(
                f"redrive read {count} of {expected} quarantined rows from Raw."
            )
        yield _Retried(source, retried, groups)


def _check_quarantine(quarantine: DataFrame, processed: ProcessResult) -> None:
    """Check that the quarantine of the window matches the ledger.

    Raises:
        QuarantineMovedError: when it does not.
    """
    sums = (
        quarantine.groupBy("source_system", balance_currency(F.col("currency")).alias("currency"))
        .agg(F.count(F.lit(1)).alias("rows"), F.sum("amount").alias("amount"))
        .collect()
    )
    stored = {(r["source_system"], r["currency"]): (r["rows"], r["amount"] or 0) for r in sums}
    recorded = {
        (b.source_system, b.currency): (b.rows_quarantined, b.amount_quarantined)
        for b in processed.balances
        if b.rows_quarantined
    }
    if stored != recorded:
        rows = [sum(rows for rows, _ in sides.values()) for sides in (stored, recorded)]
        raise QuarantineMovedError(
            f"the quarantine has {rows[0]} rows of the window {processed.window.key}, but its last"
            f" run recorded {rows[1]}, or another amount: another run has processed its objects"
            " since. Run process_transactions for the window, then redrive_quarantine."
        )


def _only(manifests: Sequence[Manifest], objects: set[str]) -> list[Manifest]:
    """Return the manifests with these objects only."""
    kept = (
        replace(manifest, objects=tuple(one for one in manifest.objects if one.key in objects))
        for manifest in manifests
    )
    return [manifest for manifest in kept if manifest.objects]


def _refused(retried: _Retried, window: Window, run_id: str) -> DataFrame:
    """Return the selected rows that fail again, with one redrive more."""
    # An earlier attempt of this run has counted already.
    is_counted = F.coalesce(F.col("redrive_run_id") == run_id, F.lit(False))
    failed = retried.rows.filter(F.col("verdict") == QUARANTINED)
    failed = failed.withColumns({name: F.col(f"was.{name}") for name in HISTORY})
    return failed.withColumns(
        {
            "window_key": F.lit(window.key),
            "redrive_count": F.col("redrive_count") + F.when(is_counted, 0).otherwise(1),
            "redrive_run_id": F.lit(run_id),
        }
    )


def _counted(decided: DataFrame) -> tuple[Row, ...]:
    """Return rows and money by reasons and currency, in quarantine and now."""
    now = F.when(F.col("verdict") == QUARANTINED, F.concat_ws(",", "reasons")).otherwise("")
    groups = decided.groupBy(
        "source_system",
        F.col("was.reasons").alias("reasons_before"),
        F.col("was.currency").alias("currency_before"),
        "verdict",
        now.alias("reasons_now"),
        balance_currency(F.col("currency")).alias("currency_now"),
        "event_date",
    )
    zero = F.lit(0).cast(str(LogicalType.MONEY))
    return tuple(
        groups.agg(
            F.count(F.lit(1)).alias("row_count"),
            F.coalesce(F.sum("was.amount"), zero).alias("amount_before"),
            F.coalesce(F.sum("amount"), zero).alias("amount_now"),
        ).collect()
    )


def _outcomes(groups: Iterable[Row]) -> tuple[Outcome, ...]:
    summed: dict[tuple[str, ...], list[Any]] = {}
    for row in groups:
        key = (
            row["reasons_before"],
            row["currency_before"],
            row["verdict"],
            row["reasons_now"],
            row["currency_now"],
        )
        sums = summed.setdefault(key, [0, Decimal("0.00"), Decimal("0.00")])
        for at, name in enumerate(("row_count", "amount_before", "amount_now")):
            sums[at] += row[name]
    return tuple(
        Outcome(
            reasons=tuple(before.split(",")),
            currency=currency,
            rows=sums[0],
            amount=sums[1],
            verdict=verdict,
            reasons_now=tuple(filter(None, now.split(","))),
            currency_now=currency_now,
            amount_now=sums[2],
        )
        for (before, currency, verdict, now, currency_now), sums in sorted(summed.items())
    )


def _moved(groups: Iterable[Row]) -> tuple[Balance, ...]:
    """Return the balances of the redrive. The rows and money in are those of the quarantine."""
    selected: dict[tuple[str, str], Balance] = {}
    for row in groups:
        before = (row["source_system"], row["currency_before"])
        for flow in ("in", "quarantined"):
            _add(selected, before, flow, row["row_count"], row["amount_before"])
    return _restated(selected.values(), groups)


def _restated(balances: Iterable[Balance], groups: Iterable[Row]) -> tuple[Balance, ...]:
    """Return balances in which the rows have moved from quarantine to the flow of their verdict.

    The difference between their amount now and in quarantine is in the flow `restated`.
    """
    kept = {(balance.source_system, balance.currency): balance for balance in balances}
    for row in groups:
        before = (row["source_system"], row["currency_before"])
        after = (row["source_system"], row["currency_now"])
        rows, worth, worth_now = row["row_count"], row["amount_before"], row["amount_now"]
        _add(kept, before, "quarantined", -rows, -worth)
        _add(kept, after, FLOWS[row["verdict"]], rows, worth_now)
        _add(kept, before, "restated", -rows, -worth)
        _add(kept, after, "restated", rows, worth_now)
    return tuple(kept[key] for key in sorted(kept))


def _add(
    kept: dict[tuple[str, str], Balance], key: tuple[str, str], flow: str, rows: int, money: Decimal
) -> None:
    balance = kept.get(key, Balance(*key, rows_in=0, rows_out=0))
    sums: dict[str, Any] = {
        f"rows_{flow}": getattr(balance, f"rows_{flow}") + rows,
        f"amount_{flow}": getattr(balance, f"amount_{flow}") + money,
    }
    kept[key] = replace(balance, **sums)


def _reasons_after(counts: dict[str, int], groups: Iterable[Row]) -> dict[str, int]:
    """Return how many rows each reason refuses, after the redrive."""
    after = dict(counts)
    for row in groups:
        for name, sign in (("reasons_before", -1), ("reasons_now", 1)):
            for reason in filter(None, row[name].split(",")):
                after[reason] = after.get(reason, 0) + sign * row["row_count"]
    return {reason: count for reason, count in sorted(after.items()) if count}
