"""Does the model catch fraud, at what price, and are its scores probabilities?"""

from typing import Final

from bi.charts import along, number, over_time, rows, table
from bi.datasets import (
    ALERTS,
    CALIBRATION,
    MODEL_PERFORMANCE,
    MODEL_PERIODS,
    MODEL_VALUE,
    MODELS,
    RULE_BACKTESTS,
)
from bi.model import Dashboard, Filter

# The table holds months too.
_WEEKS: Final = ("period_type = 'week'",)
_UNSEEN: Final = "Of dates after the model's training."

DASHBOARD: Final = Dashboard(
    "model_performance",
    "Model performance",
    "Does the model catch fraud, how many false alarms does that cost, and how much does it save?",
    (
        (
            number("alerts", "Alerts", MODEL_PERFORMANCE, "total_alert_count", note=_UNSEEN),
            number(
                "precision", "Alerts that were fraud", MODEL_PERFORMANCE, "precision", note=_UNSEEN
            ),
            number("recall", "Frauds that were caught", MODEL_PERFORMANCE, "recall", note=_UNSEEN),
            number(
                "saved", "Fraud stopped, in money", MODEL_VALUE, "total_saved_amount", note=_UNSEEN
            ),
        ),
        (
            over_time(
                "outcomes_by_week",
                "Frauds caught, frauds missed and false alarms by week",
                MODEL_PERFORMANCE,
                (
                    "total_true_positive_count",
                    "total_missed_fraud_count",
                    "total_false_positive_count",
                ),
                kind="bar",
                stack=True,
                each="week",
            ),
            over_time(
                "precision_and_recall",
                "Precision and recall by week",
                MODEL_PERFORMANCE,
                ("precision", "recall"),
                each="week",
            ),
        ),
        (
            over_time(
                "ranking_quality",
                "How well scores rank payments, by week",
                MODEL_PERIODS,
                ("avg_auc", "avg_average_precision"),
                each="week",
                where=_WEEKS,
                note="A week without fraud has neither figure.",
            ),
            along(
                "calibration",
                "Average score against the share that was fraud",
                CALIBRATION,
                "score_from",
                ("predicted", "observed"),
                kind="line",
                x_title="Scores from",
                note="Where the lines meet, a score is a probability.",
            ),
        ),
        (
            over_time(
                "money",
                "Money stopped and missed by week",
                MODEL_VALUE,
                ("total_saved_amount", "total_missed_amount"),
                kind="bar",
                stack=True,
                each="week",
            ),
            over_time(
                "alert_rate",
                "Alerts as a share of payments by day",
                MODEL_PERFORMANCE,
                ("alert_rate",),
            ),
        ),
        (
            over_time(
                "card_precision",
                "Frauds among the 100 cards with the highest scores: daily, averaged by week",
                MODEL_PERFORMANCE,
                ("avg_card_precision_100", "avg_card_precision_ceiling"),
                each="week",
            ),
            over_time(
                "brier",
                "Error of the scores by week (Brier score)",
                MODEL_PERIODS,
                ("avg_brier_score",),
                each="week",
                where=_WEEKS,
            ),
        ),
        (
            table(
                "seen_and_unseen",
                "Each version on unseen dates, and on dates before its training",
                MODEL_PERFORMANCE,
                ("model_name", "model_version", "is_unseen"),
                (
                    "day_count",
                    "total_transaction_count",
                    "precision",
                    "recall",
                    "avg_auc",
                    "avg_average_precision",
                ),
                order_by="day_count",
                note="The charts above use unseen dates only: figures of other dates are too high.",
                height=36,
            ),
        ),
        (
            rows(
                "versions",
                "Model versions, and why each became champion or did not",
                MODELS,
                (
                    "model_name",
                    "model_version",
                    "candidate",
                    "trained_at",
                    "is_champion",
                    "champion_from_at",
                    "verdict_reason",
                    "training_count",
                    "training_fraud_count",
                    "test_auc",
                    "test_average_precision",
                    "test_precision",
                    "test_recall",
                ),
                newest_by="trained_at",
                dated=False,
                height=36,
            ),
        ),
        (
            rows(
                "rule_backtests",
                "Backtests of the rules of fraud, newest first",
                RULE_BACKTESTS,
                (
                    "backtested_at",
                    "rules_version",
                    "rule_code",
                    "first_event_date",
                    "last_event_date",
                    "alert_count",
                    "true_positive_count",
                    "alert_precision_ratio",
                    "alert_recall_ratio",
                    "currency",
                    "alert_amount",
                    "saved_amount",
                    "missed_amount",
                ),
                newest_by="backtested_at",
                dated=False,
                note="`make backtest-rules` writes them. any_rule counts a payment once.",
            ),
        ),
        (
            rows(
                "latest_alerts",
                "Latest alerts",
                ALERTS,
                (
                    "event_at",
                    "amount",
                    "currency",
                    "merchant_category",
                    "channel",
                    "country",
                    "detected_by",
                    "score",
                    "decision",
                    "rule_codes",
                    "reason_text",
                    "outcome",
                ),
                newest_by="event_at",
                note="A payment has a row for the batch line and one for the stream if both raised"
                " an alert.",
            ),
        ),
    ),
    (
        Filter("Dates"),
        Filter("Source", "source_system", MODEL_PERFORMANCE),
        Filter("Model", "model_name", MODEL_PERFORMANCE),
        Filter("Model version", "model_version", MODEL_PERFORMANCE),
        Filter("Currency", "currency", MODEL_VALUE, single=True),
        Filter("Country", "country", ALERTS),
        Filter("Channel", "channel", ALERTS),
        Filter("Alerts of batch or stream", "detected_by", ALERTS),
    ),
)
