"""Rules of the small frames in which a gate lays two stores side by side."""

from collections.abc import Iterable

from contracts.render.to_gx import CRITICAL, WARNING, Rule, between, equal, not_empty
from sources.ranges import Ranges

NOTHING_LOST = "nothing is lost, made or changed between two stores"


def schema_rules() -> tuple[Rule, ...]:
    """Return the rule on a frame of declared and stored column types."""
    return (
        equal("stored_type", "declared_type", "decimal(18,2) is not decimal(10,2)"),
        not_empty(),
    )


def agreement_rules(measures: Iterable[str], is_expected: bool) -> tuple[Rule, ...]:
    """Return the rules that each measure agrees with its `_before` twin, group by group."""
    pairs = tuple(equal(name, f"{name}_before", NOTHING_LOST) for name in measures)
    return (*pairs, not_empty()) if is_expected else pairs


def agreement_of_loader_rules() -> tuple[Rule, ...]:
    """Return the rule on what the loader itself saw differ: nothing."""
    return (equal("staging", "lake", NOTHING_LOST),)


def zero(column: str, reason: str, severity: str = CRITICAL) -> Rule:
    """Return the rule that a count of what must not be is zero in every row."""
    return between(column, 0, 0, reason, severity)


def run_rules(is_dated: bool) -> tuple[Rule, ...]:
    """Return the rule on how many rows a run says that it wrote.

    A run that touched no date passes with this one statement in place of the rules on its days.
    """
    if is_dated:
        why = "each date that a run names is one to which it brought a payment"
        return (between("rows_out", 1, None, why, what="something_new"),)
    why = "without a date a window brought only repeats, refused rows or nothing: nothing goes on"
    return (between("rows_out", 0, 0, why, what="nothing_new"),)


def balance_rules(ranges: Ranges) -> tuple[Rule, ...]:
    """Return the rules on the balances of a Processed batch."""
    why = "what went in is what went on, was set aside or was a repeat"
    share = "quarantined_share"
    return (
        equal("rows_in", "rows_landed", "the job read each row that the manifest counts"),
        equal("rows_accounted", "rows_in", why),
        equal("amount_accounted", "amount_in", why),
        equal("rows_in_table", "rows_out", "the table holds what the job says it wrote"),
        equal("amount_in_table", "amount_out", "to the cent"),
        equal("rows_in_quarantine", "rows_quarantined", "each refused row is kept with its reason"),
        equal("amount_in_quarantine", "amount_quarantined", "refused money is kept to the cent"),
        between(
            share,
            0,
            ranges.quarantined_share,
            "single bad rows do not stop the line; a source that changed breaks far more",
            what="declared",
        ),
        between(
            share,
            0,
            ranges.usual_quarantined_share,
            "the source declares where refused rows are worth a look",
            WARNING,
            "plausible",
        ),
        not_empty("a window without a row brings nothing to go on with"),
    )
