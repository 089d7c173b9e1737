"""Tables of PRODUCTION: decisions of the API."""

from typing import Final

from contracts.lake_tables import EVENT_KEY
from contracts.serving_tables import DECIDED, DECISION_GRAIN, WITHOUT_MODEL
from contracts.table import Table

TABLES: Final = (
    Table(
        "production.fct_decisions",
        DECISION_GRAIN,
        EVENT_KEY,
        (*DECIDED, "decided_date"),
        also_nullable=WITHOUT_MODEL,
    ),
)
