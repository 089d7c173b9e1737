"""Judge the lake's tables on their audit branch, before a reader sees them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.render import to_spark
from contracts.render.to_gx import not_empty
from contracts.results import GateResult, StageResult
from contracts.stages import Gate
from contracts.tables import TABLES
from expectations.comparison import quotable_key, run_batch, schema_batch
from expectations.run import SMALL_ROWS, Batch, judge
from expectations.suites import comparisons, days
from expectations.suites.tables import SUITES
from sources.currencies import ISO_4217, UNKNOWN_CURRENCY

if TYPE_CHECKING:
    from sources.manifest import Manifest

PROCESSED_TABLES: Final = ("transactions", "labels", "customers", "merchants", "quarantine")
SANDBOX_TABLES: Final = ("features", "transactions_masked")
_MONTH_DAYS: Final = 28

_PROCESSED_DAYS: Final = """
with known as (
    select source_system, event_id, event_date, bool_or(is_fraud) as is_fraud,
        min(known_at) as known_at
    from {labels} group by source_system, event_id, event_date
)
select
    coalesce(t.event_date, l.event_date) as event_date,
    coalesce(t.source_system, l.source_system) as source_system,
    coalesce(t.currency, 'XXX') as currency,
    count(t.event_id) as rows,
    count_if(l.is_fraud and t.event_id is not null) as frauds,
    count_if(hour(t.event_at) < 12) as morning_rows,
    count_if(b.raw_object is not null) as batch_rows,
    coalesce(sum(case when b.raw_object is not null then t.amount end), 0) as batch_amount,
    count_if(t.event_id is null) as labels_without_payment,
    count_if(l.event_id is null) as payments_without_label,
    count_if(l.known_at < t.event_at) as labels_known_too_early,
    count_if(t.event_id is not null and c.customer_id is null) as payments_without_customer,
    count_if(t.counterparty_id is not null and m.counterparty_id is null)
        as payments_without_merchant,
    count_if(to_date(t.event_at) <> t.event_date) as misdated,
    count_if(
        abs(t.transaction_lat - round(t.transaction_lat, 1)) > 1e-9
        or abs(t.transaction_lon - round(t.transaction_lon, 1)) > 1e-9
        or abs(t.home_lat - round(t.home_lat, 1)) > 1e-9
        or abs(t.home_lon - round(t.home_lon, 1)) > 1e-9
    ) as precise_places
from {transactions} as t
full join known as l
    on t.source_system = l.source_system and t.event_id = l.event_id
    and t.event_date = l.event_date
left join {batch} as b on t.raw_object = b.raw_object
left join {customers} as c
    on t.source_system = c.source_system and t.customer_id = c.customer_id
left join {merchants} as m
    on t.source_system = m.source_system and t.counterparty_id = m.counterparty_id
group by 1, 2, 3 order by 1, 2, 3
"""

_SANDBOX_DAYS: Final = """
select
    coalesce(t.event_date, f.event_date, k.event_date) as event_date,
    coalesce(t.source_system, f.source_system, k.source_system) as source_system,
    coalesce(t.currency, f.currency, k.currency) as currency,
    count(f.event_id) as rows,
    count(t.event_id) as rows_before,
    coalesce(sum(f.amount), 0) as amount,
    coalesce(sum(t.amount), 0) as amount_before,
    count_if(f.event_id is null or t.event_id is null) as unmatched,
    count_if(f.amount <> t.amount or f.currency <> t.currency) as different_money,
    count_if(k.event_id is not null and t.event_id is null) as masked_unmatched,
    count(k.event_id) as masked_rows
from {transactions} as t
full join {features} as f
    on t.source_system = f.source_system and t.event_id = f.event_id
    and t.event_date = f.event_date
full join {masked} as k
    on t.source_system = k.source_system and t.event_id = k.event_id
    and t.event_date = k.event_date
group by 1, 2, 3 order by 1, 2, 3
"""


def judge_processed(
    spark: Any,
    frames: Mapping[str, Any],
    processed: StageResult,
    manifests: "Sequence[Manifest]",
    state_dir: Path,
) -> GateResult:
    """Judge the frames of Processed, by short name, against the job's report and the manifests."""
    objects = [(held.key,) for manifest in manifests for held in manifest.objects]
    batch = spark.createDataFrame(objects, "raw_object string")
    refused = frames["quarantine"].join(batch, "raw_object", "left_semi")
    refused = refused.select(*frames["quarantine"].columns)
    frames = {**frames, "quarantine": refused}
    by_day = spark.sql(
        _PROCESSED_DAYS,
        batch=batch,
        **{name: frames[name] for name in PROCESSED_TABLES if name != "quarantine"},
    ).toPandas()
    rows = int(by_day["rows"].sum())
    wrote = sum(balance.rows_out for balance in processed.balances)
    quarantined = sum(balance.rows_quarantined for balance in processed.balances)
    sizes = {
        "transactions": rows,
        "labels": rows,
        "customers": None,
        "merchants": None,
        "quarantine": quarantined,
    }
    with ExitStack() as cached:
        batches = _table_batches("processed", frames, sizes, cached, wrote > 0, ("quarantine",))
        in_quarantine = _in_quarantine(batches[-1])
        balances = _balances(processed, manifests, by_day, in_quarantine)
        is_empty_declared = bool(processed.details.get("declared_empty"))
        batches += [
            Batch(
                "processed.transactions",
                balances,
                comparisons.balance_rules(is_empty_declared),
                ("source_system", "currency"),
                part="balances",
            ),
            Batch(
                "processed.transactions",
                _day_shares(by_day),
                days.processed_rules(wrote > 0),
                ("event_date", "source_system"),
                part="days",
            ),
        ]
        batches.append(run_batch("processed.transactions", processed))
        if by_day["event_date"].nunique() >= _MONTH_DAYS:
            batches.append(
                Batch(
                    "processed.labels",
                    _month_share(by_day),
                    days.month_rules(),
                    part="month",
                )
            )
        return judge(Gate.PROCESSED, processed.window, processed.run_id, batches, state_dir)


def judge_sandbox(
    spark: Any, frames: Mapping[str, Any], prepared: StageResult, state_dir: Path
) -> GateResult:
    """Judge the frames of the Sandbox against the processed `transactions` of the same dates."""
    by_day = spark.sql(
        _SANDBOX_DAYS,
        transactions=frames["transactions"],
        features=frames["features"],
        masked=frames["transactions_masked"],
    ).toPandas()
    is_judged = by_day["rows_before"] >= days.JUDGED_ROWS
    by_day["masked_share"] = (by_day["masked_rows"] / by_day["rows_before"]).where(is_judged)
    expected = bool(prepared.dates)
    sizes = {
        "features": int(by_day["rows"].sum()),
        "transactions_masked": int(by_day["masked_rows"].sum()),
    }
    sandbox = {name: frames[name] for name in SANDBOX_TABLES}
    with ExitStack() as cached:
        batches = [
            *_table_batches("sandbox", sandbox, sizes, cached, expected, ("transactions_masked",)),
            Batch(
                "sandbox.features",
                by_day,
                days.sandbox_rules(expected),
                ("event_date", "source_system"),
                part="days",
            ),
            run_batch("sandbox.features", prepared),
        ]
        return judge(Gate.SANDBOX, prepared.window, prepared.run_id, batches, state_dir)


def gate_processed(
    spark: Any, processed: StageResult, manifests: "Sequence[Manifest]", state_dir: Path
) -> GateResult:
    """Judge what a run wrote to the audit branch of Processed from the objects of `manifests`."""
    from spark.jobs.read import audit_frame

    frames = {n: audit_frame(spark, processed, f"processed.{n}") for n in PROCESSED_TABLES}
    return judge_processed(spark, frames, processed, manifests, state_dir)


def gate_sandbox(spark: Any, prepared: StageResult, state_dir: Path) -> GateResult:
    """Judge what a run wrote to the audit branch of the Sandbox.

    Processed is read at the snapshot that the run itself has read, which may be a later one than
    that of its window: Sandbox is never taken back.
    """
    from spark.jobs.read import audit_frame

    frames = {n: audit_frame(spark, prepared, f"sandbox.{n}") for n in SANDBOX_TABLES}
    frames["transactions"] = audit_frame(spark, prepared, "processed.transactions")
    return judge_sandbox(spark, frames, prepared, state_dir)


def _table_batches(
    zone: str,
    frames: Mapping[str, Any],
    sizes: Mapping[str, int | None],
    cached: ExitStack,
    is_expected: bool,
    may_be_empty: Sequence[str],
) -> list[Batch]:
    """Return, for each table, its types and its rows: fetched when few, else a cached frame."""
    batches = []
    for name, rows in sizes.items():
        table, frame = TABLES[f"{zone}.{name}"], frames[name]
        batches.append(schema_batch(table.name, to_spark.dtypes(table), frame.dtypes))
        rules = SUITES[table.short_name](table)
        if is_expected and name not in may_be_empty:
            rules = (*rules, not_empty())
        fetched = None
        if rows is None or rows <= SMALL_ROWS:
            fetched = frame.limit(SMALL_ROWS + 1).toPandas()
        if fetched is not None and len(fetched) <= SMALL_ROWS:
            batches.append(Batch(table.name, fetched, rules, quotable_key(table)))
        else:
            cached.callback(frame.persist().unpersist)
            batches.append(Batch(table.name, frame, rules, engine="spark"))
    return batches


@dataclass(frozen=True)
class _Quarantined:
    """What the quarantine table holds of a batch: its rows by source, its money by currency too."""

    rows: Counter[str]
    amounts: Mapping[tuple[str, str], Decimal]


def _in_quarantine(batch: Batch) -> _Quarantined:
    """Count a batch's rows and money in quarantine; a currency that nobody knows counts as XXX."""
    rows = batch.data
    if batch.engine == "spark":
        from pyspark.sql import functions as F

        totals = (F.count(F.lit(1)).alias("rows"), F.sum("amount").alias("amount"))
        sums = rows.groupBy("source_system", "currency").agg(*totals).toPandas()
    else:
        sums = rows[["source_system", "currency", "amount"]].assign(rows=1)
    counted: Counter[str] = Counter()
    amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for source, currency, amount, number in zip(
        sums["source_system"], sums["currency"], sums["amount"], sums["rows"], strict=True
    ):
        counted[source] += int(number)
        if isinstance(amount, Decimal):
            amounts[source, currency if currency in ISO_4217 else UNKNOWN_CURRENCY] += amount
    return _Quarantined(counted, amounts)


def _balances(
    processed: StageResult,
    manifests: "Sequence[Manifest]",
    by_day: Any,
    in_quarantine: _Quarantined,
) -> Any:
    """Lay what the job reports beside what its tables hold, by source system and currency.

    Landed and quarantined rows are compared by source: what the job does not know of has no
    balance to stand beside.
    """
    import pandas as pd

    held = by_day.groupby(["source_system", "currency"])[["batch_rows", "batch_amount"]].sum()
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
                # What mended rules read more in the same rows did not come in as money.
                "amount_accounted": b.amount_out
                + b.amount_quarantined
                + b.amount_duplicate
                - b.amount_restated,
                "rows_out": b.rows_out,
                "rows_in_table": int(held.loc[group, "batch_rows"]) if group in held.index else 0,
                "amount_out": b.amount_out,
                "amount_in_table": held.loc[group, "batch_amount"] if group in held.index else 0,
                "rows_quarantined": sum(o.rows_quarantined for o in of_source),
                "rows_in_quarantine": in_quarantine.rows[b.source_system],
                "amount_quarantined": b.amount_quarantined,
                "amount_in_quarantine": in_quarantine.amounts.get(group, 0),
                "quarantined_share": sum(o.rows_quarantined for o in of_source)
                / max(sum(o.rows_in for o in of_source), 1),
            }
        )
    return pd.DataFrame(rows, columns=_BALANCE_COLUMNS)


_BALANCE_COLUMNS: Final = [
    *("source_system", "currency", "rows_landed", "rows_in", "rows_accounted"),
    *("amount_in", "amount_accounted", "rows_out", "rows_in_table"),
    *("amount_out", "amount_in_table", "rows_quarantined", "rows_in_quarantine"),
    *("amount_quarantined", "amount_in_quarantine", "quarantined_share"),
]


def _day_shares(by_day: Any) -> Any:
    """Add the shares of each day that has enough payments to have one."""
    is_judged = by_day["rows"] >= days.JUDGED_ROWS
    return by_day.assign(
        morning_share=(by_day["morning_rows"] / by_day["rows"]).where(is_judged),
        fraud_share=(by_day["frauds"] / by_day["rows"]).where(is_judged),
    )


def _month_share(by_day: Any) -> Any:
    """Return one row a source: its share of known frauds over all days of the window."""
    total = by_day.groupby("source_system", as_index=False)[["rows", "frauds"]].sum()
    return total.assign(fraud_share=total["frauds"] / total["rows"])
