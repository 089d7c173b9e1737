"""Sparkov: simulated card payments of fictitious persons.

Each row has two timestamps, the transaction date and `unix_time`. They agree in the output of the
generator and differ by seven years in the Kaggle edition, so the transaction date is read.
"""

from decimal import Decimal
from typing import Final

from sources.declaration import LABEL_TYPES, WEEK_SECONDS, FileColumn, LabelDelay, Source, Version
from sources.ranges import Ranges
from sources.rules import (
    SPREADSHEET_TIME,
    ByAffix,
    Constant,
    Instant,
    Joined,
    Precision,
    RowNumber,
    Rule,
    Take,
    TimePattern,
)

_PERSON: Final = ("first", "last", "gender", "street", "city", "state", "job", "dob")
_PLACES: Final = ("lat", "long", "merch_lat", "merch_long")
_PATTERNS: Final = (TimePattern("yyyy-MM-dd HH:mm:ss"), *SPREADSHEET_TIME)

CATEGORIES: Final = (
    "entertainment",
    "food_dining",
    "gas_transport",
    "grocery_net",
    "grocery_pos",
    "health_fitness",
    "home",
    "kids_pets",
    "misc_net",
    "misc_pos",
    "personal_care",
    "shopping_net",
    "shopping_pos",
    "travel",
)


def _layout(*texts: str) -> tuple[FileColumn, ...]:
    """Return these columns of text and those that both versions have."""
    return (
        *(FileColumn(name) for name in (*_PERSON, *texts, "trans_num", "category", "merchant")),
        *(FileColumn(name, ("double", "string")) for name in _PLACES),
        # Exports of the same data write numbers as text, or text as numbers, which is validated row
        # by row. A card number that was read as a double has lost its last digits.
        FileColumn("cc_num", ("string", "long")),
        FileColumn("zip", ("string", "long")),
        FileColumn("amt", ("double", "string")),
        FileColumn("is_fraud", LABEL_TYPES),
        FileColumn("city_pop", ("long", "string")),
        FileColumn("unix_time", ("long", "string")),
    )


def _mapping(customer: str, instant: Instant) -> dict[str, Rule]:
    return {
        "event_id": Take("trans_num"),
        "source_sequence": RowNumber(),
        "event_at": instant,
        "event_at_precision": Precision(instant),
        "customer_id": Take(customer),
        "instrument_id": Take("cc_num"),
        "counterparty_id": Take("merchant", strip_prefix="fraud_"),
        "counterparty_type": Constant("merchant"),
        "merchant_category": Take("category"),
        "transaction_type": Constant("purchase"),
        "channel": ByAffix("category", suffixes={"_net": "web"}, otherwise="pos"),
        "payment_method": Constant("card"),
        "amount": Take("amt"),
        "currency": Constant("USD"),
        "country": Constant("US"),
        "location_text": Joined(("city", "state"), ", "),
        "transaction_lat": Take("merch_lat"),
        "transaction_lon": Take("merch_long"),
        "home_lat": Take("lat"),
        "home_lon": Take("long"),
        "is_fraud": Take("is_fraud"),
    }


SPARKOV: Final = Source(
    name="sparkov",
    description="Simulated card payments with homes, merchants and places, a file a day.",
    formats=("parquet", "csv"),
    versions=(
        Version(
            1,
            "The generator, v0.5.",
            _layout("ssn", "acct_num", "profile", "trans_date", "trans_time"),
            _mapping("acct_num", Instant(("trans_date", "trans_time"), _PATTERNS)),
        ),
        Version(
            2,
            "The Kaggle edition: an unnamed index first, one column of time, no account.",
            _layout("trans_date_trans_time"),
            _mapping("cc_num", Instant(("trans_date_trans_time",), _PATTERNS)),
        ),
    ),
    # The largest amount of the sample is 8,402.07; the limit of the generator is below 30,000.
    absurd_amount=Decimal("100000.00"),
    labels=LabelDelay(within_permille=900, within_seconds=WEEK_SECONDS, tail_seconds=60 * 86_400),
    codes={"merchant_category": CATEGORIES},
    # The days of the sample have from 183 to 616 payments of 144 customers.
    rows_per_day=(50, 5_000),
    freshness_days=2,
    ranges=Ranges(
        # 0.32 to 0.47 of a day's payments come before noon: five standard deviations of the
        # smallest day on either side; half a day missing gives 0 or 1.
        morning_share=(0.14, 0.65),
        # The largest fraud share of a day is 0.0795: three times that is a wrong label.
        fraud_share=(0.0, 0.25),
        usual_fraud_share=0.08,
        # Any 28 days have 0.0084 to 0.0171; single days may have none.
        long_fraud_share=(0.001, 0.10),
        # The file of a day has only that day: a wrong clock puts rows on other days.
        late_share=0.05,
        # The largest payment is 8,402.07.
        usual_alert_share=0.08,
        is_steady=True,
    ),
)
