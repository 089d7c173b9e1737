"""Every table of the platform by name: lake, STAGING, PRODUCTION and the decision API."""

from typing import Final

from contracts import model_tables, serving_tables
from contracts.lake_tables import LAKE_AND_STAGING
from contracts.marts import core, decisions, operations, reports, scores
from contracts.table import Table as Table

_TABLES: Final = (
    *LAKE_AND_STAGING,
    *model_tables.TABLES,
    *core.TABLES,
    *reports.TABLES,
    *operations.TABLES,
    *scores.TABLES,
    *decisions.TABLES,
    *serving_tables.TABLES,
)

TABLES: Final[dict[str, Table]] = {table.name: table for table in _TABLES}


def zone(name: str) -> tuple[Table, ...]:
    """Return the tables of a zone, in declared order."""
    return tuple(table for table in _TABLES if table.zone == name)
