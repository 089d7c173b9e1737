"""Tables of STAGING about models: versions, importances and drift."""

from typing import Final

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
)
