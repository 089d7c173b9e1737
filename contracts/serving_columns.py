"""Columns of the decision API (`serving/`)."""

from enum import StrEnum
from typing import Final

from contracts.column import Column, LogicalType

_T = LogicalType
USER_ROLES: Final = ("service", "analyst", "admin")
"""Roles of users of the API: a service has payments decided, an admin does so and adds users."""
FEEDBACK_OUTCOMES: Final = ("confirmed_fraud", "false_alarm")
CASE_EVENTS: Final = ("claimed", "released", "decided")


class ReplayOutcome(StrEnum):
    """What came of a decision that was computed again; all after the second are not comparable."""

    MATCHED = "matched"
    MISMATCHED = "mismatched"
    DEGRADED = "degraded"
    OTHER_RULES = "other_rules"
    OTHER_FEATURE_LIST = "other_feature_list"
    NO_MODEL = "no_model"
    NO_FILL = "no_fill"
    STORE_WAS_FILLED = "store_was_filled"
    SNAPSHOT_EXPIRED = "snapshot_expired"


SERVING_COLUMNS: Final = (
    Column("fill_started_at", _T.TIMESTAMP, "When a fill of the online store began."),
    Column(
        "fill_finished_at",
        _T.TIMESTAMP,
        "When the store had the payments of the fill; null before that, or if it failed.",
        nullable=True,
    ),
    Column("payments_snapshot_id", _T.LONG, "Iceberg snapshot of the payments of the fill."),
    Column("labels_snapshot_id", _T.LONG, "Iceberg snapshot of the labels of the fill."),
    Column(
        "replay_outcome",
        _T.STRING,
        "What came of decisions that were computed again from the lake: matched, mismatched, or why"
        " they are not comparable.",
        allowed=tuple(ReplayOutcome),
    ),
    Column("decision_count", _T.LONG, "Decisions of the sample with the outcome.", minimum=0),
    Column("replayed_at", _T.TIMESTAMP, "When the decisions were computed again."),
    Column(
        "compared_count",
        _T.LONG,
        "Decisions of the sample of the date and source that are comparable.",
        minimum=0,
    ),
    Column(
        "match_ratio",
        _T.DOUBLE,
        "Matched decisions over compared ones of the date and source; null if none is comparable.",
        nullable=True,
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    Column(
        "fraud_known_at",
        _T.TIMESTAMP,
        "When the payment first became known as fraud, null if it is not known.",
        nullable=True,
    ),
    Column("payment_day", _T.LONG, "UTC day of the payments, in days since 1970-01-01."),
    Column(
        "known_day",
        _T.LONG,
        "First UTC day at whose start the payments are known as fraud, in days since 1970-01-01; -1"
        " if they are not.",
        minimum=-1,
    ),
    Column("request_id", _T.STRING, "Identifier of the request that was decided."),
    Column("request_hash", _T.STRING, "Keyed hash over the payment, to detect other content."),
    Column("request", _T.JSON, "The payment of the request, with tokens and rounded places."),
    Column(
        "answer",
        _T.STRING,
        "The answer of the API as it was sent: JSON with score, reasons, features and causes.",
    ),
    Column("degraded_causes", _T.STRINGS, "Why the rules alone decided, as sentences; else empty."),
    Column(
        "latency_seconds",
        _T.DOUBLE,
        "Time from the arrival of the request to the decision.",
        minimum=0,
    ),
    Column(
        "chain_position",
        _T.LONG,
        "Position of the row in the decision log, from 1 on without a gap.",
        minimum=1,
    ),
    Column("previous_hash", _T.STRING, "`row_hash` of the row before it, zeros for the first row."),
    Column(
        "row_hash",
        _T.STRING,
        "SHA-256 over the canonical content of the row, in which `previous_hash` is.",
    ),
    Column("decided_date", _T.DATE, "UTC date of the decision."),
    Column(
        "shadow_model_version",
        _T.INTEGER,
        "Registered version of the model that scored the payment too and did not decide: the"
        " challenger, or the champion for a payment on which the challenger decided.",
    ),
    Column("shadow_score", _T.DOUBLE, "Fraud score of this model.", minimum=0, maximum=1),
    Column("is_degraded", _T.BOOLEAN, "Whether a part was away, so that the rules alone decided."),
    Column("added_at", _T.TIMESTAMP, "When the stream added the payment to the online store."),
    Column("decided_at", _T.TIMESTAMP, "When the payment was decided."),
    Column("caller", _T.STRING, "User of the API that sent the request."),
    Column("user_name", _T.STRING, "Name of a user of the decision API."),
    Column("user_role", _T.STRING, "What the user may do.", allowed=USER_ROLES),
    Column("password_hash", _T.STRING, "Salted Argon2 hash of the password, with its parameters."),
    Column("created_at", _T.TIMESTAMP, "When the user was added."),
    Column("is_disabled", _T.BOOLEAN, "Whether an admin has disabled the user."),
    Column(
        "failed_sign_in_count",
        _T.LONG,
        "Wrong passwords in a row, each within the lock-out time after the one before.",
        minimum=0,
    ),
    Column(
        "failed_sign_in_at", _T.TIMESTAMP, "When the last wrong password was given.", nullable=True
    ),
    Column("token_hash", _T.STRING, "SHA-256 of a refresh token, which has 256 random bits."),
    Column("session_id", _T.STRING, "Identifier of the session that a sign-in began."),
    Column("expires_at", _T.TIMESTAMP, "When the session of the token ends."),
    Column("used_at", _T.TIMESTAMP, "When the token was used, null before.", nullable=True),
    Column("feedback_id", _T.STRING, "Identifier of a statement of an analyst."),
    Column("feedback_outcome", _T.STRING, "What the analyst found.", allowed=FEEDBACK_OUTCOMES),
    Column("note", _T.STRING, "Why, in the words of the analyst.", nullable=True),
    Column("case_event_number", _T.LONG, "Number of the event in its case, from 1.", minimum=1),
    Column("case_event", _T.STRING, "What happened to the case.", allowed=CASE_EVENTS),
    Column("happened_at", _T.TIMESTAMP, "When it happened."),
    Column(
        "claim_ends_at",
        _T.TIMESTAMP,
        "When a claim ends if the case is not decided before, null for other events.",
        nullable=True,
    ),
    Column("payment_count", _T.LONG, "Number of payments.", minimum=0),
)
