"""Sample of the AWS Fraud Detector service: dirty labels and 163 currencies.

The sample has the time at which each label became known; half of the rows have no label. A few of
its currencies are not in ISO 4217 (NIS, SPL, GGP, IMP, JEP, TVD): their payments are quarantined.
"""

from decimal import Decimal
from typing import Final

from sources.declaration import FileColumn, Source, StatedTime, Version
from sources.ranges import Ranges
from sources.rules import (
    ISO_TIME,
    SPREADSHEET_TIME,
    ByAffix,
    Constant,
    Instant,
    Joined,
    Precision,
    RowNumber,
    Take,
)
from sources.sparkov import CATEGORIES

_INSTANT: Final = Instant(("EVENT_TIMESTAMP",), (*ISO_TIME, *SPREADSHEET_TIME))
_LAYOUT: Final = (
    "EVENT_LABEL",
    "EVENT_TIMESTAMP",
    "LABEL_TIMESTAMP",
    "EVENT_ID",
    "ENTITY_ID",
    "billing_city",
    "billing_state",
    "billing_latitude",
    "billing_longitude",
    "billing_country",
    "ip_address",
    "product_category",
    "order_price",
    "payment_currency",
    "merchant",
)

AWS_FRAUD: Final = Source(
    name="aws_fraud",
    description="Sample of card payments with stated label times and many currencies.",
    formats=("csv",),
    delivers="whole",
    versions=(
        Version(
            1,
            "The sample for transaction fraud.",
            tuple(FileColumn(name) for name in _LAYOUT),
            {
                "event_id": Take("EVENT_ID"),
                "source_sequence": RowNumber(),
                "event_at": _INSTANT,
                "event_at_precision": Precision(_INSTANT),
                "customer_id": Take("ENTITY_ID"),
                "counterparty_id": Take("merchant", strip_prefix="fraud_"),
                "counterparty_type": Constant("merchant"),
                "merchant_category": Take("product_category"),
                "transaction_type": Constant("purchase"),
                "channel": ByAffix("product_category", suffixes={"_net": "web"}, otherwise="pos"),
                "payment_method": Constant("card"),
                "amount": Take("order_price"),
                "currency": Take("payment_currency"),
                "country": Take("billing_country"),
                "location_text": Joined(("billing_city", "billing_state"), ", "),
                "home_lat": Take("billing_latitude"),
                "home_lon": Take("billing_longitude"),
                "ip_hash": Take("ip_address"),
                "is_fraud": Take("EVENT_LABEL"),
                "label_known_at": Instant(("LABEL_TIMESTAMP",), (*ISO_TIME, *SPREADSHEET_TIME)),
            },
        ),
    ),
    # The largest amount of the sample is 6,217.26, over all currencies.
    absurd_amount=Decimal("100000.00"),
    # Its amounts are made up, with two decimals in each currency, as 7.53 CLP.
    checks_minor_units=False,
    labels=StatedTime(),
    codes={"merchant_category": CATEGORIES},
    # The sample's 120 days hold from 3 to 29 payments.
    rows_per_day=(1, 100),
    freshness_days=31,
    # 801 of 1,611 rows have no label; 62, or 0.038, have an unknown currency.
    ranges=Ranges(
        unlabelled_share=1.0,
        quarantined_share=0.10,
        usual_quarantined_share=0.05,
        is_steady=False,
    ),
)
