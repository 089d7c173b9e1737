"""Gate sandbox: the audit branch of the Sandbox against its payments in Processed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from contracts.results import GateResult
from contracts.stage_results import PrepareResult
from contracts.stages import Gate
from expectations.checkpoint import Batch
from expectations.comparison import run_batch
from expectations.lake import zone_batches
from expectations.run import evaluate
from expectations.suites import days

SANDBOX_TABLES: Final = ("features", "transactions_masked")

_CARRIED: Final = (
    "event_id, event_at, customer_id, counterparty_id, amount, currency,"
    " map_entries(source_features)"
)
"""Columns that a feature row copies from its payment; Spark hashes no map."""
_MASKED: Final = (
    "event_id, counterparty_type, merchant_category, transaction_type, channel, payment_method,"
    " currency, country, region"
)
"""Columns that a masked row copies from its payment."""
# Sums of 36 bits of each hash: independent of the order, for more than 10^8 rows a day.
_DAYS: Final = """
with paid as (
    select event_date, source_system, currency, count(*) as rows, sum(amount) as amount,
        sum(shiftright(xxhash64({carried}), 28)) as content
    from {transactions} group by 1, 2, 3
),
featured as (
    select event_date, source_system, currency, count(*) as rows, sum(amount) as amount,
        sum(shiftright(xxhash64({carried}), 28)) as content
    from {features} group by 1, 2, 3
),
sampled as (
    select k.event_date, k.source_system, k.currency, count(*) as rows,
        count_if(t.row_hash is null) as unmatched, count_if(t.row_hash <> k.row_hash) as different
    from (
        select event_date, source_system, currency, event_id, xxhash64({masked_columns}) as row_hash
        from {masked}
    ) as k
    left join (
        select event_date, source_system, event_id, xxhash64({masked_columns}) as row_hash
        from {transactions}
    ) as t
        on t.source_system = k.source_system and t.event_id = k.event_id
        and t.event_date = k.event_date
    group by 1, 2, 3
)
select event_date, source_system, currency,
    coalesce(f.rows, 0) as rows,
    coalesce(t.rows, 0) as rows_before,
    coalesce(f.amount, 0) as amount,
    coalesce(t.amount, 0) as amount_before,
    coalesce(f.content, 0) as content,
    coalesce(t.content, 0) as content_before,
    coalesce(k.rows, 0) as masked_rows,
    coalesce(k.unmatched, 0) as masked_unmatched,
    coalesce(k.different, 0) as masked_different
from paid as t
full join featured as f using (event_date, source_system, currency)
full join sampled as k using (event_date, source_system, currency)
order by 1, 2, 3
"""


def sandbox_frames(spark: Any, prepared: PrepareResult) -> dict[str, Any]:
    """Return the audited frames of the Sandbox and the payments behind them, by short name.

    Processed is read at the snapshot that the run read, which may be later than that of its window,
    because Sandbox never returns to an earlier snapshot.
    """
    from lake.frames import audit_frame

    frames = {n: audit_frame(spark, prepared, f"sandbox.{n}") for n in SANDBOX_TABLES}
    return {**frames, "transactions": audit_frame(spark, prepared, "processed.transactions")}


def gate_sandbox(spark: Any, prepared: PrepareResult, state_dir: Path) -> GateResult:
    """Check the audit branch of a run of the Sandbox."""
    return evaluate_sandbox(spark, sandbox_frames(spark, prepared), prepared, state_dir)


def evaluate_sandbox(
    spark: Any, frames: Mapping[str, Any], prepared: PrepareResult, state_dir: Path
) -> GateResult:
    """Check the frames of the Sandbox against the processed `transactions` of the same dates."""
    query = _DAYS.replace("{carried}", _CARRIED).replace("{masked_columns}", _MASKED)
    compared = spark.sql(
        query,
        transactions=frames["transactions"],
        features=frames["features"],
        masked=frames["transactions_masked"],
    )
    tables = {name: frames[name] for name in SANDBOX_TABLES}
    by_day = compared.toPandas()
    # No payment is left on these dates when all of them were withdrawn.
    expected = bool(prepared.dates) and by_day["rows_before"].sum() > 0
    batches = zone_batches("sandbox", tables, expected, ("transactions_masked",))
    has_enough_rows = by_day["rows_before"] >= days.MINIMUM_ROWS
    by_day["masked_share"] = (by_day["masked_rows"] / by_day["rows_before"]).where(has_enough_rows)
    batches += [
        Batch(
            "sandbox.features",
            by_day,
            days.sandbox_rules(expected),
            ("event_date", "source_system"),
            part="days",
        ),
        run_batch("sandbox.features", prepared),
    ]
    return evaluate(Gate.SANDBOX, prepared.window, prepared.run_id, batches, state_dir)
