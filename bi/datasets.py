"""The tables that dashboards read, and their metrics.

Superset metrics and Power BI measures are generated from them.
"""

from __future__ import annotations

from typing import Final, Literal

from bi.model import COUNT, DECIMAL, FINE, MONEY, PERCENT, SECONDS, Dataset, Metric, Only

ROWS: Final = Metric("row_count", "Rows", None)
_UNSEEN: Final = Only("is_unseen")


def total(column: str, title: str, form: str = COUNT) -> Metric:
    """Return the sum of a column."""
    return Metric(f"total_{column}", title, column, form)


def share(name: str, title: str, part: str, *whole: str) -> Metric:
    """Return a ratio of sums."""
    return Metric(name, title, part, PERCENT, over=whole)


def figure(
    column: str,
    title: str,
    form: str = DECIMAL,
    function: Literal["MIN", "MAX", "AVG"] = "AVG",
) -> Metric:
    """Return a metric of single rows, averaged over several rows."""
    return Metric(f"{function.lower()}_{column}", title, column, form, function=function)


_PAYMENTS: Final = (
    total("transaction_count", "Payments"),
    total("amount", "Amount", MONEY),
    total("known_fraud_count", "Known frauds"),
    total("known_fraud_amount", "Known fraud amount", MONEY),
    share("fraud_share", "Known fraud, % of count", "known_fraud_count", "transaction_count"),
    share("fraud_value_share", "Known fraud, % of value", "known_fraud_amount", "amount"),
)

FRAUD_DAILY: Final = Dataset(
    "rpt_fraud_daily",
    "Fraud by day",
    "event_date",
    (
        *_PAYMENTS,
        total("expected_fraud_count", "Frauds to expect", SECONDS),
        total("expected_fraud_count_low", "At least"),
        total("expected_fraud_count_high", "At most"),
    ),
)

FRAUD_ROLLING: Final = Dataset(
    "rpt_fraud_rolling",
    "Fraud over the days up to a date",
    "calendar_date",
    _PAYMENTS,
    adds_up=False,
)

MATURITY: Final = Dataset(
    "rpt_fraud_maturity",
    "Delay until frauds are known",
    "as_of_date",
    (share("known_by_then", "Known by then", "known_fraud_count", "cohort_fraud_count"),),
    adds_up=False,
)

BACKTEST: Final = Dataset(
    "rpt_maturity_backtest",
    "Back-test of expected frauds",
    "event_date",
    (
        total("known_fraud_count", "Known at that age"),
        total("expected_fraud_count", "Expected at that age", SECONDS),
        total("final_fraud_count", "Came in the end"),
    ),
    adds_up=False,
)

FRAUD_OVERVIEW: Final = Dataset(
    "rpt_fraud_overview",
    "Fraud by day, week and month",
    "period_start",
    _PAYMENTS,
    adds_up=False,
)

PATTERNS: Final = Dataset(
    "rpt_fraud_patterns",
    "Fraud by the traits of payments",
    "event_date",
    (*_PAYMENTS, figure("amount_band_rank", "Order", COUNT, "MIN")),
)

MODEL_PERFORMANCE: Final = Dataset(
    "rpt_model_performance",
    "Model performance by day",
    "event_date",
    (
        total("transaction_count", "Payments scored"),
        total("alert_count", "Alerts"),
        total("true_positive_count", "Frauds caught"),
        total("false_positive_count", "False alarms"),
        total("missed_fraud_count", "Frauds missed"),
        share("alert_rate", "Alerts, % of payments", "alert_count", "transaction_count"),
        share(
            "precision",
            "Precision",
            "true_positive_count",
            "true_positive_count",
            "false_positive_count",
        ),
        share(
            "recall", "Recall", "true_positive_count", "true_positive_count", "missed_fraud_count"
        ),
        Metric("day_count", "Days", None),
        figure("auc", "AUC"),
        figure("average_precision", "Average precision"),
        figure("card_precision_100", "Card precision at 100"),
        figure("card_precision_ceiling", "Best possible"),
        figure("brier_score", "Brier score"),
    ),
    only=_UNSEEN,
)

MODEL_PERIODS: Final = Dataset(
    "rpt_model_periods",
    "Model performance by week and month",
    "period_start",
    (
        figure("auc", "AUC"),
        figure("average_precision", "Average precision"),
        figure("f1_score", "F1"),
        figure("brier_score", "Brier score"),
    ),
    adds_up=False,
    only=_UNSEEN,
)

MODEL_VALUE: Final = Dataset(
    "rpt_model_value",
    "Fraud amounts saved and missed, by day",
    "event_date",
    (
        total("saved_amount", "Fraud stopped", MONEY),
        total("missed_amount", "Fraud missed", MONEY),
        share("saved_share", "Fraud stopped, % of value", "saved_amount", "known_fraud_amount"),
    ),
    only=_UNSEEN,
)

CALIBRATION: Final = Dataset(
    "rpt_score_calibration",
    "Scores against outcomes",
    "event_date",
    (
        total("transaction_count", "Payments in the bin"),
        share("observed", "Known fraud in the bin", "known_fraud_count", "transaction_count"),
        Metric("predicted", "Average score", "score_mean", PERCENT, function="AVG"),
    ),
    only=_UNSEEN,
)

RULE_BACKTESTS: Final = Dataset(
    "rpt_fraud_rule_backtests", "Backtests of the rules of fraud", "backtested_at", (ROWS,)
)

ALERTS: Final = Dataset(
    "fct_fraud_alerts",
    "Alerts and their outcomes",
    "event_date",
    (ROWS, total("amount", "Amount under alert", MONEY), figure("score", "Mean score")),
    # The stream can raise an alert on the same payment.
    only=Only("detected_by", "batch"),
)

MODELS: Final = Dataset("dim_models", "Model versions", "trained_at", (ROWS,))

FEATURES: Final = Dataset(
    "rpt_feature_insights",
    "Importance and drift of features, by day",
    "event_date",
    (
        figure("importance", "Importance", FINE),
        figure("stability_index", "Stability index"),
        figure("stability_index", "Highest stability index", function="MAX"),
        total("top_reason_count", "Alerts with it as top reason"),
        total("top_reason_fraud_count", "Of these, frauds"),
    ),
)

DRIFT: Final = Dataset(
    "fct_feature_drift",
    "Drift of features from training, by day",
    "event_date",
    (
        figure("stability_index", "Stability index"),
        figure("feature_mean", "Mean"),
        figure("training_mean", "Mean in training"),
        figure("null_share", "Empty", PERCENT),
        figure("training_null_share", "Empty in training", PERCENT),
    ),
)

DATA_QUALITY: Final = Dataset(
    "rpt_data_quality",
    "Refused rows",
    "delivered_date",
    (
        total("rows_quarantined", "Refused rows"),
        total("amount_quarantined", "Refused amount", MONEY),
    ),
)

DELIVERIES: Final = Dataset(
    "rpt_deliveries_daily",
    "Deliveries by day",
    "delivered_date",
    (total("transaction_count", "Payments delivered"), total("amount", "Amount delivered", MONEY)),
)

GATE_HISTORY: Final = Dataset(
    "rpt_gate_history",
    "Gate runs and checks by day",
    "checked_date",
    (
        total("judgement_count", "Gate runs"),
        total("closed_count", "Gates closed"),
        total("check_count", "Checks"),
        total("failed_critical_count", "Critical failures"),
        total("failed_warning_count", "Warnings"),
        total("failed_info_count", "Remarks"),
    ),
)

GATE_RESULTS: Final = Dataset("fct_gate_results", "Single checks", "checked_date", (ROWS,))

RUNS: Final = Dataset(
    "fct_runs",
    "Runs of the stages",
    "finished_date",
    (
        total("rows_in", "Rows in"),
        total("rows_out", "Rows out"),
        total("rows_quarantined", "Rows refused"),
        total("rows_duplicate", "Repeats"),
        total("amount_in", "Amount in", MONEY),
        total("amount_out", "Amount out", MONEY),
    ),
)

HEALTH: Final = Dataset(
    "rpt_platform_health",
    "Resources used by each stage, by day",
    "finished_date",
    (
        total("run_count", "Runs"),
        total("run_seconds", "Seconds", SECONDS),
        figure("longest_run_seconds", "Longest run, seconds", SECONDS, "MAX"),
        total("cpu_seconds", "CPU seconds", SECONDS),
        total("spark_cpu_seconds", "CPU seconds in Spark", SECONDS),
        figure("peak_memory_mib", "Peak memory, MiB", COUNT, "MAX"),
        total("attempt_count", "Attempts at tasks"),
        total("failed_attempt_count", "Failed attempts"),
        Metric(
            "seconds_per_million",
            "Seconds a million payments",
            "run_seconds",
            SECONDS,
            over=("rows_out",),
            per=1_000_000,
        ),
    ),
)

TASKS: Final = Dataset(
    "fct_run_tasks",
    "Attempts at tasks",
    "finished_date",
    (
        Metric("attempts", "Attempts", None),
        figure("duration_seconds", "Slowest, seconds", SECONDS, "MAX"),
        total("duration_seconds", "Seconds in all", SECONDS),
        figure("peak_memory_mib", "Most memory, MiB", COUNT, "MAX"),
    ),
)

DATASETS: Final[tuple[Dataset, ...]] = (
    *(FRAUD_DAILY, FRAUD_OVERVIEW, FRAUD_ROLLING, MATURITY, BACKTEST, PATTERNS),
    *(MODEL_PERFORMANCE, MODEL_PERIODS, MODEL_VALUE, CALIBRATION, ALERTS, MODELS, FEATURES, DRIFT),
    RULE_BACKTESTS,
    *(DATA_QUALITY, DELIVERIES, GATE_HISTORY, GATE_RESULTS, RUNS, HEALTH, TASKS),
)
