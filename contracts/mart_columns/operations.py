"""Columns of PRODUCTION: quarantined rows, gates, and runs."""

from typing import Final

from contracts.column import Column, LogicalType, PersonalData
from contracts.stages import WINDOW_STAGES

_T = LogicalType
REDRIVE_OUTCOMES: Final = ("waiting", "refused_again")

COLUMNS: Final[tuple[Column, ...]] = (
    # --- refused rows ----------------------------------------------------------------------
    Column("main_reason", _T.STRING, "Code of the most important reason."),
    Column(
        "refused_amount",
        _T.MONEY,
        "Amount of the refused row if readable, negative included, in `currency`.",
        nullable=True,
        unit="currency",
        personal=PersonalData.FINANCIAL,
    ),
    Column(
        "redrive_outcome",
        _T.STRING,
        "Whether the row had no redrive yet or a redrive refused it again;"
        " a row that passes leaves the table.",
        allowed=REDRIVE_OUTCOMES,
    ),
    Column(
        "quarantined_share",
        _T.DOUBLE,
        "Rows quarantined with this reason and currency, over the received rows.",
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    # --- gates -----------------------------------------------------------------------------
    Column("checked_date", _T.DATE, "UTC date on which the gate ran."),
    Column("judgement_count", _T.LONG, "Number of runs of the gate.", minimum=0),
    Column("closed_count", _T.LONG, "Runs that closed the gate.", minimum=0),
    Column("check_count", _T.LONG, "Checks that the gate ran.", minimum=0),
    Column("failed_critical_count", _T.LONG, "Critical checks that failed.", minimum=0),
    Column("failed_warning_count", _T.LONG, "Checks with severity warning that failed.", minimum=0),
    Column("failed_info_count", _T.LONG, "Checks with severity info that failed.", minimum=0),
    Column("first_checked_at", _T.TIMESTAMP, "When the gate ran first."),
    Column("last_checked_at", _T.TIMESTAMP, "When the gate ran last."),
    # --- windows ---------------------------------------------------------------------------
    *(
        Column(
            f"{stage}_finished_at",
            _T.TIMESTAMP,
            f"When the stage {stage} finished last for the window; null before.",
            nullable=True,
        )
        for stage in WINDOW_STAGES
    ),
    Column(
        "next_stage",
        _T.STRING,
        "Stage that the window waits for: the first that has not finished since the stage before;"
        " null when all have, or the window is abandoned.",
        nullable=True,
        allowed=tuple(map(str, WINDOW_STAGES[1:])),
    ),
    Column(
        "waiting_since_at",
        _T.TIMESTAMP,
        "When the stage before the next one finished; null when the window waits for none.",
        nullable=True,
    ),
    # --- runs ------------------------------------------------------------------------------
    Column("finished_date", _T.DATE, "UTC date of the finish."),
    Column(
        "last_finished_at",
        _T.TIMESTAMP,
        "When the last run, or attempt of a task, finished.",
    ),
    Column("run_count", _T.LONG, "Runs that finished.", minimum=0),
    Column(
        "run_seconds",
        _T.DOUBLE,
        "Sum of the seconds of the runs, from start to finish.",
        unit="seconds",
        minimum=0,
    ),
    Column(
        "longest_run_seconds",
        _T.DOUBLE,
        "Seconds of the longest run; null when none finished.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column("attempt_count", _T.LONG, "Task attempts that ended.", minimum=0),
    Column("failed_attempt_count", _T.LONG, "Task attempts that failed.", minimum=0),
    Column(
        "run_seconds_per_million",
        _T.DOUBLE,
        "Seconds of runs for each million payments; null when no payment passed.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column(
        "cpu_seconds_per_million",
        _T.DOUBLE,
        "CPU seconds of tasks, and of the Spark server if known, for each million payments;"
        " null when no payment passed or nothing was measured.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column(
        "latest_business_date",
        _T.DATE,
        "Latest business date that a run of the stage had processed by the end of the date; null"
        " before the first run.",
        nullable=True,
    ),
    Column(
        "freshness_days",
        _T.INTEGER,
        "Days from the latest processed business date to the date.",
        nullable=True,
        unit="days",
    ),
)
