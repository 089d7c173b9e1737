"""Tables of SERVING, which the decision API reads and adds to, and its decisions in STAGING."""

from typing import Final

from contracts.lake_tables import EVENT_KEY
from contracts.table import Table

RECENT_PAYMENT: Final = (
    "event_id",
    "source_system",
    "source_sequence",
    "event_at",
    "event_at_precision",
    "event_date",
    "customer_id",
    "instrument_id",
    "counterparty_id",
    "counterparty_type",
    "merchant_category",
    "amount",
    "currency",
    "country",
    "transaction_lat",
    "transaction_lon",
    "home_lat",
    "home_lon",
    "device_id",
)
"""The columns of a payment that features and rules read."""
SHADOW: Final = ("shadow_model_version", "shadow_score")
CHAIN: Final = ("chain_position", "previous_hash", "row_hash")
DECISION: Final = (
    *EVENT_KEY,
    "event_at",
    "event_date",
    "customer_id",
    "counterparty_id",
    "amount",
    "currency",
    "request_id",
    "request_hash",
    "request",
    "answer",
    "model_name",
    "model_version",
    "rules_version",
    "feature_list_version",
    "score",
    *SHADOW,
    "risk_level",
    "decision",
    "is_degraded",
    "caller",
    "decided_at",
    *CHAIN,
)
DECIDED: Final = (
    "request_id",
    *EVENT_KEY,
    "event_date",
    "event_at",
    "customer_id",
    "counterparty_id",
    "amount",
    "currency",
    "model_name",
    "model_version",
    "rules_version",
    "feature_list_version",
    "score",
    *SHADOW,
    "risk_level",
    "decision",
    "reason_codes",
    "reason_sentences",
    "is_degraded",
    "degraded_causes",
    "latency_seconds",
    "caller",
    "decided_at",
    "recorded_at",
    "run_id",
)
"""The columns of a decision in STAGING and PRODUCTION."""
DECISION_GRAIN: Final = "payment that the decision API decided"
WITHOUT_MODEL: Final = ("model_name", "model_version", "score", *SHADOW)
"""Columns that are null if no model gave a score, or no second one."""
FILL: Final = (
    "source_system",
    "fill_started_at",
    "fill_finished_at",
    "last_event_date",
    "payments_snapshot_id",
    "labels_snapshot_id",
)
REPLAY_KEY: Final = ("decided_date", "source_system", "replay_outcome")
REPLAY_GRAIN: Final = "date of decisions, source system and outcome of their replay"
CATEGORY_COUNT_KEY: Final = ("source_system", "merchant_category", "payment_day", "known_day")

TABLES: Final = (
    Table(
        "serving.recent_payments",
        "payment that features of later payments read",
        EVENT_KEY,
        (*RECENT_PAYMENT, "fraud_known_at"),
    ),
    Table(
        "serving.streamed_payments",
        "payment of the stream that was added to the online store",
        EVENT_KEY,
        (*RECENT_PAYMENT, "added_at"),
    ),
    Table(
        "serving.fills",
        "fill of the online store with the payments of a source",
        ("source_system", "fill_started_at"),
        FILL,
    ),
    Table(
        "staging.decision_replays",
        REPLAY_GRAIN,
        REPLAY_KEY,
        (*REPLAY_KEY, "decision_count", "replayed_at", "run_id"),
    ),
    Table(
        "serving.category_counts",
        "merchant category, day, and day on which its payments became known as fraud",
        CATEGORY_COUNT_KEY,
        (*CATEGORY_COUNT_KEY, "payment_count"),
        never_null=("merchant_category",),
    ),
    Table(
        "serving.decisions",
        DECISION_GRAIN,
        EVENT_KEY,
        DECISION,
        also_nullable=WITHOUT_MODEL,
    ),
    Table("staging.decisions", DECISION_GRAIN, EVENT_KEY, DECIDED, also_nullable=WITHOUT_MODEL),
    Table(
        "serving.users",
        "user of the decision API",
        ("user_name",),
        (
            *("user_name", "user_role", "password_hash", "created_at"),
            *("is_disabled", "failed_sign_in_count", "failed_sign_in_at"),
        ),
    ),
    Table(
        "serving.refresh_tokens",
        "refresh token of a session that has not ended",
        ("token_hash",),
        ("token_hash", "session_id", "user_name", "expires_at", "used_at"),
    ),
    Table(
        "serving.feedback",
        "statement of an analyst on a payment; a later one corrects it",
        ("feedback_id",),
        (
            *("feedback_id", *EVENT_KEY, "event_date", "feedback_outcome", "note"),
            *("user_name", "known_at"),
        ),
    ),
    Table(
        "serving.case_events",
        "event of a case; the last one is its state",
        (*EVENT_KEY, "case_event_number"),
        (
            *(*EVENT_KEY, "case_event_number", "case_event"),
            *("user_name", "happened_at", "claim_ends_at"),
        ),
    ),
)
