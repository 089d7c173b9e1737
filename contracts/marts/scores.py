"""Tables of PRODUCTION: scores, alerts with outcomes, metrics and drift of models."""

from typing import Final

from contracts.lake_tables import SCORE, SCORE_GRAIN, SCORE_KEY
from contracts.model_tables import (
    DRIFT,
    DRIFT_GRAIN,
    DRIFT_KEY,
    EVIDENCE,
    MODEL_KEY,
    PAYMENT_OF_ALERT,
)
from contracts.table import Table

_FIGURES: Final = (
    "transaction_count",
    "labelled_count",
    "score_mean",
    "alert_count",
    "alert_share",
    "known_fraud_count",
    "true_positive_count",
    "false_positive_count",
    "missed_fraud_count",
    "alert_precision_ratio",
    "alert_recall_ratio",
    "f1_score",
    "auc",
    "average_precision",
)
_PERIOD_OF_MODEL: Final = (
    "period_type",
    "period_start",
    "source_system",
    "model_name",
    "model_version",
    "is_unseen",
)
_DAY_OF_MODEL: Final = ("event_date", "source_system", "model_name", "model_version")

TABLES: Final = (
    Table(
        "production.dim_models",
        "model version",
        MODEL_KEY,
        (*EVIDENCE, "is_champion", "champion_from_at", "champion_to_at"),
    ),
    Table("production.fct_transaction_scores", SCORE_GRAIN, SCORE_KEY, SCORE, "event_date"),
    Table(
        "production.fct_fraud_alerts",
        "payment and model version that was recommended for review or decline, by the batch line"
        " or the stream",
        (*SCORE_KEY, "detected_by"),
        (
            *PAYMENT_OF_ALERT,
            "detected_by",
            *MODEL_KEY,
            "score",
            "risk_level",
            "decision",
            "rule_codes",
            "reason_codes",
            "reason_sentences",
            "top_reason",
            "reason_text",
            "is_fraud",
            "outcome",
            "outcome_known_at",
            "detected_at",
        ),
        "event_date",
        # The columns of a withdrawn payment are null until its date is scored again. Without a
        # champion the stream has no score.
        also_nullable=(
            *("event_at", "customer_id", "channel", "amount", "currency"),
            *("score", "is_fraud"),
        ),
    ),
    Table(
        "production.rpt_model_performance",
        "business date, source system and model version",
        _DAY_OF_MODEL,
        (
            *_DAY_OF_MODEL,
            "is_unseen",
            *_FIGURES,
            "card_precision_100",
            "card_precision_ceiling",
            "brier_score",
            "as_of_date",
        ),
        "event_date",
    ),
    Table(
        "production.rpt_model_periods",
        "period, source system, model version and whether its dates were unseen",
        _PERIOD_OF_MODEL,
        (*_PERIOD_OF_MODEL, *_FIGURES, "brier_score", "as_of_date"),
    ),
    Table(
        "production.rpt_model_value",
        "business date, source system, model version and currency",
        (*_DAY_OF_MODEL, "currency"),
        (
            *_DAY_OF_MODEL,
            "currency",
            "is_unseen",
            "transaction_count",
            "known_fraud_amount",
            "saved_amount",
            "missed_amount",
            "saved_amount_share",
            "as_of_date",
        ),
        "event_date",
    ),
    Table(
        "production.rpt_score_calibration",
        "business date, source system, model version and bin of scores",
        (*_DAY_OF_MODEL, "score_from"),
        (
            *_DAY_OF_MODEL,
            "score_from",
            "score_to",
            "is_unseen",
            "transaction_count",
            "score_mean",
            "known_fraud_count",
            "known_fraud_ratio",
            "as_of_date",
        ),
        "event_date",
    ),
    Table(
        "production.fct_feature_drift",
        DRIFT_GRAIN,
        DRIFT_KEY,
        (*DRIFT, "drift_level"),
        "event_date",
    ),
    Table(
        "production.rpt_feature_insights",
        DRIFT_GRAIN,
        DRIFT_KEY,
        (
            *DRIFT_KEY,
            "importance",
            "importance_rank",
            "transaction_count",
            "stability_index",
            "drift_level",
            "alert_count",
            "top_reason_count",
            "top_reason_fraud_count",
            "top_reason_share",
        ),
        "event_date",
        # Some features cannot drift within a day, and models from before drift was measured have
        # reasons too.
        also_nullable=("importance", "stability_index", "drift_level"),
    ),
)
