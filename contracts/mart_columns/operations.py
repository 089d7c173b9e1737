"""Columns of PRODUCTION: what the line did and what its gates said."""

from typing import Final

from contracts.column import Column, LogicalType, PersonalData

_T = LogicalType
REDRIVE_OUTCOMES: Final = ("waiting", "refused_again")

COLUMNS: Final[tuple[Column, ...]] = (
    # --- refused rows ----------------------------------------------------------------------
    Column("main_reason", _T.STRING, "Code of the most important reason."),
    Column(
        "refused_amount",
        _T.MONEY,
        "Amount of the refused row as far as it could be read, even below zero, in `currency`.",
        nullable=True,
        unit="currency",
        personal=PersonalData.FINANCIAL,
    ),
    Column(
        "redrive_outcome",
        _T.STRING,
        "Whether the row waits for its first redrive or was refused by one again;"
        " a row that passes is no longer here.",
        allowed=REDRIVE_OUTCOMES,
    ),
    Column(
        "quarantined_share",
        _T.DOUBLE,
        "Rows set aside, for this reason and in this currency, over the rows that came in.",
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    # --- gates -----------------------------------------------------------------------------
    Column("checked_date", _T.DATE, "UTC date on which the gate judged."),
    Column("judgement_count", _T.LONG, "Times that the gate judged a window.", minimum=0),
    Column("closed_count", _T.LONG, "Judgements that closed the gate.", minimum=0),
    Column("check_count", _T.LONG, "Checks that the gate made.", minimum=0),
    Column("failed_critical_count", _T.LONG, "Critical checks that failed.", minimum=0),
    Column("failed_warning_count", _T.LONG, "Checks that failed and warned.", minimum=0),
    Column("failed_info_count", _T.LONG, "Checks that failed and are only told.", minimum=0),
    Column("first_checked_at", _T.TIMESTAMP, "When the gate judged first."),
    Column("last_checked_at", _T.TIMESTAMP, "When the gate judged last."),
    # --- runs ------------------------------------------------------------------------------
    Column("finished_date", _T.DATE, "UTC date on which it finished."),
    Column(
        "last_finished_at",
        _T.TIMESTAMP,
        "When the last run, or attempt at one of its tasks, finished.",
    ),
    Column("run_count", _T.LONG, "Runs that finished.", minimum=0),
    Column(
        "run_seconds",
        _T.DOUBLE,
        "Seconds that the runs took together, from start to end.",
        unit="seconds",
        minimum=0,
    ),
    Column(
        "longest_run_seconds",
        _T.DOUBLE,
        "Seconds that the longest run took; null when none finished.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column("attempt_count", _T.LONG, "Attempts at tasks that ended.", minimum=0),
    Column("failed_attempt_count", _T.LONG, "Attempts at tasks that failed.", minimum=0),
    Column(
        "run_seconds_per_million",
        _T.DOUBLE,
        "Seconds of runs for a million payments; null when none went on.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column(
        "cpu_seconds_per_million",
        _T.DOUBLE,
        "CPU seconds of tasks, and of the Spark server where it is known, for a million payments;"
        " null when none went on or nothing was measured.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column(
        "latest_business_date",
        _T.DATE,
        "Latest business date that a run of the stage had handled by the end of the date; null"
        " before the first.",
        nullable=True,
    ),
    Column(
        "freshness_days",
        _T.INTEGER,
        "Days from the latest business date handled to the date.",
        nullable=True,
        unit="days",
    ),
)
