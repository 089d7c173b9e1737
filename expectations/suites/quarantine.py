"""Rows set aside, with their reasons; their values are what is wrong and are not judged."""

from contracts.render.to_gx import Rule, base_rules
from contracts.tables import Table


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the declared rules without the ranges that a refused row may break."""
    return tuple(rule for rule in base_rules(table) if rule.what not in ("between", "in_set"))
