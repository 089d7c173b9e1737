"""Every table of the platform: its grain, its key and its columns, in order.

Types, units and descriptions come from `contracts/columns.py`.
"""

from dataclasses import dataclass
from typing import Final

from contracts.columns import COLUMNS, Column
from contracts.features import FEATURES


@dataclass(frozen=True)
class Table:
    """A table: `name` is `<zone>.<table>`; `grain` completes "One row per …"."""

    name: str
    grain: str
    key: tuple[str, ...]
    column_names: tuple[str, ...]
    partition_by: str | None = None
    also_nullable: tuple[str, ...] = ()

    @property
    def zone(self) -> str:
        """Return the zone: processed, sandbox, staging or production."""
        return self.name.split(".")[0]

    @property
    def short_name(self) -> str:
        """Return the name inside the zone."""
        return self.name.split(".")[1]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the declared columns, in order."""
        return tuple(COLUMNS[name] for name in self.column_names)

    def is_nullable(self, column: str) -> bool:
        """Return whether `column` may be null in this table."""
        return COLUMNS[column].nullable or column in self.also_nullable


_EVENT_KEY: Final = ("source_system", "event_id")

_TRANSACTION: Final = (
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
_LABEL: Final = (
    "event_id",
    "source_system",
    "event_date",
    "is_fraud",
    "scenario",
    "label_source",
    "known_at",
    "raw_object",
)
_CUSTOMER: Final = (
    "customer_id",
    "source_system",
    "country",
    "region",
    "home_lat",
    "home_lon",
    "first_event_at",
    "last_event_at",
)
_MERCHANT: Final = (
    "counterparty_id",
    "source_system",
    "counterparty_type",
    "merchant_category",
    "first_event_at",
    "last_event_at",
)
_QUARANTINE: Final = (
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
)
_FEATURE_ROW: Final = (
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
_SCORE: Final = (
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
    "score_reasons",
    "scored_at",
    "run_id",
)
_SCORE_KEY: Final = (*_EVENT_KEY, "model_name", "model_version")
_RUN: Final = (
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
_FLOWS: Final = tuple(
    f"{measure}_{flow}"
    for measure in ("rows", "amount")
    for flow in ("in", "restated", "out", "quarantined", "duplicate")
)
_GATE_RESULT: Final = (
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
_GATE_KEY: Final = ("run_id", "gate", "window_key", "table_name", "check_name", "checked_at")

_TRANSACTION_GRAIN: Final = "payment attempt"
_LABEL_GRAIN: Final = "statement about whether a payment was fraud"
_CUSTOMER_GRAIN: Final = "customer token of a source system"
_MERCHANT_GRAIN: Final = "counterparty of a source system"
_QUARANTINE_GRAIN: Final = "refused row of a Raw object"
_QUARANTINE_NULLS: Final = ("event_id", "amount", "currency")
_FEATURE_GRAIN: Final = "payment, with what was known at its own time"
_SCORE_GRAIN: Final = "payment and model version"
_LABEL_KEY: Final = (*_EVENT_KEY, "label_source")
_PARTY_NULLS: Final = ("merchant_category",)


def _both(
    short_name: str,
    lake_zone: str,
    grain: str,
    key: tuple[str, ...],
    column_names: tuple[str, ...],
    partition_by: str | None = None,
    also_nullable: tuple[str, ...] = (),
) -> tuple[Table, Table]:
    """Declare a lake table and its copy in STAGING, the same columns in the same order."""
    return (
        Table(f"{lake_zone}.{short_name}", grain, key, column_names, partition_by, also_nullable),
        Table(f"staging.{short_name}", grain, key, column_names, partition_by, also_nullable),
    )


_TABLES: Final = (
    *_both("transactions", "processed", _TRANSACTION_GRAIN, _EVENT_KEY, _TRANSACTION, "event_date"),
    *_both("labels", "processed", _LABEL_GRAIN, _LABEL_KEY, _LABEL, "event_date"),
    *_both("customers", "processed", _CUSTOMER_GRAIN, ("source_system", "customer_id"), _CUSTOMER),
    *_both(
        "merchants",
        "processed",
        _MERCHANT_GRAIN,
        ("source_system", "counterparty_id"),
        _MERCHANT,
    ),
    *_both(
        "quarantine",
        "processed",
        _QUARANTINE_GRAIN,
        ("raw_object", "raw_position"),
        _QUARANTINE,
        also_nullable=_QUARANTINE_NULLS,
    ),
    *_both("features", "sandbox", _FEATURE_GRAIN, _EVENT_KEY, _FEATURE_ROW, "event_date"),
    Table(
        "sandbox.transactions_masked",
        "payment of a one-in-ten sample, without any token of a person",
        _EVENT_KEY,
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
    Table("staging.scores", _SCORE_GRAIN, _SCORE_KEY, _SCORE, "event_date"),
    Table("staging.run_ledger", "run of a stage over a window", ("run_id", "stage"), _RUN),
    Table(
        "staging.run_balances",
        "run, source system and currency",
        ("run_id", "stage", "source_system", "currency"),
        ("run_id", "stage", "window_key", "source_system", "currency", *_FLOWS),
    ),
    Table("staging.gate_results", "check of a gate in a run", _GATE_KEY, _GATE_RESULT),
    Table(
        "production.dim_customers",
        _CUSTOMER_GRAIN,
        ("source_system", "customer_id"),
        _CUSTOMER,
    ),
    Table(
        "production.dim_merchants",
        _MERCHANT_GRAIN,
        ("source_system", "counterparty_id"),
        _MERCHANT,
    ),
    Table(
        "production.dim_dates",
        "calendar date",
        ("calendar_date",),
        (
            "calendar_date",
            "calendar_year",
            "calendar_month",
            "iso_week",
            "day_of_week",
            "is_weekend",
        ),
    ),
    Table(
        "production.fct_transactions",
        _TRANSACTION_GRAIN,
        _EVENT_KEY,
        _TRANSACTION,
        "event_date",
    ),
    Table("production.fct_fraud_labels", _LABEL_GRAIN, _LABEL_KEY, _LABEL, "event_date"),
    Table(
        "production.rpt_fraud_daily",
        "business date, source system and currency",
        ("event_date", "source_system", "currency"),
        (
            "event_date",
            "source_system",
            "currency",
            "transaction_count",
            "amount",
            "customer_count",
            "known_fraud_count",
            "known_fraud_amount",
            "known_fraud_ratio",
            "as_of_date",
        ),
        "event_date",
    ),
    Table("production.fct_gate_results", "check of a gate in a run", _GATE_KEY, _GATE_RESULT),
    Table(
        "production.fct_runs",
        "run of a stage, source system and currency",
        ("run_id", "stage", "source_system", "currency"),
        (
            "run_id",
            "stage",
            "window_key",
            "source_system",
            "currency",
            "started_by",
            "started_at",
            "finished_at",
            "duration_seconds",
            *_FLOWS,
        ),
    ),
    Table("production.fct_transaction_scores", _SCORE_GRAIN, _SCORE_KEY, _SCORE, "event_date"),
    Table(
        "production.fct_fraud_alerts",
        "payment and model version that was recommended for review or decline",
        _SCORE_KEY,
        (
            "event_id",
            "source_system",
            "event_date",
            "event_at",
            "customer_id",
            "counterparty_id",
            "merchant_category",
            "amount",
            "currency",
            "model_name",
            "model_version",
            "score",
            "risk_level",
            "decision",
            "score_reasons",
            "is_fraud",
            "known_at",
            "scored_at",
        ),
        "event_date",
        also_nullable=("is_fraud", "known_at"),
    ),
    Table(
        "production.rpt_model_performance",
        "business date, source system and model version",
        ("event_date", "source_system", "model_name", "model_version"),
        (
            "event_date",
            "source_system",
            "model_name",
            "model_version",
            "transaction_count",
            "score_mean",
            "alert_count",
            "known_fraud_count",
            "true_positive_count",
            "false_positive_count",
            "missed_fraud_count",
            "alert_precision_ratio",
            "alert_recall_ratio",
            "as_of_date",
        ),
        "event_date",
    ),
)

TABLES: Final[dict[str, Table]] = {table.name: table for table in _TABLES}


def zone(name: str) -> tuple[Table, ...]:
    """Return the tables of a zone, in declared order."""
    return tuple(table for table in _TABLES if table.zone == name)
