"""Rules on the days of Processed and Sandbox: completeness, and usual values."""

from contracts.render.to_gx import CRITICAL, WARNING, Rule, between, equal, not_empty
from contracts.tables import TABLES
from expectations.suites.comparisons import zero
from sources.declaration import Source

MINIMUM_ROWS = 100
"""Shares of fewer payments are not checked; the smallest day of the sample has 183."""


def processed_rules(source: Source, is_expected: bool) -> tuple[Rule, ...]:
    """Return the rules on the days of Processed; shares of small days are null and not checked."""
    usual = source.ranges
    lowest, highest = usual.morning_share
    return (
        zero("labels_without_payment", "each label refers to a stored payment"),
        _at_most(
            "unlabelled_share",
            usual.unlabelled_share,
            f"{source.name} states so many labels with their payments",
            CRITICAL if usual.unlabelled_share else WARNING,
        ),
        zero("payments_without_customer", "each payer is in processed.customers"),
        zero("payments_without_merchant", "each counterparty is in processed.merchants"),
        zero("labels_known_too_early", "a label cannot be known before its payment"),
        zero("misdated", f"event_date is the date of event_at in {source.zone}"),
        zero("precise_places", "places are rounded to 0.1 degree after Raw"),
        between(
            "morning_share",
            lowest,
            highest,
            f"{source.name} declares it from past days; half a day missing gives 0 or 1",
        ),
        between(
            "fraud_share",
            *usual.fraud_share,
            f"{source.name} declares it, by its worst day: far more is a broken label",
        ),
        _at_most(
            "fraud_share",
            usual.usual_fraud_share,
            f"the worst day that {source.name} had",
            WARNING,
            "plausible",
        ),
        *(_filled(column, source) for column in filled_columns(source)),
        *(
            zero(f"{column}_unknown", f"{source.name} declares the closed list of its codes")
            for column in source.codes
        ),
        *((not_empty(),) if is_expected else ()),
    )


def filled_columns(source: Source) -> tuple[str, ...]:
    """Return the nullable columns of a payment that a source fills in each row."""
    return tuple(
        name
        for name in TABLES["processed.transactions"].column_names
        if name in source.fills - source.ranges.sometimes_null
        and TABLES["processed.transactions"].is_nullable(name)
    )


def _filled(column: str, source: Source) -> Rule:
    return zero(f"{column}_nulls", f"{source.name} fills it in each row, or declares otherwise")


def window_rules(source: Source) -> tuple[Rule, ...]:
    """Return the rules on the dates of the window, with the current rows of the table.

    Who delivers whole files does not promise a payment for each date.
    """
    fewest, most = source.rows_per_day
    return (
        zero("rows_missing", f"{source.name} declares that a whole day has {fewest} payments"),
        zero("rows_excess", f"{source.name} declares that a day has at most {most} payments"),
    )


def delivery_rules(source: Source) -> tuple[Rule, ...]:
    """Return the rules on a delivery; a complete log may have dates outside of its window."""
    repeated = _at_most(
        "repeated_share",
        0.05,
        "a payment comes once: repeats that no other delivery of these dates explains are a file"
        " that was sent, or written, twice",
    )
    if source.delivers == "whole":
        return (repeated,)
    return (
        repeated,
        _at_most(
            "late_share",
            source.ranges.late_share,
            f"{source.name} declares how much of a delivery may be dated before its window",
        ),
        _at_most(
            "early_share",
            source.ranges.early_share,
            f"{source.name} declares how much of a delivery may be dated after its window",
        ),
    )


def month_rules(source: Source) -> tuple[Rule, ...]:
    """Return the rules on a window of at least four weeks, which must have frauds."""
    low, high = source.ranges.long_fraud_share
    why = f"{source.name} declares it, by any 28 days; in single days there may be none"
    return (between("fraud_share", low, high, why),)


def feed_rules() -> tuple[Rule, ...]:
    """Return the rules on the rows of a label feed."""
    return (
        zero("unreadable", "each row names a payment, a label, its source and its time", WARNING),
        _at_most(
            "without_payment_share",
            0.05,
            "a label names a stored payment, except for those that are refused",
            WARNING,
        ),
    )


def sandbox_rules(is_expected: bool) -> tuple[Rule, ...]:
    """Return the rules on the days of the Sandbox against those of Processed."""
    same = "features are computed for each processed payment, once"
    return (
        equal("rows", "rows_before", same),
        equal("amount", "amount_before", "a feature row has the amount of its payment"),
        equal(
            "content",
            "content_before",
            "a feature row has the id, time, payer, payee, amount and source features of its"
            " payment",
        ),
        zero("masked_unmatched", "the masked sample is drawn from the processed payments"),
        zero("masked_different", "a masked row has the values of its payment"),
        between(
            "masked_share",
            0.001,
            0.25,
            "one in ten is drawn: in the sample's smallest day, 183 payments, five standard"
            " deviations reach 0.21, and a day without any has odds of 4 in a billion",
        ),
        *((not_empty(),) if is_expected else ()),
    )


def _at_most(
    column: str, limit: float, reason: str, severity: str = CRITICAL, what: str = "at_most"
) -> Rule:
    return between(column, 0, limit, reason, severity, what)
