"""Every table of the lake and of STAGING: its grain, its key and its columns, in order.

Types, units and descriptions come from `contracts/columns.py`.
"""

from dataclasses import replace
from typing import Final

from contracts.features import FEATURES, SOURCE_FEATURES
from contracts.table import Table

EVENT_KEY: Final = ("source_system", "event_id")

TRANSACTION: Final = (
    "event_id",
    "source_system",
    "source_sequence",
    "schema_version",
    "event_at",
    "event_at_precision",
    "event_date",
    "ingested_at",
    "customer_id",
    "instrument_id",
    "counterparty_id",
    "counterparty_type",
    "merchant_category",
    "transaction_type",
    "channel",
    "payment_method",
    "amount",
    "currency",
    "country",
    "region",
    "transaction_lat",
    "transaction_lon",
    "home_lat",
    "home_lon",
    "device_id",
    "ip_hash",
    "payer_balance_before",
    "payer_balance_after",
    "payee_balance_before",
    "payee_balance_after",
    "source_flags",
    "content_hash",
    "raw_object",
    "raw_position",
)
LABEL: Final = (
    "event_id",
    "source_system",
    "event_date",
    "is_fraud",
    "scenario",
    "label_source",
    "known_at",
    "raw_object",
)
CUSTOMER: Final = (
    "customer_id",
    "source_system",
    "country",
    "region",
    "home_lat",
    "home_lon",
    "first_event_at",
    "last_event_at",
)
MERCHANT: Final = (
    "counterparty_id",
    "source_system",
    "counterparty_type",
    "merchant_category",
    "first_event_at",
    "last_event_at",
)
QUARANTINE: Final = (
    "raw_object",
    "raw_position",
    "source_system",
    "event_id",
    "window_key",
    "reasons",
    "rules",
    "amount",
    "currency",
    "first_seen_at",
    "redrive_count",
    "redrive_run_id",
    "delivered_date",
)
FEATURE_ROW: Final = (
    "event_id",
    "source_system",
    "event_at",
    "event_date",
    "customer_id",
    "counterparty_id",
    "amount",
    "currency",
    *(feature.name for feature in FEATURES if feature.name != "amount"),
)
SCORE: Final = (
    "event_id",
    "source_system",
    "event_date",
    "model_name",
    "model_version",
    "feature_list_version",
    "feature_snapshot_id",
    "score",
    "risk_level",
    "decision",
    "reason_codes",
    "scored_at",
    "run_id",
    "reason_sentences",  # last, because tables of earlier versions get it by `add column`
)
SCORE_KEY: Final = (*EVENT_KEY, "model_name", "model_version")
RUN: Final = (
    "run_id",
    "stage",
    "window_key",
    "started_by",
    "started_at",
    "finished_at",
    "duration_seconds",
    "dates_touched",
    "details",
)
RESOURCES: Final = (
    "cpu_seconds",
    "peak_memory_mib",
    "bytes_read",
    "bytes_written",
    "spark_cpu_seconds",
    "spark_peak_memory_mib",
)
RUN_TASK: Final = (
    "run_id",
    "stage",
    "window_key",
    "task_name",
    "attempt_number",
    "task_outcome",
    "started_at",
    "finished_at",
    "duration_seconds",
    *RESOURCES,
)
RUN_TASK_GRAIN: Final = "attempt at a task of a run"
RUN_TASK_KEY: Final = ("run_id", "stage", "task_name", "attempt_number")
FLOWS: Final = tuple(
    f"{measure}_{flow}"
    for measure in ("rows", "amount")
    for flow in ("in", "restated", "out", "quarantined", "duplicate")
)
GATE_RESULT: Final = (
    "run_id",
    "gate",
    "window_key",
    "check_name",
    "table_name",
    "column_name",
    "severity",
    "is_passed",
    "observed",
    "expected",
    "check_reason",
    "checked_at",
)
WITHDRAWAL_KEY: Final = ("source_system", "withdrawal_kind", "withdrawn_key", "withdrawn_at")
WITHDRAWAL: Final = (
    *WITHDRAWAL_KEY,
    "withdrawn_by",
    "withdrawal_reason",
    "undone_at",
    "undone_by",
)
ABANDONMENT_KEY: Final = ("window_key", "abandoned_at")
ABANDONMENT: Final = ("abandoned_at", "abandoned_by", "abandonment_reason")
BACKTEST_GRAIN: Final = "backtest, source system, rule of fraud and currency"
BACKTEST_KEY: Final = ("backtested_at", "source_system", "rule_code", "currency")
BACKTEST: Final = (
    *BACKTEST_KEY,
    "rules_version",
    "first_event_date",
    "last_event_date",
    "transaction_count",
    "labelled_count",
    "known_fraud_count",
    "known_fraud_amount",
    "alert_count",
    "alert_amount",
    "true_positive_count",
    "false_positive_count",
    "saved_amount",
)
GATE_KEY: Final = ("run_id", "gate", "window_key", "table_name", "check_name", "checked_at")

TRANSACTION_GRAIN: Final = "payment attempt"
LABEL_GRAIN: Final = "statement about whether a payment was fraud"
CUSTOMER_GRAIN: Final = "customer token of a source system"
MERCHANT_GRAIN: Final = "counterparty of a source system"
QUARANTINE_GRAIN: Final = "refused row of a Raw object"
QUARANTINE_NULLS: Final = ("event_id", "amount", "currency")
FEATURE_GRAIN: Final = "payment, with the features known at its time"
SCORE_GRAIN: Final = "payment and model version"
LABELLED: Final = (*EVENT_KEY, "label_source")
LABEL_KEY: Final = (*LABELLED, "known_at")
"""A payment has a label of a source for each instant at which the source corrected it."""
PARTY_INTERVAL: Final = ("first_event_at", "last_event_at")


def _both(
    short_name: str,
    lake_zone: str,
    grain: str,
    key: tuple[str, ...],
    column_names: tuple[str, ...],
    partition_by: str | None = None,
    also_nullable: tuple[str, ...] = (),
    never_null: tuple[str, ...] = (),
    interval: tuple[str, str] | None = None,
    lake_only: tuple[str, ...] = (),
) -> tuple[Table, Table]:
    """Declare a lake table and its copy in STAGING, the same columns in the same order.

    The columns `lake_only` come last in the lake, and the copy lacks them.
    """
    copy = Table(
        f"staging.{short_name}",
        grain,
        key,
        column_names,
        partition_by,
        also_nullable,
        never_null,
        interval,
    )
    in_lake = (*column_names, *lake_only)
    return replace(copy, name=f"{lake_zone}.{short_name}", column_names=in_lake), copy


LAKE_AND_STAGING: Final = (
    *_both(
        "transactions",
        "processed",
        TRANSACTION_GRAIN,
        EVENT_KEY,
        TRANSACTION,
        "event_date",
        lake_only=(SOURCE_FEATURES,),
    ),
    *_both("labels", "processed", LABEL_GRAIN, LABEL_KEY, LABEL, "event_date"),
    *_both(
        "customers",
        "processed",
        CUSTOMER_GRAIN,
        ("source_system", "customer_id"),
        CUSTOMER,
        interval=PARTY_INTERVAL,
    ),
    *_both(
        "merchants",
        "processed",
        MERCHANT_GRAIN,
        ("source_system", "counterparty_id"),
        MERCHANT,
        never_null=("counterparty_id",),
        interval=PARTY_INTERVAL,
    ),
    *_both(
        "quarantine",
        "processed",
        QUARANTINE_GRAIN,
        ("raw_object", "raw_position"),
        QUARANTINE,
        "delivered_date",
        QUARANTINE_NULLS,
    ),
    *_both(
        "features",
        "sandbox",
        FEATURE_GRAIN,
        EVENT_KEY,
        FEATURE_ROW,
        "event_date",
        lake_only=(SOURCE_FEATURES,),
    ),
    Table(
        "sandbox.transactions_masked",
        "payment of a one-in-ten sample, without any token of a person",
        EVENT_KEY,
        (
            "event_id",
            "source_system",
            "event_date",
            "hour_of_day",
            "counterparty_type",
            "merchant_category",
            "transaction_type",
            "channel",
            "payment_method",
            "amount_rounded",
            "currency",
            "country",
            "region",
        ),
        "event_date",
    ),
    Table("staging.scores", SCORE_GRAIN, SCORE_KEY, SCORE, "event_date"),
    Table("staging.run_ledger", "run of a stage over a window", ("run_id", "stage"), RUN),
    Table(
        "staging.run_balances",
        "run, source system and currency",
        ("run_id", "stage", "source_system", "currency"),
        ("run_id", "stage", "window_key", "source_system", "currency", *FLOWS),
    ),
    Table("staging.run_tasks", RUN_TASK_GRAIN, RUN_TASK_KEY, RUN_TASK),
    Table("staging.gate_results", "check of a gate in a run", GATE_KEY, GATE_RESULT),
    Table("staging.fraud_rule_backtests", BACKTEST_GRAIN, BACKTEST_KEY, BACKTEST),
    Table(
        "staging.withdrawals",
        "payment, party or delivery that was withdrawn",
        WITHDRAWAL_KEY,
        WITHDRAWAL,
    ),
    Table(
        "staging.abandoned_windows",
        "window and time at which it was abandoned",
        ABANDONMENT_KEY,
        ("window_key", *ABANDONMENT, "undone_at", "undone_by"),
    ),
)
