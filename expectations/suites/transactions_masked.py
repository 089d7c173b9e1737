"""The masked sample for analysts: no token of a person is in it."""

from contracts.render.to_gx import Rule, base_rules
from contracts.tables import Table
from expectations.suites.transactions import token_rules


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of the masked sample; its size is checked by day in `days.py`."""
    return (*base_rules(table), *token_rules(table))
