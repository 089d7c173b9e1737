"""What arrived, what was refused and why, and which checks failed?"""

from typing import Final

from bi.charts import number, over_time, rows, table
from bi.datasets import DATA_QUALITY, DELIVERIES, GATE_HISTORY, GATE_RESULTS, RUNS
from bi.model import Dashboard, Filter

DASHBOARD: Final = Dashboard(
    "data_quality",
    "Data quality",
    "What arrived, what was refused and why, and which checks failed?",
    (
        (
            number("delivered", "Payments delivered", DELIVERIES, "total_transaction_count"),
            number("refused", "Rows refused", RUNS, "total_rows_quarantined"),
            number("checks", "Checks made", GATE_HISTORY, "total_check_count"),
            number("closed", "Gates that closed", GATE_HISTORY, "total_closed_count"),
        ),
        (
            over_time(
                "deliveries",
                "Payments delivered by day",
                DELIVERIES,
                ("total_transaction_count",),
                by=("source_system",),
                kind="bar",
                stack=True,
            ),
            over_time(
                "refused_by_reason",
                "Rows refused by day and reason",
                DATA_QUALITY,
                ("total_rows_quarantined",),
                by=("main_reason",),
                kind="bar",
                stack=True,
            ),
        ),
        (
            table(
                "gates",
                "Gate runs and failed checks",
                GATE_HISTORY,
                ("gate",),
                (
                    "total_judgement_count",
                    "total_closed_count",
                    "total_check_count",
                    "total_failed_critical_count",
                    "total_failed_warning_count",
                    "total_failed_info_count",
                ),
                order_by="total_check_count",
                width=12,
                height=40,
            ),
        ),
        (
            rows(
                "failed_checks",
                "Checks that failed, newest first",
                GATE_RESULTS,
                (
                    "checked_at",
                    "gate",
                    "window_key",
                    "table_name",
                    "column_name",
                    "check_name",
                    "severity",
                    "observed",
                    "expected",
                    "check_reason",
                ),
                newest_by="checked_at",
                where=("not is_passed",),
            ),
        ),
    ),
    (
        Filter("Dates"),
        Filter("Source", "source_system", DELIVERIES),
        Filter("Currency", "currency", DELIVERIES),
        Filter("Gate", "gate", GATE_HISTORY),
    ),
    owner="platform",
)
