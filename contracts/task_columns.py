"""Columns of the resource use of a task attempt (`tollgate_airflow/usage.py`)."""

from typing import Final

from contracts.column import Column, LogicalType

_T = LogicalType
TASK_OUTCOMES: Final = ("succeeded", "skipped", "failed")

TASK_COLUMNS: Final = (
    Column("task_name", _T.STRING, "Task of the stage's DAG."),
    Column("attempt_number", _T.INTEGER, "Number of the attempt.", minimum=1),
    Column("task_outcome", _T.STRING, "How the attempt ended.", allowed=TASK_OUTCOMES),
    Column(
        "cpu_seconds",
        _T.DOUBLE,
        "CPU seconds of the task process and of its finished child processes.",
        unit="seconds",
        minimum=0,
    ),
    Column(
        "peak_memory_mib",
        _T.DOUBLE,
        "Peak resident memory of the task process or of its largest child, including pages"
        " shared with the parent; on macOS since the process started.",
        unit="MiB",
        minimum=0,
    ),
    Column(
        "bytes_read",
        _T.LONG,
        "Bytes that the task process and its children read from files and pipes, including cached"
        " reads, without sockets. Null if the system does not report it.",
        nullable=True,
        unit="bytes",
        minimum=0,
    ),
    Column(
        "bytes_written",
        _T.LONG,
        "Bytes that the task process and its children wrote to files and pipes, including cached"
        " writes, without sockets. Null if the system does not report it.",
        nullable=True,
        unit="bytes",
        minimum=0,
    ),
    Column(
        "spark_cpu_seconds",
        _T.DOUBLE,
        "CPU seconds of the Spark server and its workers during the attempt, for all its users;"
        " null without Spark, or if another platform runs the server.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column(
        "spark_peak_memory_mib",
        _T.DOUBLE,
        "Peak resident memory of the Spark server and its workers during the attempt, sampled"
        " twice a second; null when `spark_cpu_seconds` is.",
        nullable=True,
        unit="MiB",
        minimum=0,
    ),
)
