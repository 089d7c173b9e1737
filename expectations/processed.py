"""Gate processed: the audit branch of Processed, before it is published."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.reasons import RejectReason
from contracts.render.to_gx import shown
from contracts.results import Balance, GateResult
from contracts.stage_results import ProcessResult
from contracts.stages import Gate
from contracts.windows import Window
from expectations import day_profile
from expectations.checkpoint import Batch
from expectations.comparison import run_batch
from expectations.lake import zone_batches
from expectations.run import evaluate
from expectations.suites import comparisons, days
from sources.currencies import ISO_4217, UNKNOWN_CURRENCY
from sources.declaration import Source
from sources.registry import source as declared

if TYPE_CHECKING:
    from sources.manifest import Manifest

PROCESSED_TABLES: Final = ("transactions", "labels", "customers", "merchants", "quarantine")
_PARTIES: Final = ("customers", "merchants")
_TRANSACTIONS: Final = "processed.transactions"
_MONTH_DAYS: Final = 28
_LABEL: Final = ("event_date", "source_system")
_BY_DAY: Final = ["event_date", "source_system"]

_LINKS: Final = """
with known as (
    select source_system, event_id, event_date, max_by(is_fraud, known_at) as is_fraud,
        min(known_at) as known_at
    from {labels} group by source_system, event_id, event_date
)
select
    coalesce(t.event_date, l.event_date) as event_date,
    coalesce(t.source_system, l.source_system) as source_system,
    count_if(l.is_fraud and t.event_id is not null) as frauds,
    count_if(t.event_id is null) as labels_without_payment,
    count_if(l.event_id is null) as payments_without_label,
    count_if(l.known_at < t.event_at) as labels_known_too_early,
    count_if(t.event_id is not null and c.customer_id is null) as payments_without_customer,
    count_if(t.counterparty_id is not null and m.counterparty_id is null)
        as payments_without_merchant
from {transactions} as t
full join known as l
    on t.source_system = l.source_system and t.event_id = l.event_id
    and t.event_date = l.event_date
left join {customers} as c
    on t.source_system = c.source_system and t.customer_id = c.customer_id
left join {merchants} as m
    on t.source_system = m.source_system and t.counterparty_id = m.counterparty_id
group by 1, 2 order by 1, 2
"""


def processed_frames(spark: Any, processed: ProcessResult) -> dict[str, Any]:
    """Return the audited frames of Processed by short name.

    `past` are the payments of the days that those of the run are compared with, and of dates of the
    window to which the run brought nothing.
    """
    from pyspark.sql import functions as F

    from lake.dates import date_ranges
    from lake.frames import audit_frame

    window = processed.window
    compared = {*processed.dates, *window.dates()}
    wider = [
        day
        for first, last in date_ranges(compared, before=day_profile.LOOKBACK_DAYS)
        for day in Window(window.source, first, last).dates()
    ]
    frames = {n: audit_frame(spark, processed, f"processed.{n}") for n in PROCESSED_TABLES}
    # The day profile also counts the new parties of the days before.
    frames |= {n: audit_frame(spark, processed, f"processed.{n}", wider) for n in _PARTIES}
    past = audit_frame(spark, processed, _TRANSACTIONS, sorted(set(wider) - set(processed.dates)))
    is_own = F.col("source_system") == window.source
    return {**frames, "past": past.where(is_own)}


def gate_processed(
    spark: Any, processed: ProcessResult, manifests: "Sequence[Manifest]", state_dir: Path
) -> GateResult:
    """Check the rows that a run wrote to the audit branch from the objects of `manifests`."""
    frames = processed_frames(spark, processed)
    return evaluate_processed(spark, frames, processed, manifests, state_dir)


def evaluate_processed(
    spark: Any,
    frames: Mapping[str, Any],
    processed: ProcessResult,
    manifests: "Sequence[Manifest]",
    state_dir: Path,
) -> GateResult:
    """Check the frames of `processed_frames` against the job's report and the manifests."""
    window = processed.window
    source = declared(window.source)
    if processed.withdrawn:
        # The days of the run lack what was withdrawn: a difference to earlier days is no fault.
        source = replace(source, ranges=replace(source.ranges, is_steady=False))
    objects = [(item.key,) for manifest in manifests for item in manifest.objects]
    batch = spark.createDataFrame(objects, "raw_object string")
    refused = frames["quarantine"].join(batch, "raw_object", "left_semi")
    refused = refused.select(*frames["quarantine"].columns)
    wrote = sum(balance.rows_out for balance in processed.balances) > 0
    tables = {name: frames[name] for name in PROCESSED_TABLES} | {"quarantine": refused}

    with ThreadPoolExecutor(4) as pool:
        profile = pool.submit(day_profile.read, spark, frames, batch, source)
        links = pool.submit(_links, spark, frames, window.source)
        quarantine = pool.submit(_in_quarantine, refused)
        batches = zone_batches("processed", tables, wrote, tuple(source.may_leave_empty))
    daily, by_currency = profile.result().daily, profile.result().by_currency
    # A right join, because earlier days matter only as the past of the run's days.
    by_day = daily.merge(links.result(), "right", _BY_DAY).fillna({"rows": 0, "morning_rows": 0})

    balances = _balances(processed, manifests, by_currency, quarantine.result())
    batches += [
        Batch(
            _TRANSACTIONS,
            balances,
            comparisons.balance_rules(source.ranges),
            ("source_system", "currency"),
            part="balances",
            sentences=_refusals(refused, processed, source),
        ),
        Batch(_TRANSACTIONS, _shares(by_day), days.processed_rules(source, wrote), _LABEL, "days"),
        *day_profile.batches(_TRANSACTIONS, profile.result(), source, processed.dates),
        run_batch(_TRANSACTIONS, processed),
    ]
    if processed.label_feed.rows:
        batches.append(
            Batch("processed.labels", _feed(processed), days.feed_rules(), part="label_feed")
        )
    if processed.balances:
        delivered = _delivered(processed, daily, window)
        batches.append(
            Batch(_TRANSACTIONS, delivered, days.delivery_rules(source), part="delivery")
        )
        closed_days = [day for manifest in manifests for day in manifest.closed_days]
        on_its_days = source.closed_on(closed_days)
        whole = _window_days(daily, window, on_its_days, is_whole=not processed.withdrawn)
        batches.append(Batch(_TRANSACTIONS, whole, days.window_rules(source), _LABEL, "window"))
    if by_day["event_date"].nunique() >= _MONTH_DAYS:
        month = _month_share(by_day)
        batches.append(Batch("processed.labels", month, days.month_rules(source), part="month"))
    return evaluate(Gate.PROCESSED, processed.window, processed.run_id, batches, state_dir)


def _feed(processed: ProcessResult) -> Any:
    """Return one row on the label feed: its unreadable rows, and the share without a payment.

    The share of fewer than `days.MINIMUM_ROWS` rows is not checked.
    """
    import pandas as pd

    feed = processed.label_feed
    share = feed.without_payment / feed.rows if feed.rows >= days.MINIMUM_ROWS else None
    return pd.DataFrame({"unreadable": [feed.unreadable], "without_payment_share": [share]})


def _links(spark: Any, frames: Mapping[str, Any], source: str) -> Any:
    """Return, by day, how many payments of a source lack their label, customer or merchant."""
    is_own = f"source_system = '{source}'"
    names = ("transactions", "labels", "customers", "merchants")
    return spark.sql(_LINKS, **{name: frames[name].where(is_own) for name in names}).toPandas()


@dataclass(frozen=True)
class _Quarantined:
    """The quarantined rows of a batch by source, and their money by source and currency."""

    rows: Counter[str]
    amounts: Mapping[tuple[str, str], Decimal]


def _in_quarantine(refused: Any) -> _Quarantined:
    """Count a batch's rows and money in quarantine; an unknown currency counts as XXX."""
    from pyspark.sql import functions as F

    totals = (F.count(F.lit(1)).alias("rows"), F.sum("amount").alias("amount"))
    counted: Counter[str] = Counter()
    amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in refused.groupBy("source_system", "currency").agg(*totals).collect():
        counted[row["source_system"]] += row["rows"]
        if row["amount"] is not None:
            known = row["currency"] if row["currency"] in ISO_4217 else UNKNOWN_CURRENCY
            amounts[row["source_system"], known] += row["amount"]
    return _Quarantined(counted, amounts)


def _refusals(refused: Any, processed: ProcessResult, source: Source) -> dict[str, str]:
    """Return what the rules on the share of refused rows mean, by their short names.

    The main reason is the most frequent one, with the first row that it refused.
    """
    from pyspark.sql import functions as F

    rows_in = sum(balance.rows_in for balance in processed.balances)
    share = _refused_share(processed.balances, processed)
    limits = {
        "declared": source.ranges.quarantined_share,
        "plausible": source.ranges.usual_quarantined_share,
    }
    counts = {r: n for r, n in processed.reasons.items() if r != RejectReason.WITHDRAWN}
    if not counts or share <= min(limits.values()):
        return {}
    reason, count = max(counts.items(), key=lambda counted: counted[1])
    place = ("raw_object", "raw_position")
    first = refused.where(F.array_contains("reasons", reason)).orderBy(*place).select(*place).head()
    where = f", first in row {first['raw_position']} of {first['raw_object']}" if first else ""
    return {
        rule: f"{100 * share:.1f} % of {rows_in} rows refused,"
        f" limit {shown('quarantined_share', limit)}: {count} {reason}{where}"
        for rule, limit in limits.items()
    }


def _refused_share(balances: Sequence[Balance], processed: ProcessResult) -> float:
    """Return the share of refused rows; withdrawn ones are no fault of the delivery."""
    withdrawn = processed.reasons.get(RejectReason.WITHDRAWN, 0)
    rows_in = sum(balance.rows_in for balance in balances)
    return (sum(b.rows_quarantined for b in balances) - withdrawn) / max(rows_in, 1)


def _balances(
    processed: ProcessResult,
    manifests: "Sequence[Manifest]",
    by_currency: Any,
    in_quarantine: _Quarantined,
) -> Any:
    """Return the figures of the job's report and of its tables, by source system and currency.

    Landed and quarantined rows are compared by source, because rows that the job did not report
    have no currency.
    """
    import pandas as pd

    stored = by_currency.groupby(["source_system", "currency"])[
        ["batch_rows", "batch_amount"]
    ].sum()
    landed: Counter[str] = Counter()
    for manifest in manifests:
        landed[manifest.source] += manifest.rows
    rows = []
    for b in processed.balances:
        group = (b.source_system, b.currency)
        of_source = [o for o in processed.balances if o.source_system == b.source_system]
        rows.append(
            {
                "source_system": b.source_system,
                "currency": b.currency,
                "rows_landed": landed[b.source_system],
                "rows_in": sum(o.rows_in for o in of_source),
                "rows_accounted": sum(
                    o.rows_out + o.rows_quarantined + o.rows_duplicate for o in of_source
                ),
                "amount_in": b.amount_in,
                # A changed rule can read more money in the same rows than was reported as input.
                "amount_accounted": b.amount_out
                + b.amount_quarantined
                + b.amount_duplicate
                - b.amount_restated,
                "rows_out": b.rows_out,
                "rows_in_table": int(stored.loc[group, "batch_rows"])
                if group in stored.index
                else 0,
                "amount_out": b.amount_out,
                "amount_in_table": stored.loc[group, "batch_amount"]
                if group in stored.index
                else 0,
                "rows_quarantined": sum(o.rows_quarantined for o in of_source),
                "rows_in_quarantine": in_quarantine.rows[b.source_system],
                "amount_quarantined": b.amount_quarantined,
                "amount_in_quarantine": in_quarantine.amounts.get(group, 0),
                "quarantined_share": _refused_share(of_source, processed),
            }
        )
    return pd.DataFrame(rows, columns=_BALANCE_COLUMNS)


_BALANCE_COLUMNS: Final = [
    *("source_system", "currency", "rows_landed", "rows_in", "rows_accounted"),
    *("amount_in", "amount_accounted", "rows_out", "rows_in_table"),
    *("amount_out", "amount_in_table", "rows_quarantined", "rows_in_quarantine"),
    *("amount_quarantined", "amount_in_quarantine", "quarantined_share"),
]


def _shares(by_day: Any) -> Any:
    """Add the shares of each day that has at least `days.MINIMUM_ROWS` payments."""
    has_enough_rows = by_day["rows"] >= days.MINIMUM_ROWS
    labelled = by_day["rows"] - by_day["payments_without_label"]
    return by_day.assign(
        morning_share=(by_day["morning_rows"] / by_day["rows"]).where(has_enough_rows),
        fraud_share=(by_day["frauds"] / labelled).where(labelled >= days.MINIMUM_ROWS),
        unlabelled_share=by_day["payments_without_label"] / by_day["rows"].clip(lower=1),
    )


def _month_share(by_day: Any) -> Any:
    """Return one row a source: its share of known frauds over all days of the window."""
    measures = ["rows", "payments_without_label", "frauds"]
    total = by_day.groupby("source_system", as_index=False)[measures].sum()
    labelled = total["rows"] - total["payments_without_label"]
    return total.assign(fraud_share=(total["frauds"] / labelled).where(labelled > 0))


def _delivered(processed: ProcessResult, daily: Any, window: Window) -> Any:
    """Return one row on the delivery: its shares of late, early and unexplained repeated rows.

    A repeat is explained by a row that another delivery has brought to the dates of the window.
    """
    import pandas as pd

    in_window = daily["event_date"].map(lambda day: day in window)
    batch, came = daily["batch_rows"], max(int(daily["batch_rows"].sum()), 1)
    explained = int((daily["rows"] - batch)[in_window].sum())
    repeats = sum(balance.rows_duplicate for balance in processed.balances)
    rows_in = max(sum(balance.rows_in for balance in processed.balances), 1)
    return pd.DataFrame(
        {
            "late_share": [int(batch[daily["event_date"] < window.start].sum()) / came],
            "early_share": [int(batch[daily["event_date"] > window.end].sum()) / came],
            "repeated_share": [max(repeats - explained, 0) / rows_in],
        }
    )


def _window_days(daily: Any, window: Window, source: Source, *, is_whole: bool) -> Any:
    """Return a row for each date of the window, also for one without a payment.

    A day is not `is_whole` if payments of it are withdrawn.
    """
    import pandas as pd

    counts: dict[date, int] = daily.groupby("event_date")["rows"].sum().to_dict()
    is_complete = is_whole and source.delivers == "daily"
    rows = []
    for day in window.dates():
        count = int(counts.get(day, 0))
        open_days = int(is_complete and not source.is_closed(day))
        missing, excess = source.rows_off(count, open_days)
        rows.append(
            {
                "source_system": source.name,
                "event_date": day,
                "rows": count,
                "rows_missing": missing,
                "rows_excess": excess,
            }
        )
    return pd.DataFrame(rows)
