"""Allowed distances of a day from the earlier days of its source."""

from typing import Final

from contracts.render.to_gx import CRITICAL, WARNING, Rule
from expectations.profiles import FEWEST_DAYS, LOOKBACK_DAYS, Band, Shape

ROWS: Final = Band(
    "rows",
    "the sample's days are within 0.31 of the median of their weekday, the handbook's within"
    " 0.03; half a day missing is 0.5 away, a day sent twice 1.0",
    relative=0.4,
    mads=5,
    by_weekday=True,
)
MEAN_AMOUNT: Final = Band(
    "mean_amount",
    "the sample's days are within 0.6 of the median, the handbook's within 0.03; another unit"
    " is 99 times the median away, every third payment in another one 30 times",
    relative=1.0,
    mads=5,
)
RAW_BANDS: Final = (ROWS, MEAN_AMOUNT)
"""Measures of a day from the manifests of a source."""

BANDS: Final = (
    *RAW_BANDS,
    Band(
        "median_amount",
        "the sample's days are within 0.3 of the median: half of the payments say so",
        relative=0.5,
        mads=5,
    ),
    Band(
        "customers",
        "the sample's days have 88 to 129 payers, the handbook's 3,658 to 3,792; another column in"
        " the payer's place is several times off",
        relative=0.4,
        mads=5,
    ),
    Band(
        "merchants",
        "the sample's days have 160 to 414 payees with the season, the handbook's 5,966 to 6,206",
        relative=0.6,
        mads=5,
    ),
    Band(
        "new_customer_share",
        "payers come one by one: a quarter of a day's payers more than usual is another column",
        absolute=0.25,
        mads=5,
    ),
    Band(
        "new_merchant_share",
        "payees come one by one: a quarter of a day's payees more than usual is another column",
        absolute=0.25,
        mads=5,
    ),
    Band(
        "empty_hours",
        "small days of the sample have one or two empty hours; a stopped feed has more",
        absolute=4,
        mads=5,
    ),
)
_NOISE: Final = (
    "the days of the sample and of the handbook stay within 1.5 times the largest gap of their past"
    " and within 1.6 / √rows"
)
SHAPES: Final = (
    Shape("hour", f"a wrong clock shifts the hours of a day; {_NOISE}", True, 2.0, 2.2),
    Shape("amount", f"another unit or currency moves the amounts; {_NOISE}", True, 2.0, 2.2),
    Shape(
        "merchant_category",
        "the sample's days stay within 1.3 times the largest distance of their past, and within"
        " 2.4 / √rows",
        False,
        1.8,
        3.5,
    ),
    *(
        Shape(
            kind, "the distribution of a few codes hardly changes from day to day", False, 2.0, 3.0
        )
        for kind in ("currency", "channel", "transaction_type", "country")
    ),
)


def null_band(column: str) -> Band:
    """Return the band of the share of nulls in a nullable column."""
    why = "a column with more nulls than before, or none any more, was filled by another rule"
    return Band(f"{column}_null_share", why, relative=0.5, absolute=0.1)


def band_rules(bands: tuple[Band, ...], is_steady: bool) -> tuple[Rule, ...]:
    """Return the rules that each measure is in its band; for an unsteady source they warn."""
    severity = CRITICAL if is_steady else WARNING
    rules = []
    for band in bands:
        low, high = f"{band.measure}_low", f"{band.measure}_high"
        rules += [
            _above(band.measure, low, "not_far_below", "not far below its past", band, severity),
            _above(high, band.measure, "not_far_above", "not far above its past", band, severity),
        ]
    return tuple(rules)


def shape_rules(shapes: tuple[Shape, ...], is_steady: bool) -> tuple[Rule, ...]:
    """Return the rules that each distribution is near its past, without unseen codes."""
    severity = CRITICAL if is_steady else WARNING
    rules = []
    for shape in shapes:
        name, high = shape.measure, f"{shape.measure}_high"
        rules.append(_above(high, name, "near_its_past", "near its past", shape, severity))
        if not shape.is_ordered:
            unseen = f"unseen_{shape.kind}_share"
            rules.append(
                _above(
                    f"{unseen}_high", unseen, "seen_before", "codes that are known", shape, severity
                )
            )
    return tuple(rules)


def _above(
    larger: str, smaller: str, what: str, expected: str, limit: Band | Shape, severity: str
) -> Rule:
    measure = smaller if larger.endswith("_high") else larger
    return Rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        what,
        expected,
        f"{limit.reason}. Its past: {FEWEST_DAYS} to {LOOKBACK_DAYS} days",
        measure,
        severity,
        {
            "column_A": larger,
            "column_B": smaller,
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        },
    )
