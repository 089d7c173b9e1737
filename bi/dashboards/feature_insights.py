"""Which features raise alerts, and did they drift from training?"""

from typing import Final

from bi.charts import heatmap, over_time, ranking, table
from bi.datasets import ALERTS, DRIFT, FEATURES
from bi.model import Dashboard, Filter

DASHBOARD: Final = Dashboard(
    "feature_insights",
    "Feature insights",
    "Which features make the model raise an alert, and do they look as they did in training?",
    (
        (
            ranking(
                "importance",
                "Most important features",
                FEATURES,
                "feature_name",
                "avg_importance",
                note="How much worse the model ranks when the feature is shuffled.",
                height=56,
            ),
            ranking(
                "top_reasons",
                "Alerts by top reason",
                FEATURES,
                "feature_name",
                "total_top_reason_count",
                where=("top_reason_count > 0",),
                height=56,
            ),
        ),
        (
            heatmap(
                "drift_by_week",
                "Drift from training by feature and week",
                FEATURES,
                "event_date",
                "feature_name",
                "avg_stability_index",
                each="week",
                where=("stability_index is not null",),
                note="Stability index: under 0.1 as in training, over 0.25 another population. It"
                " is taken by day, so without the weekend.",
                width=12,
                height=90,
            ),
        ),
        (
            over_time(
                "reasons_by_week",
                "Alerts by week and top reason",
                ALERTS,
                ("row_count",),
                by=("top_reason",),
                kind="bar",
                stack=True,
                each="week",
            ),
            table(
                "reasons_and_outcomes",
                "Outcomes of alerts by top reason",
                ALERTS,
                ("top_reason", "outcome"),
                ("row_count", "avg_score", "total_amount"),
                order_by="row_count",
                width=6,
                height=44,
            ),
        ),
        (
            table(
                "means",
                "Features now and in training, largest drift first",
                DRIFT,
                ("feature_name",),
                (
                    "avg_stability_index",
                    "avg_feature_mean",
                    "avg_training_mean",
                    "avg_null_share",
                    "avg_training_null_share",
                ),
                order_by="avg_stability_index",
            ),
        ),
    ),
    (
        Filter("Dates"),
        Filter("Source", "source_system", FEATURES),
        Filter("Model", "model_name", FEATURES),
        Filter("Model version", "model_version", FEATURES),
        Filter("Currency", "currency", ALERTS, single=True),
        Filter("Country", "country", ALERTS),
        Filter("Channel", "channel", ALERTS),
    ),
)
