"""Columns of models: versions, test metrics, and drift of the features."""

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
_OF_TEST: Final = "on the test fold, without customers known as compromised before it"

MODEL_COLUMNS: Final = (
    Column("candidate", _T.STRING, "Kind of model that was best on the validation folds."),
    Column("code_version", _T.STRING, "Git commit of the training code, or `unknown`."),
    Column("trained_at", _T.TIMESTAMP, "When the version was registered."),
    Column("trained_as_of_date", _T.DATE, "Last business date with labels that training used."),
    Column("training_snapshots", _T.STRING, "Table and Iceberg snapshot of the training data."),
    Column("training_count", _T.LONG, "Payments in the training data.", minimum=0),
    Column("training_fraud_count", _T.LONG, "Frauds in the training data.", minimum=0),
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
        "Brier score: mean squared difference of score and label, on the test fold.",
        nullable=True,
        minimum=0,
        maximum=1,
    ),
    Column(
        "test_brier_skill",
        _T.DOUBLE,
        "One minus the Brier score over the Brier score of always predicting the fraud share;"
        " above 0 is better than that.",
        nullable=True,
        maximum=1,
    ),
    Column(
        "alert_threshold",
        _T.DOUBLE,
        "Lowest score of an alert.",
        minimum=0,
        maximum=1,
    ),
    Column("verdict", _T.STRING, "What the model gate decided.", allowed=VERDICTS),
    Column("verdict_reason", _T.STRING, "Reason of the verdict, as text."),
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
        "When the next champion replaced it; null before that, or if it never was champion.",
        nullable=True,
    ),
    Column("feature_name", _T.STRING, "Feature of the model."),
    Column(
        "importance",
        _T.DOUBLE,
        "Permutation importance: loss of average precision on the test fold when the feature is"
        " shuffled; negative when shuffling improves it.",
    ),
    Column(
        "stability_index",
        _T.DOUBLE,
        "Population stability index of the day's values against the training data; a day with few"
        " payments can drift by chance.",
        minimum=0,
    ),
    Column("feature_mean", _T.DOUBLE, "Mean of the values; null without values.", nullable=True),
    Column("null_share", _T.DOUBLE, "Share of payments without a value.", minimum=0, maximum=1),
    Column(
        "training_mean",
        _T.DOUBLE,
        "Mean in the training data; null without values.",
        nullable=True,
    ),
    Column(
        "training_null_share",
        _T.DOUBLE,
        "Share of the training payments without a value.",
        minimum=0,
        maximum=1,
    ),
)
