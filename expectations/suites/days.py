"""Processed and Sandbox by day: is a day whole, and is it the world we know?"""

from contracts.render.to_gx import WARNING, Rule, between, equal, not_empty
from expectations.suites.comparisons import zero

JUDGED_ROWS = 100
"""A share of fewer payments than this says nothing; the sample's smallest day holds 183."""


def processed_rules(is_expected: bool) -> tuple[Rule, ...]:
    """Return the rules on the days of Processed; shares of small days are null and not judged."""
    return (
        zero("labels_without_payment", "a label speaks of a payment that is here"),
        zero(
            "payments_without_label",
            "each source so far states the label with the payment",
            WARNING,
        ),
        zero("payments_without_customer", "each payer stands in processed.customers"),
        zero("payments_without_merchant", "each counterparty stands in processed.merchants"),
        zero("labels_known_too_early", "a label cannot be known before its payment"),
        zero("misdated", "event_date is the UTC date of event_at"),
        zero("precise_places", "places are rounded to 0.1 degree beyond Raw"),
        between(
            "morning_share",
            0.14,
            0.65,
            "the sample's days hold 0.32 to 0.47 of their payments before noon, five standard"
            " deviations of its smallest day on either side; half a day missing gives 0 or 1",
        ),
        between(
            "fraud_share",
            0,
            0.25,
            "the sample's worst day holds 0.08: three times that is a broken label",
        ),
        between(
            "fraud_share", 0, 0.08, "the sample's worst day holds 0.0795", WARNING, "plausible"
        ),
        *((not_empty(),) if is_expected else ()),
    )


def month_rules() -> tuple[Rule, ...]:
    """Return the rules on a window of four weeks or more: then no fraud at all is no luck."""
    return (
        between(
            "fraud_share",
            0.001,
            0.10,
            "any 28 days of the sample hold 0.0084 to 0.0171; in single days there may be none",
        ),
    )


def sandbox_rules(is_expected: bool) -> tuple[Rule, ...]:
    """Return the rules on the days of the Sandbox against those of Processed."""
    same = "features are computed for each processed payment, once"
    return (
        equal("rows", "rows_before", same),
        equal("amount", "amount_before", "the amount of a feature row is that of its payment"),
        zero("unmatched", same),
        zero("different_money", "the amount of a feature row is that of its payment"),
        zero("masked_unmatched", "the masked sample is drawn from the processed payments"),
        between(
            "masked_share",
            0.001,
            0.25,
            "one in ten is drawn: in the sample's smallest day, 183 payments, five standard"
            " deviations reach 0.21, and a day without any has odds of 4 in a billion",
        ),
        *((not_empty(),) if is_expected else ()),
    )
