"""Rules of scores: one score for each payment, by one model, in the expected distribution."""

from typing import Final

from contracts.render.to_gx import WARNING, Rule, base_rules, equal
from contracts.tables import Table
from expectations.suites.comparisons import zero
from sources.ranges import Ranges

VARIED_ROWS: Final = 20
"""Minimum number of payments at which equal scores for all of them are an error."""


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of a batch of scores."""
    return base_rules(table)


def input_rules() -> tuple[Rule, ...]:
    """Return the rule on the inputs without any value in a batch, one for each row."""
    why = "the model learnt from values of this feature and got none: scores without it mislead"
    return (zero("rows_without", why),)


def batch_rules(ranges: Ranges, is_varied: bool) -> tuple[Rule, ...]:
    """Return the rules of the one-row summary of a batch of scores of a source."""
    return (
        equal("rows_scored", "rows_featured", "each payment of the dates is scored exactly once"),
        _at_most("rows_not_featured", 0, "a score without features has nothing behind it"),
        _at_most("rows_of_other_model", 0, "a batch is scored by the one model that is reported"),
        _at_most("rows_of_other_snapshot", 0, "and from the one feature snapshot that is recorded"),
        *((_NOT_CONSTANT,) if is_varied else ()),
        _at_most(
            "alert_share",
            ranges.alert_share,
            "a model that raises more alerts is broken, or meets payments it never learnt from",
        ),
        _at_most(
            "alert_share",
            ranges.usual_alert_share,
            "batches of the source usually raise fewer alerts",
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
