"""Columns of PRODUCTION: what the models said and what came of it."""

from typing import Final

from contracts.column import Column, LogicalType, PersonalData

_T = LogicalType
_P = PersonalData

DRIFT_LEVELS: Final = ("stable", "moderate", "large")
OUTCOMES: Final = ("true_positive", "false_positive", "pending")

COLUMNS: Final[tuple[Column, ...]] = (
    Column("alert_count", _T.LONG, "Payments recommended for review or decline.", minimum=0),
    Column("true_positive_count", _T.LONG, "Alerts known to be fraud.", minimum=0),
    Column("false_positive_count", _T.LONG, "Alerts known to be legitimate.", minimum=0),
    Column("missed_fraud_count", _T.LONG, "Known frauds without an alert.", minimum=0),
    Column(
        "alert_precision_ratio",
        _T.DOUBLE,
        "Alerts known to be fraud over alerts with a known label; null when there are none.",
        nullable=True,
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    Column(
        "alert_recall_ratio",
        _T.DOUBLE,
        "Known frauds with an alert over known frauds; null when there are none.",
        nullable=True,
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    Column(
        "is_unseen",
        _T.BOOLEAN,
        "Whether the date lies after the last one whose knowledge the version learnt, so that the"
        " figures do not flatter; false where that one is not known.",
    ),
    Column("score_mean", _T.DOUBLE, "Mean score.", minimum=0, maximum=1),
    Column(
        "top_reason",
        _T.STRING,
        "Feature that raised the score most; null when none was told.",
        nullable=True,
    ),
    Column("outcome", _T.STRING, "What came of the alert, as its label says.", allowed=OUTCOMES),
    Column(
        "outcome_known_at",
        _T.TIMESTAMP,
        "When the label that decides the outcome became known; null while it is pending.",
        nullable=True,
    ),
    Column("labelled_count", _T.LONG, "Payments with a label known as of the date.", minimum=0),
    Column("alert_share", _T.DOUBLE, "Alerts over payments.", unit="ratio", minimum=0, maximum=1),
    *(
        Column(name, _T.DOUBLE, meaning, nullable=True, minimum=0, maximum=1)
        for name, meaning in (
            (
                "f1_score",
                "Harmonic mean of the precision and the recall of alerts; null without an alert"
                " with a known label or a known fraud.",
            ),
            (
                "auc",
                "Area under the ROC curve, payments not known to be fraud counting as legitimate;"
                " null unless there are both.",
            ),
            (
                "average_precision",
                "Step-wise area under the precision-recall curve, payments not known to be fraud"
                " counting as legitimate; null without a known fraud.",
            ),
            (
                "card_precision_100",
                "Share of compromised cards among the 100 whose highest score of the day is"
                " highest; null without a compromised card.",
            ),
            (
                "card_precision_ceiling",
                "The same of a ranking that knows every label: what no model can pass.",
            ),
        )
    ),
    Column(
        "brier_score",
        _T.DOUBLE,
        "Mean squared distance of score and known fraud; lower is better.",
        minimum=0,
        maximum=1,
    ),
    *(
        Column(name, _T.MONEY, meaning, unit="currency", minimum=0, personal=_P.FINANCIAL)
        for name, meaning in (
            ("saved_amount", "Money of known frauds that raised an alert."),
            ("missed_amount", "Money of known frauds that raised none."),
        )
    ),
    Column(
        "saved_amount_share",
        _T.DOUBLE,
        "Money of known frauds that raised an alert over that of all; null without any.",
        nullable=True,
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    Column(
        "drift_level",
        _T.STRING,
        "Band of the stability index: below 0.1, below 0.25, or more.",
        allowed=DRIFT_LEVELS,
    ),
    Column(
        "importance_rank",
        _T.LONG,
        "Rank of the feature by importance in its model version, 1 is the most important.",
        nullable=True,
        minimum=1,
    ),
    Column("top_reason_count", _T.LONG, "Alerts whose top reason is the feature.", minimum=0),
    Column("top_reason_fraud_count", _T.LONG, "Of these, alerts known to be fraud.", minimum=0),
    Column(
        "top_reason_share",
        _T.DOUBLE,
        "Alerts whose top reason is the feature over the day's alerts; null without an alert.",
        nullable=True,
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    Column("score_from", _T.DOUBLE, "Lowest score of the bin.", minimum=0, maximum=1),
    Column(
        "score_to",
        _T.DOUBLE,
        "Score that the bin ends before; the last bin includes 1.",
        minimum=0,
        maximum=1,
    ),
)
