"""Tables of STAGING about models and their alerts: versions, importances, drift, stream alerts."""

from typing import Final

from contracts.lake_tables import EVENT_KEY
from contracts.table import Table

MODEL_KEY: Final = ("model_name", "model_version")
EVIDENCE: Final = (
    *MODEL_KEY,
    "source_system",
    "candidate",
    "feature_list_version",
    "code_version",
    "trained_at",
    "trained_as_of_date",
    "training_snapshots",
    "training_count",
    "training_fraud_count",
    "test_average_precision",
    "test_auc",
    "test_card_precision_100",
    "test_recall_at_budget",
    "test_precision",
    "test_recall",
    "test_brier_score",
    "test_brier_skill",
    "alert_threshold",
    "verdict",
    "verdict_reason",
)
DRIFT_KEY: Final = ("event_date", "source_system", *MODEL_KEY, "feature_name")
DRIFT_GRAIN: Final = "business date, source system, model version and feature"
DRIFT: Final = (
    *DRIFT_KEY,
    "transaction_count",
    "stability_index",
    "feature_mean",
    "training_mean",
    "null_share",
    "training_null_share",
)
PAYMENT_OF_ALERT: Final = (
    "event_id",
    "source_system",
    "event_date",
    "event_at",
    "customer_id",
    "counterparty_id",
    "merchant_category",
    "country",
    "channel",
    "amount",
    "currency",
)
_ALERT: Final = (
    *PAYMENT_OF_ALERT,
    "rule_codes",
    "rules_version",
    *MODEL_KEY,
    "score",
    "risk_level",
    "decision",
    "reason_codes",
    "detected_at",
)
STREAM_ALERT: Final = (*_ALERT, "reason_sentences")
"""Keys of a message of the topic `alerts`. The columns of the model are null if none scored."""

TABLES: Final = (
    Table(
        "staging.model_versions",
        "model version",
        MODEL_KEY,
        (*EVIDENCE, "promoted_at", "run_id"),
    ),
    Table(
        "staging.feature_importances",
        "model version and feature",
        (*MODEL_KEY, "feature_name"),
        (*MODEL_KEY, "source_system", "feature_name", "importance"),
    ),
    Table("staging.feature_drift", DRIFT_GRAIN, DRIFT_KEY, (*DRIFT, "run_id")),
    Table(
        "staging.stream_alerts",
        "payment for which the scorer of the stream raised an alert",
        EVENT_KEY,
        # The sentences are last, because tables of earlier versions get them by `add column`.
        (*_ALERT, "recorded_at", "run_id", "reason_sentences"),
        also_nullable=(*MODEL_KEY, "score"),
    ),
)
