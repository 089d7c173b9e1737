"""Sparkov v0.5: simulated card payments of persons who do not exist.

Two clocks come with each row, `trans_date` + `trans_time` and `unix_time`; they agree in this
version and lie years apart in others, so the first is the one that is read.
"""

from decimal import Decimal
from typing import Final

from sources.declaration import (
    BySuffix,
    Constant,
    FileColumn,
    Instant,
    Joined,
    LabelDelay,
    RowNumber,
    Source,
    Take,
)
from sources.ranges import Ranges

_DAY_SECONDS: Final = 86_400
_TEXT: Final = (
    "ssn",
    "cc_num",
    "first",
    "last",
    "gender",
    "street",
    "city",
    "state",
    "zip",
    "job",
    "dob",
    "acct_num",
    "profile",
    "trans_num",
    "trans_date",
    "trans_time",
    "category",
    "merchant",
)
_NUMBERS: Final = ("lat", "long", "merch_lat", "merch_long")

SPARKOV: Final = Source(
    name="sparkov",
    schema_version=1,
    description="Card payments of the Sparkov generator, v0.5, a Parquet file a day.",
    file_suffix=".parquet",
    layout=(
        *(FileColumn(name, ("string",)) for name in _TEXT),
        *(FileColumn(name, ("double", "string")) for name in _NUMBERS),
        # Exports of the same generator write numbers as text: each is then judged row by row.
        FileColumn("amt", ("double", "string")),
        FileColumn("is_fraud", ("long", "string")),
        FileColumn("city_pop", ("long", "string")),
        FileColumn("unix_time", ("long", "string")),
    ),
    mapping={
        "event_id": Take("trans_num"),
        "source_sequence": RowNumber(),
        "event_at": Instant("trans_date", "trans_time", "yyyy-MM-dd HH:mm:ss"),
        "event_at_precision": Constant("second"),
        "customer_id": Take("acct_num"),
        "instrument_id": Take("cc_num"),
        "counterparty_id": Take("merchant", strip_prefix="fraud_"),
        "counterparty_type": Constant("merchant"),
        "merchant_category": Take("category"),
        "transaction_type": Constant("purchase"),
        "channel": BySuffix("category", {"_net": "web"}, otherwise="pos"),
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
    },
    amount_column="amt",
    currency="USD",
    # The largest amount of the sample is 8,402.07; the generator's own ceiling is below 30,000.
    absurd_amount=Decimal("100000.00"),
    label_column="is_fraud",
    labels=LabelDelay(
        within_permille=900, within_seconds=7 * _DAY_SECONDS, tail_seconds=60 * _DAY_SECONDS
    ),
    codes={
        "merchant_category": (
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
    },
    # The sample's days hold from 183 to 616 payments of 144 customers.
    rows_per_day=(50, 5_000),
    freshness_days=2,
    ranges=Ranges(
        # 0.32 to 0.47 of a day's payments come before noon: five standard deviations of the
        # smallest day on either side; half a day missing gives 0 or 1.
        morning_share=(0.14, 0.65),
        # The worst day holds 0.0795 frauds: three times that is a broken label.
        fraud_share=(0.0, 0.25),
        usual_fraud_share=0.08,
        # Any 28 days hold 0.0084 to 0.0171; in single days there may be none.
        long_fraud_share=(0.001, 0.10),
        # A day's file holds that day: a clock that runs ahead or behind puts rows beside it.
        late_share=0.05,
        # The largest payment is 8,402.07.
        usual_amount=10_000.0,
        usual_alert_share=0.08,
    ),
)
