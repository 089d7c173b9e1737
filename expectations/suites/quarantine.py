"""Rules of quarantined rows, whose invalid values are not checked."""

from contracts.render.to_gx import Rule, base_rules
from contracts.tables import Table


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the declared rules without ranges, which refused rows may violate."""
    return tuple(rule for rule in base_rules(table) if rule.what not in ("between", "in_set"))
