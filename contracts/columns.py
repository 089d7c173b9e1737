"""Every column of the platform, declared once.

A table (`contracts/tables.py`) is an ordered list of these names. `contracts/render/` derives
types, units and allowed values for each engine.
"""

from typing import Final

from contracts.column import Column as Column
from contracts.column import LogicalType as LogicalType
from contracts.column import PersonalData as PersonalData
from contracts.feature_columns import FEATURE_COLUMNS
from contracts.features import SOURCE_FEATURES
from contracts.mart_columns import core, operations, reports, scores
from contracts.model_columns import MODEL_COLUMNS
from contracts.serving_columns import SERVING_COLUMNS
from contracts.task_columns import TASK_COLUMNS
from contracts.withdrawals import WithdrawalKind

_T = LogicalType
_P = PersonalData

COUNTERPARTY_TYPES: Final = ("merchant", "terminal", "customer", "bank", "unknown")
TRANSACTION_TYPES: Final = (
    "purchase",
    "transfer",
    "cash_out",
    "cash_in",
    "debit",
    "payment",
    "refund",
)
CHANNELS: Final = ("web", "app", "pos", "atm", "transfer", "unknown")
PAYMENT_METHODS: Final = ("card", "sepa", "crypto", "wallet", "unknown")
PRECISIONS: Final = ("second", "minute", "hour", "ordinal")
UNREPORTED: Final = "unreported"
"""Label source of a payment that nobody reported within the time that its source declares."""
LABEL_SOURCES: Final = ("truth", "chargeback", "rule", "anomaly", "analyst", UNREPORTED)
"""Sources of labels. Of labels that became known at the same instant, the first source counts."""
RISK_LEVELS: Final = ("low", "medium", "high", "critical")
DECISIONS: Final = ("approve", "review", "decline")
MOST_REASONS: Final = 4
"""Most reasons of a score, an alert or a decision."""
SEVERITIES: Final = ("critical", "warning", "info")

_COLUMNS: Final = (
    # --- the payment -----------------------------------------------------------------------
    Column("event_id", _T.STRING, "Identifier of the payment in its source system."),
    Column("source_system", _T.STRING, "Source system that delivered the payment."),
    Column("source_sequence", _T.LONG, "Position of the row in its delivery.", minimum=0),
    Column("schema_version", _T.INTEGER, "Version of the source layout that was read.", minimum=1),
    Column("event_at", _T.TIMESTAMP, "When the payment happened."),
    Column(
        "event_at_precision",
        _T.STRING,
        "Precision of the time of the payment in the source.",
        allowed=PRECISIONS,
    ),
    Column("event_date", _T.DATE, "Business date of the payment: its day in the source's zone."),
    Column("ingested_at", _T.TIMESTAMP, "When the delivery of this row landed in Raw."),
    Column("customer_id", _T.STRING, "Payer, as a keyed token.", personal=_P.DIRECT),
    Column(
        "instrument_id",
        _T.STRING,
        "Card or account that paid, as a keyed token.",
        nullable=True,
        personal=_P.DIRECT,
    ),
    Column(
        "counterparty_id", _T.STRING, "Merchant, terminal or payee that was paid.", nullable=True
    ),
    Column("counterparty_type", _T.STRING, "Kind of counterparty.", allowed=COUNTERPARTY_TYPES),
    Column("merchant_category", _T.STRING, "Category of the merchant.", nullable=True),
    Column("transaction_type", _T.STRING, "Kind of payment.", allowed=TRANSACTION_TYPES),
    Column("channel", _T.STRING, "Channel of the payment.", allowed=CHANNELS),
    Column("payment_method", _T.STRING, "Means of payment.", allowed=PAYMENT_METHODS),
    Column(
        "amount",
        _T.MONEY,
        "Amount of the payment, in `currency`.",
        unit="currency",
        minimum=0,
        personal=_P.FINANCIAL,
    ),
    Column("currency", _T.STRING, "ISO 4217 code of the amount, XXX where the source has none."),
    Column("country", _T.STRING, "ISO 3166 code of the country of the payment.", nullable=True),
    Column(
        "region",
        _T.STRING,
        "State or province of the payer, the only part of the address after Raw.",
        nullable=True,
        personal=_P.QUASI,
    ),
    Column(
        "transaction_lat",
        _T.DOUBLE,
        "Latitude of the payment, rounded to 0.1 degree after Raw.",
        nullable=True,
        unit="degree",
        minimum=-90,
        maximum=90,
        personal=_P.QUASI,
    ),
    Column(
        "transaction_lon",
        _T.DOUBLE,
        "Longitude of the payment, rounded to 0.1 degree after Raw.",
        nullable=True,
        unit="degree",
        minimum=-180,
        maximum=180,
        personal=_P.QUASI,
    ),
    Column(
        "home_lat",
        _T.DOUBLE,
        "Latitude of the payer's home, rounded to 0.1 degree after Raw.",
        nullable=True,
        unit="degree",
        minimum=-90,
        maximum=90,
        personal=_P.QUASI,
    ),
    Column(
        "home_lon",
        _T.DOUBLE,
        "Longitude of the payer's home, rounded to 0.1 degree after Raw.",
        nullable=True,
        unit="degree",
        minimum=-180,
        maximum=180,
        personal=_P.QUASI,
    ),
    Column(
        "device_id",
        _T.STRING,
        "Device that paid, as a keyed token.",
        nullable=True,
        personal=_P.ONLINE,
    ),
    Column(
        "ip_hash",
        _T.STRING,
        "Network address that paid, as a keyed token.",
        nullable=True,
        personal=_P.ONLINE,
    ),
    *(
        Column(
            f"{party}_balance_{moment}",
            _T.MONEY,
            f"Balance of the {party} {moment} the payment, in `currency`.",
            nullable=True,
            unit="currency",
            personal=_P.FINANCIAL,
        )
        for party in ("payer", "payee")
        for moment in ("before", "after")
    ),
    Column("source_flags", _T.STRINGS, "Flags that the source set on the payment.", nullable=True),
    Column(
        SOURCE_FEATURES,
        _T.DOUBLES_BY_NAME,
        "Numbers of the source's file, by the name of the feature in its mapping.",
        nullable=True,
    ),
    # --- where a row came from -------------------------------------------------------------
    Column("content_hash", _T.STRING, "Keyed hash over the mapped source row, to detect repeats."),
    Column("raw_object", _T.STRING, "Key of the Raw object with the row."),
    Column("raw_position", _T.LONG, "Row number inside the Raw object, from 0.", minimum=0),
    Column("window_key", _T.STRING, "Window of business dates of the run."),
    # --- labels ----------------------------------------------------------------------------
    Column("is_fraud", _T.BOOLEAN, "Whether the payment was fraud, according to this label."),
    Column("scenario", _T.STRING, "Fraud scenario, where the source names one.", nullable=True),
    Column("label_source", _T.STRING, "Who stated the label.", allowed=LABEL_SOURCES),
    Column("known_at", _T.TIMESTAMP, "When the label became known."),
    # --- parties ---------------------------------------------------------------------------
    Column("first_event_at", _T.TIMESTAMP, "Time of the first payment of the party."),
    Column("last_event_at", _T.TIMESTAMP, "Time of the latest payment of the party."),
    # --- quarantine ------------------------------------------------------------------------
    Column("reasons", _T.STRINGS, "Codes of the reasons, most important first."),
    Column("rules", _T.STRINGS, "The rule behind each reason, with its limit or its columns."),
    Column("first_seen_at", _T.TIMESTAMP, "When the delivery of this row landed in Raw."),
    Column("redrive_count", _T.LONG, "Number of redrives that refused the row again.", minimum=0),
    Column("redrive_run_id", _T.STRING, "Run of the latest redrive of the row.", nullable=True),
    # --- features: windows in contracts/features.py, formulas in spark/transforms/features/ ------
    *FEATURE_COLUMNS,
    # --- masked sample ---------------------------------------------------------------------
    Column(
        "amount_rounded",
        _T.LONG,
        "Amount rounded to ten units of `currency`.",
        unit="currency",
        minimum=0,
    ),
    # --- scores ----------------------------------------------------------------------------
    Column("model_name", _T.STRING, "Registered name of the model."),
    Column("model_version", _T.INTEGER, "Registered version of the model.", minimum=1),
    Column("feature_list_version", _T.STRING, "Version of the ordered feature list."),
    Column("feature_snapshot_id", _T.LONG, "Iceberg snapshot of sandbox.features that was read."),
    Column("score", _T.DOUBLE, "Fraud score of the model.", minimum=0, maximum=1),
    Column("risk_level", _T.STRING, "Band of the score.", allowed=RISK_LEVELS),
    Column("decision", _T.STRING, "Recommended decision.", allowed=DECISIONS),
    Column(
        "reason_codes",
        _T.STRINGS,
        f"At most {MOST_REASONS} reasons: codes of the rules that fired, most severe first, then"
        " the features that raised the score most, in capital letters, strongest first.",
    ),
    Column(
        "reason_sentences",
        _T.STRINGS,
        "A sentence for each of `reason_codes`, with the distance from the customer's normal; empty"
        " if an earlier version recorded the reasons.",
        personal=_P.FINANCIAL,
    ),
    Column("scored_at", _T.TIMESTAMP, "When the score was computed."),
    Column("detected_at", _T.TIMESTAMP, "When the alert was raised."),
    Column("recorded_at", _T.TIMESTAMP, "When the row was written to STAGING."),
    # --- models ----------------------------------------------------------------------------
    *MODEL_COLUMNS,
    # --- runs and gates --------------------------------------------------------------------
    Column("run_id", _T.STRING, "Identifier of the run that wrote the row."),
    Column("stage", _T.STRING, "Stage of the pipeline."),
    Column(
        "started_by", _T.STRING, "Login of the user who started the run, if any.", nullable=True
    ),
    Column("started_at", _T.TIMESTAMP, "When the run started."),
    Column("finished_at", _T.TIMESTAMP, "When the run finished."),
    Column(
        "duration_seconds", _T.DOUBLE, "Seconds from start to finish.", unit="seconds", minimum=0
    ),
    Column("dates_touched", _T.DATES, "Business dates that the run wrote."),
    Column("details", _T.JSON, "Other results of the stage: snapshots, model, objects."),
    *(
        column
        for flow, meaning in (
            ("in", "that the stage received"),
            ("restated", "that corrected rules added to the received rows, or removed if negative"),
            ("out", "that the stage passed to the next one"),
            ("quarantined", "quarantined with a reason"),
            ("duplicate", "dropped as an exact repeat"),
        )
        for column in (
            Column(
                f"rows_{flow}",
                _T.LONG,
                f"Rows {meaning}.",
                minimum=None if flow == "restated" else 0,
            ),
            Column(
                f"amount_{flow}",
                _T.MONEY,
                f"Money {meaning}, in `currency`.",
                unit="currency",
                personal=_P.FINANCIAL,
            ),
        )
    ),
    *TASK_COLUMNS,
    Column("gate", _T.STRING, "Gate that ran the check."),
    Column("check_name", _T.STRING, "Name of the check in the gate."),
    Column("table_name", _T.STRING, "Table that was checked."),
    Column("column_name", _T.STRING, "Column that was checked.", nullable=True),
    Column("severity", _T.STRING, "Severity of a failure.", allowed=SEVERITIES),
    Column("is_passed", _T.BOOLEAN, "Whether the check passed."),
    Column("observed", _T.STRING, "Observed value.", nullable=True),
    Column("expected", _T.STRING, "Expected value.", nullable=True),
    Column("check_reason", _T.STRING, "Reason for the expected value.", nullable=True),
    Column("checked_at", _T.TIMESTAMP, "When the gate ran."),
    # --- backtests of the rules of fraud -----------------------------------------------------
    Column(
        "rule_code",
        _T.STRING,
        "Code of a rule of fraud, or any_rule for the payments on which at least one rule fires.",
    ),
    Column("rule_codes", _T.STRINGS, "Codes of the rules of fraud that fired, most severe first."),
    Column("rules_version", _T.INTEGER, "Version of the file of rules.", minimum=1),
    Column("backtested_at", _T.TIMESTAMP, "When the rules were applied to the lake."),
    Column("first_event_date", _T.DATE, "First business date of the payments."),
    Column("last_event_date", _T.DATE, "Last business date of the payments."),
    # --- withdrawals and abandoned windows -------------------------------------------------
    Column(
        "withdrawal_kind",
        _T.STRING,
        "What was withdrawn.",
        allowed=tuple(map(str, WithdrawalKind)),
    ),
    Column("withdrawn_key", _T.STRING, "Identifier of what was withdrawn, a token for a customer."),
    Column("withdrawn_at", _T.TIMESTAMP, "When it was withdrawn."),
    Column("withdrawn_by", _T.STRING, "Login of the user who withdrew it."),
    Column("withdrawal_reason", _T.STRING, "Why it was withdrawn."),
    Column("abandoned_at", _T.TIMESTAMP, "When the window was abandoned."),
    Column("abandoned_by", _T.STRING, "Login of the user who abandoned the window."),
    Column("abandonment_reason", _T.STRING, "Why the window is not processed further."),
    Column("undone_at", _T.TIMESTAMP, "When it was undone.", nullable=True),
    Column("undone_by", _T.STRING, "Login of the user who undid it.", nullable=True),
    # --- the decision API ------------------------------------------------------------------
    *SERVING_COLUMNS,
    # --- PRODUCTION ------------------------------------------------------------------------
    *core.COLUMNS,
    *reports.COLUMNS,
    *operations.COLUMNS,
    *scores.COLUMNS,
)

COLUMNS: Final[dict[str, Column]] = {column.name: column for column in _COLUMNS}
if len(COLUMNS) != len(_COLUMNS):
    raise ValueError("a column is declared twice in contracts/columns.py")
