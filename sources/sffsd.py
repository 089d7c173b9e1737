"""S-FFSD: a sample of real payments in order of time, without clock times, and with some labels.

`Time` numbers the payments. One minute for each payment from a declared midnight keeps their order
and gives days of 1,440 payments. Label 2 means unknown.
"""

from datetime import date
from decimal import Decimal
from typing import Final

from sources.declaration import WEEK_SECONDS, FileColumn, FixedDelay, Source, Version
from sources.ranges import Ranges
from sources.rules import Constant, PositionHash, Steps, Take

SFFSD: Final = Source(
    name="sffsd",
    description="Semi-supervised sample of payments in order, without a clock, whole files.",
    formats=("csv",),
    delivers="whole",
    versions=(
        Version(
            1,
            "The published sample.",
            tuple(
                FileColumn(name)
                for name in ("Time", "Source", "Target", "Amount", "Location", "Type", "Labels")
            ),
            {
                "event_id": PositionHash(),
                "source_sequence": Take("Time"),
                "event_at": Steps("Time", date(2020, 1, 1), 60),
                "event_at_precision": Constant("ordinal"),
                "customer_id": Take("Source"),
                "counterparty_id": Take("Target"),
                "counterparty_type": Constant("merchant"),
                # The meaning of TP100 and similar codes was not published.
                "merchant_category": Take("Type"),
                "transaction_type": Constant("purchase"),
                "channel": Constant("unknown"),
                "payment_method": Constant("unknown"),
                "amount": Take("Amount"),
                "currency": Constant("XXX"),
                "is_fraud": Take("Labels"),
            },
        ),
    ),
    # The largest amount of the sample is 800,000.00.
    absurd_amount=Decimal("1000000.00"),
    labels=FixedDelay(WEEK_SECONDS),
    # One minute for each payment; the last day of a file is incomplete.
    rows_per_day=(1, 1_440),
    freshness_days=31,
    # 48,238 of 77,881 rows are labelled 2, whole days of them.
    ranges=Ranges(unlabelled_share=1.0, is_steady=False),
)
