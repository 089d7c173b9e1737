"""Rules of the versions of a party."""

from contracts.render.to_gx import Rule, not_below
from contracts.tables import Table


def version_rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of a table with versions; a table without them has none."""
    if "valid_from" not in table.column_names:
        return ()
    return (
        not_below("valid_to", "valid_from", "a version ends after it starts"),
        not_below("changed_at", "valid_from", "a payment made the version that it is of"),
        not_below("valid_to", "changed_at", "a payment made the version that it is of"),
    )
