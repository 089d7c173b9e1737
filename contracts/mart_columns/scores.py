"""Columns of PRODUCTION: scores, alerts with outcomes, metrics and drift of models."""

from typing import Final

from contracts.column import Column, LogicalType, PersonalData

_T = LogicalType
_P = PersonalData

DRIFT_LEVELS: Final = ("stable", "moderate", "large")
OUTCOMES: Final = ("true_positive", "false_positive", "pending")
DETECTED_BY: Final = ("batch", "stream")

COLUMNS: Final[tuple[Column, ...]] = (
    Column(
        "alert_count",
        _T.LONG,
        "Payments recommended for review or decline, or on which the rule fires.",
        minimum=0,
    ),
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
        "Whether the date is after the last date of the training data of the version, so that the"
        " metrics are not biased by training; false if that date is unknown.",
    ),
    Column("score_mean", _T.DOUBLE, "Mean score.", minimum=0, maximum=1),
    Column(
        "top_reason",
        _T.STRING,
        "The first one of `reason_codes`; null when none is recorded.",
        nullable=True,
    ),
    Column(
        "reason_text",
        _T.STRING,
        "`reason_sentences` as one text; null when none is recorded.",
        nullable=True,
        personal=_P.FINANCIAL,
    ),
    Column(
        "detected_by",
        _T.STRING,
        "What raised the alert: the batch line or the stream.",
        allowed=DETECTED_BY,
    ),
    Column("outcome", _T.STRING, "Outcome of the alert according to its label.", allowed=OUTCOMES),
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
                "Harmonic mean of precision and recall of alerts; null when one of them is.",
            ),
            (
                "auc",
                "Area under the ROC curve; payments not known to be fraud count as legitimate;"
                " null without both classes.",
            ),
            (
                "average_precision",
                "Step-wise area under the precision-recall curve; payments not known to be fraud"
                " count as legitimate; null without a known fraud.",
            ),
            (
                "card_precision_100",
                "Share of compromised cards among the 100 cards with the highest maximum score of"
                " the day; null without a compromised card.",
            ),
            (
                "card_precision_ceiling",
                "`card_precision_100` of a perfect ranking: its upper bound for any model.",
            ),
        )
    ),
    Column(
        "brier_score",
        _T.DOUBLE,
        "Brier score: mean squared difference of score and known fraud; lower is better.",
        minimum=0,
        maximum=1,
    ),
    *(
        Column(name, _T.MONEY, meaning, unit="currency", minimum=0, personal=_P.FINANCIAL)
        for name, meaning in (
            ("alert_amount", "Amount of payments with an alert."),
            ("saved_amount", "Amount of known frauds with an alert."),
            ("missed_amount", "Amount of known frauds without an alert."),
        )
    ),
    Column(
        "saved_amount_share",
        _T.DOUBLE,
        "Amount of known frauds with an alert over the amount of all known frauds; null when that"
        " is 0.",
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
        "Upper bound of the bin, exclusive; the last bin includes 1.",
        minimum=0,
        maximum=1,
    ),
)
