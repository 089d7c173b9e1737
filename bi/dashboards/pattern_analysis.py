"""Which payments are fraudulent: where, when, with whom?"""

from typing import Final

from bi.charts import heatmap, ranking, table
from bi.datasets import PATTERNS
from bi.model import Chart, Dashboard, Filter

_FIGURES: Final = (
    "total_transaction_count",
    "total_known_fraud_count",
    "fraud_share",
    "total_known_fraud_amount",
)


def _by(name: str, title: str, column: str) -> Chart:
    return table(
        name,
        title,
        PATTERNS,
        (column,),
        _FIGURES,
        order_by="fraud_share",
        width=6,
        height=26,
    )


DASHBOARD: Final = Dashboard(
    "pattern_analysis",
    "Pattern analysis",
    "Which payments are fraudulent: where, when, how large, and with which merchants?",
    (
        (
            ranking(
                "share_by_category",
                "Known fraud's share of payments by merchant category",
                PATTERNS,
                "merchant_category",
                "fraud_share",
                height=56,
            ),
            ranking(
                "money_by_category",
                "Money lost by merchant category",
                PATTERNS,
                "merchant_category",
                "total_known_fraud_amount",
                height=56,
            ),
        ),
        (
            heatmap(
                "hour_and_weekday",
                "Known fraud's share of payments by hour (UTC) and weekday (1 is Monday)",
                PATTERNS,
                "event_hour",
                "day_of_week",
                "fraud_share",
                width=12,
            ),
        ),
        (
            table(
                "by_amount",
                "Size of the payment",
                PATTERNS,
                ("amount_band",),
                _FIGURES,
                order_by="min_amount_band_rank",
                ascending=True,
                width=6,
                height=58,
            ),
            heatmap(
                "category_and_channel",
                "Known frauds by merchant category and channel",
                PATTERNS,
                "channel",
                "merchant_category",
                "total_known_fraud_count",
                height=58,
            ),
        ),
        (
            _by("by_familiarity", "Merchant new to the customer, or known", "merchant_familiarity"),
            _by("by_channel", "Channel", "channel"),
        ),
        (
            _by("by_method", "Means of payment", "payment_method"),
            _by("by_country", "Country", "country"),
        ),
    ),
    (
        Filter("Dates"),
        Filter("Source", "source_system", PATTERNS),
        Filter("Currency", "currency", PATTERNS, single=True),
        Filter("Country", "country", PATTERNS),
        Filter("Channel", "channel", PATTERNS),
        Filter("Means of payment", "payment_method", PATTERNS),
    ),
)
