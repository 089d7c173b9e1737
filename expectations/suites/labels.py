"""Rules of labels."""

from contracts.render.to_gx import Rule, base_rules
from contracts.tables import Table


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of a table of labels; shares are checked by day in `days.py`."""
    return base_rules(table)
