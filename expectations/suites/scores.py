"""Scores: each payment once, by one model, in a distribution that we know."""

from contracts.render.to_gx import WARNING, Rule, base_rules, equal
from contracts.tables import Table


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of a batch of scores."""
    return base_rules(table)


def batch_rules(is_expected: bool) -> tuple[Rule, ...]:
    """Return the rules of the one-row summary of a batch of scores."""
    return (
        equal("rows_scored", "rows_featured", "each payment of the dates is scored exactly once"),
        _at_most("rows_not_featured", 0, "a score without features has nothing behind it"),
        _at_most("rows_of_other_model", 0, "a batch is scored by the one model that is reported"),
        _at_most("rows_of_other_snapshot", 0, "and from the one feature snapshot that is recorded"),
        *((_NOT_CONSTANT,) if is_expected else ()),
        _at_most(
            "alert_share",
            0.25,
            "the sample's worst day holds 8 % frauds: three times that in alerts is a broken model",
        ),
        _at_most(
            "alert_share",
            0.08,
            "the sample's worst day holds 8 % frauds",
            WARNING,
            "plausible",
        ),
    )


_NOT_CONSTANT = Rule(
    "ExpectColumnMinToBeBetween",
    "not_constant",
    "at least 2 distinct scores",
    "a model that gives every payment one score has not looked at it",
    "distinct_scores",
    arguments={"min_value": 2, "max_value": None},
)


def _at_most(
    column: str, limit: float, reason: str, severity: str = "critical", what: str = "at_most"
) -> Rule:
    return Rule(
        "ExpectColumnMaxToBeBetween",
        what,
        f"at most {limit:g}",
        reason,
        column,
        severity,
        {"min_value": None, "max_value": limit},
    )
