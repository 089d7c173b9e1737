"""Columns of what an attempt at a task takes of its machine (`tollgate_airflow/usage.py`)."""

from typing import Final

from contracts.column import Column, LogicalType

_T = LogicalType
TASK_OUTCOMES: Final = ("succeeded", "skipped", "failed")

TASK_COLUMNS: Final = (
    Column("task_name", _T.STRING, "Task of the stage's DAG."),
    Column("attempt_number", _T.INTEGER, "Number of the attempt at the task.", minimum=1),
    Column("task_outcome", _T.STRING, "How the attempt ended.", allowed=TASK_OUTCOMES),
    Column(
        "cpu_seconds",
        _T.DOUBLE,
        "CPU seconds of the task's process and of the children that it waited for.",
        unit="seconds",
        minimum=0,
    ),
    Column(
        "peak_memory_mib",
        _T.DOUBLE,
        "Most memory resident at once, in the task's process or in its largest child, with pages"
        " that a fork shares with its parent; on macOS since the process started.",
        unit="MiB",
        minimum=0,
    ),
    Column(
        "bytes_read",
        _T.LONG,
        "Bytes that the task's process and its children read from files and pipes, cached or not;"
        " what sockets receive is not among them. Null where the system does not tell.",
        nullable=True,
        unit="bytes",
        minimum=0,
    ),
    Column(
        "bytes_written",
        _T.LONG,
        "Bytes that the task's process and its children wrote to files and pipes, on disk yet or"
        " not; what sockets send is not among them. Null where the system does not tell.",
        nullable=True,
        unit="bytes",
        minimum=0,
    ),
    Column(
        "spark_cpu_seconds",
        _T.DOUBLE,
        "CPU seconds of the Spark server and its workers while the task used it, whoever else did;"
        " null without Spark, or where its server is not this platform's.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column(
        "spark_peak_memory_mib",
        _T.DOUBLE,
        "Most memory seen resident in the Spark server and its workers while the task used it,"
        " looked at twice a second; null as `spark_cpu_seconds` is.",
        nullable=True,
        unit="MiB",
        minimum=0,
    ),
)
