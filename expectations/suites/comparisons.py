"""Rules of the summary frames that compare two stores."""

from collections.abc import Iterable

from contracts.render.to_gx import CRITICAL, WARNING, Rule, between, equal, not_empty
from sources.ranges import Ranges

NOTHING_LOST = "no row is lost, added or changed between two stores"


def schema_rules() -> tuple[Rule, ...]:
    """Return the rule on a frame of declared and stored column types."""
    return (
        equal("stored_type", "declared_type", "decimal(20,4) is not decimal(10,2)"),
        not_empty(),
    )


def agreement_rules(measures: Iterable[str], is_expected: bool) -> tuple[Rule, ...]:
    """Return the rules that each measure equals its `_before` column in every group."""
    pairs = tuple(equal(name, f"{name}_before", NOTHING_LOST) for name in measures)
    return (*pairs, not_empty()) if is_expected else pairs


def agreement_of_loader_rules() -> tuple[Rule, ...]:
    """Return the rule that the loader found no differences."""
    return (equal("staging", "lake", NOTHING_LOST),)


def zero(column: str, reason: str, severity: str = CRITICAL, what: str = "between") -> Rule:
    """Return the rule that a count of forbidden rows is zero in every row."""
    return between(column, 0, 0, reason, severity, what)


def run_rules() -> tuple[Rule, ...]:
    """Return the rule on a run that touched no date, in place of the rules on its days."""
    why = "a window without dates has only repeats, refused rows or no rows"
    return (between("rows_out", 0, 0, why, what="nothing_new"),)


def balance_rules(ranges: Ranges) -> tuple[Rule, ...]:
    """Return the rules on the balances of a Processed batch."""
    why = "each received row is passed on, quarantined or a repeat"
    share = "quarantined_share"
    return (
        equal("rows_in", "rows_landed", "the job read each row that the manifest counts"),
        equal("rows_accounted", "rows_in", why),
        equal("amount_accounted", "amount_in", why),
        equal("rows_in_table", "rows_out", "the table has the rows that the job reports"),
        equal("amount_in_table", "amount_out", "to the cent"),
        equal("rows_in_quarantine", "rows_quarantined", "each refused row is kept with its reason"),
        equal("amount_in_quarantine", "amount_quarantined", "refused money is kept to the cent"),
        between(
            share,
            0,
            ranges.quarantined_share,
            "single invalid rows do not close the gate; a changed source has far more of them",
            what="declared",
        ),
        between(
            share,
            0,
            ranges.usual_quarantined_share,
            "the source declares the share of refused rows that warns",
            WARNING,
            "plausible",
        ),
        not_empty("a window without a row brings nothing to go on with"),
    )
