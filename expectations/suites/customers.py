"""Rules of customers, which are tokens."""

from contracts.render.to_gx import Rule, base_rules, not_below
from contracts.tables import Table
from expectations.suites.transactions import token_rules
from expectations.suites.versions import version_rules


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of a table of customers."""
    return (
        *base_rules(table),
        *token_rules(table),
        not_below("last_event_at", "first_event_at", "the latest payment is not before the first"),
        *version_rules(table),
    )
