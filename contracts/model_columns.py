"""Columns of models: their versions, the evidence for each, and how their features drift."""

from typing import Final

from contracts.column import Column, LogicalType

_T = LogicalType
VERDICTS: Final = ("promoted", "refused")

_FIGURES: Final = {
    "test_average_precision": "Average precision",
    "test_auc": "Area under the ROC curve",
    "test_card_precision_100": "Share of compromised cards among a day's 100 highest scored",
    "test_recall_at_budget": "Share of frauds among the 2 % of a day's payments scored highest",
    "test_precision": "Share of frauds among payments scored at or above the threshold",
    "test_recall": "Share of frauds scored at or above the threshold",
}
_OF_TEST: Final = "on the test fold, customers known as compromised before left out"

MODEL_COLUMNS: Final = (
    Column("candidate", _T.STRING, "Kind of model that won on the validation folds."),
    Column("code_version", _T.STRING, "Commit of the code that trained, `unknown` outside one."),
    Column("trained_at", _T.TIMESTAMP, "When the version was registered."),
    Column("trained_as_of_date", _T.DATE, "Last business date whose knowledge was learnt."),
    Column("training_snapshots", _T.STRING, "Table and Iceberg snapshot of what was learnt from."),
    Column("training_count", _T.LONG, "Payments learnt from.", minimum=0),
    Column("training_fraud_count", _T.LONG, "Frauds among them.", minimum=0),
    *(
        Column(
            name,
            _T.DOUBLE,
            f"{meaning}, {_OF_TEST}; null where undefined.",
            nullable=True,
            minimum=0,
            maximum=1,
        )
        for name, meaning in _FIGURES.items()
    ),
    Column(
        "test_brier_score",
        _T.DOUBLE,
        "Mean squared distance of score and fraud, on the test fold.",
        nullable=True,
        minimum=0,
        maximum=1,
    ),
    Column(
        "test_brier_skill",
        _T.DOUBLE,
        "One minus the Brier score over that of always stating the prevalence; above 0 is better.",
        nullable=True,
        maximum=1,
    ),
    Column(
        "alert_threshold",
        _T.DOUBLE,
        "Score from which a payment is an alert.",
        minimum=0,
        maximum=1,
    ),
    Column("verdict", _T.STRING, "What the model gate decided.", allowed=VERDICTS),
    Column("verdict_reason", _T.STRING, "On which evidence the model gate decided, in words."),
    Column(
        "promoted_at",
        _T.TIMESTAMP,
        "When the version became champion; null if it never did.",
        nullable=True,
    ),
    Column("is_champion", _T.BOOLEAN, "Whether the version is its source's champion now."),
    Column(
        "champion_from_at",
        _T.TIMESTAMP,
        "Since when the version was champion; null if it never was.",
        nullable=True,
    ),
    Column(
        "champion_to_at",
        _T.TIMESTAMP,
        "When the next champion took over; null while none has, or if it never was.",
        nullable=True,
    ),
    Column("feature_name", _T.STRING, "Feature of the model."),
    Column(
        "importance",
        _T.DOUBLE,
        "Average precision lost on the test fold when the feature is shuffled; below 0 it misled.",
    ),
    Column(
        "stability_index",
        _T.DOUBLE,
        "Population stability index of the day's values against those learnt from; a day with few"
        " payments drifts by chance.",
        minimum=0,
    ),
    Column("feature_mean", _T.DOUBLE, "Mean of the values; null without any.", nullable=True),
    Column("null_share", _T.DOUBLE, "Share of payments without a value.", minimum=0, maximum=1),
    Column(
        "training_mean",
        _T.DOUBLE,
        "Mean of the values learnt from; null without any.",
        nullable=True,
    ),
    Column(
        "training_null_share",
        _T.DOUBLE,
        "Share of the payments learnt from without a value.",
        minimum=0,
        maximum=1,
    ),
)
