"""Card payments of "Reproducible Machine Learning for Credit Card Fraud Detection", the handbook.

Simulated, one Parquet file a day. In the protocol of its authors (chapters 3 and 5), a fraud is
known seven days after its payment.
"""

from decimal import Decimal
from typing import Final

from sources.declaration import LABEL_TYPES, WEEK_SECONDS, FileColumn, FixedDelay, Source, Version
from sources.ranges import Ranges
from sources.rules import Coded, Constant, Instant, Precision, Take, TimePattern

_INSTANT: Final = Instant(("TX_DATETIME",), (TimePattern("yyyy-MM-dd HH:mm:ss"),))
_LAYOUT: Final = (
    FileColumn("TRANSACTION_ID", ("long", "string")),
    FileColumn("TX_DATETIME", ("timestamp", "string")),
    FileColumn("CUSTOMER_ID", ("long", "string")),
    FileColumn("TERMINAL_ID", ("long", "string")),
    FileColumn("TX_AMOUNT", ("double", "string")),
    FileColumn("TX_FRAUD", LABEL_TYPES),
    FileColumn("TX_FRAUD_SCENARIO", ("long", "string")),
)
# Chapter 3, section 2.6: an amount over 220, a terminal, or a customer's card compromised.
_SCENARIOS: Final = {
    "0": None,
    "1": "large_amount",
    "2": "compromised_terminal",
    "3": "compromised_card",
}

HANDBOOK: Final = Source(
    name="handbook",
    description="Simulated card payments at terminals, a Parquet file a day.",
    versions=(
        Version(
            1,
            "The published days.",
            _LAYOUT,
            {
                "event_id": Take("TRANSACTION_ID"),
                "source_sequence": Take("TRANSACTION_ID"),
                "event_at": _INSTANT,
                "event_at_precision": Precision(_INSTANT),
                "customer_id": Take("CUSTOMER_ID"),
                "counterparty_id": Take("TERMINAL_ID"),
                "counterparty_type": Constant("terminal"),
                "transaction_type": Constant("purchase"),
                "channel": Constant("pos"),
                "payment_method": Constant("card"),
                "amount": Take("TX_AMOUNT"),
                "currency": Constant("EUR"),
                "is_fraud": Take("TX_FRAUD"),
                "scenario": Coded("TX_FRAUD_SCENARIO", _SCENARIOS),
            },
        ),
    ),
    # The largest amount of the 183 days is 2,628.00.
    absurd_amount=Decimal("10000.00"),
    labels=FixedDelay(WEEK_SECONDS),
    # The 183 days have from 9,285 to 9,789 payments.
    rows_per_day=(8_500, 10_600),
    freshness_days=2,
    ranges=Ranges(
        # 0.489 to 0.515 of a day's payments come before noon; half a day missing gives 0 or 1.
        morning_share=(0.45, 0.55),
        # The 183 days have from 0.0003, before the first terminals are compromised, to 0.0114.
        fraud_share=(0.0, 0.05),
        usual_fraud_share=0.02,
        # Any 28 days have 0.0056 to 0.0092.
        long_fraud_share=(0.001, 0.03),
        # The file of a day has only that day: a wrong clock puts rows on other days.
        late_share=0.001,
        # The largest payment is 2,628.00.
        usual_alert_share=0.02,
        is_steady=True,
    ),
)
