"""Does the pipeline run, how long does it take, and is PRODUCTION up to date?"""

from typing import Final

from bi.charts import number, over_time, ranking, rows, table
from bi.datasets import HEALTH, RUNS, TASKS
from bi.model import Dashboard, Filter

DASHBOARD: Final = Dashboard(
    "platform_health",
    "Platform health",
    "Does the pipeline run, how long does each stage take, and does every row arrive?",
    (
        (
            number("runs", "Runs", HEALTH, "total_run_count"),
            number("failures", "Attempts that failed", HEALTH, "total_failed_attempt_count"),
            number("seconds", "Seconds of work", HEALTH, "total_run_seconds"),
            number("longest", "Longest run, seconds", HEALTH, "max_longest_run_seconds"),
        ),
        (
            ranking("by_stage", "Seconds by stage", HEALTH, "stage", "total_run_seconds"),
            ranking(
                "per_million",
                "Seconds a million payments, by stage",
                HEALTH,
                "stage",
                "seconds_per_million",
                where=("rows_out > 0",),
            ),
        ),
        (
            over_time(
                "seconds_by_day",
                "Seconds of work by day and stage",
                HEALTH,
                ("total_run_seconds",),
                by=("stage",),
                kind="bar",
                stack=True,
            ),
            ranking("memory", "Peak memory by stage, MiB", HEALTH, "stage", "max_peak_memory_mib"),
        ),
        (
            rows(
                "freshness",
                "Freshness of each stage",
                HEALTH,
                (
                    "last_finished_at",
                    "stage",
                    "source_system",
                    "latest_business_date",
                    "freshness_days",
                    "run_count",
                    "longest_run_seconds",
                    "run_seconds_per_million",
                    "cpu_seconds",
                    "peak_memory_mib",
                ),
                newest_by="last_finished_at",
                height=40,
            ),
        ),
        (
            table(
                "balances",
                "Rows and amounts in and out of each stage",
                RUNS,
                ("stage", "currency"),
                (
                    "total_rows_in",
                    "total_rows_out",
                    "total_rows_quarantined",
                    "total_rows_duplicate",
                    "total_amount_in",
                    "total_amount_out",
                ),
                order_by="total_rows_in",
                height=40,
            ),
        ),
        (
            table(
                "tasks",
                "Slowest tasks",
                TASKS,
                ("stage", "task_name", "task_outcome"),
                (
                    "attempts",
                    "max_duration_seconds",
                    "total_duration_seconds",
                    "max_peak_memory_mib",
                ),
                order_by="max_duration_seconds",
            ),
        ),
    ),
    (
        Filter("Dates"),
        Filter("Source", "source_system", HEALTH),
        Filter("Stage", "stage", HEALTH),
    ),
    owner="platform",
)
