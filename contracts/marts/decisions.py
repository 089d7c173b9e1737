"""Tables of PRODUCTION: decisions of the API, and their replay."""

from typing import Final

from contracts.lake_tables import EVENT_KEY
from contracts.serving_tables import (
    DECIDED,
    DECISION_GRAIN,
    REPLAY_GRAIN,
    REPLAY_KEY,
    WITHOUT_MODEL,
)
from contracts.table import Table

TABLES: Final = (
    Table(
        "production.fct_decisions",
        DECISION_GRAIN,
        EVENT_KEY,
        (*DECIDED, "decided_date"),
        also_nullable=WITHOUT_MODEL,
    ),
    Table(
        "production.rpt_decision_replay",
        REPLAY_GRAIN,
        REPLAY_KEY,
        (*REPLAY_KEY, "decision_count", "compared_count", "match_ratio", "replayed_at"),
    ),
)
