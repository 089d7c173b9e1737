"""How much fraud is there, and is it rising?"""

from typing import Final

from bi.charts import along, bars_and_lines, number, over_time
from bi.datasets import BACKTEST, FRAUD_DAILY, FRAUD_OVERVIEW, FRAUD_ROLLING, MATURITY
from bi.model import Dashboard, Filter

# Each payment is in the table three times: in its day, its week and its month.
_DAYS: Final = ("period_type = 'day'",)
_WEEKS: Final = ("period_type = 'week'",)
_MONTHS: Final = ("period_type = 'month'",)

DASHBOARD: Final = Dashboard(
    "fraud_overview",
    "Fraud overview and trends",
    "How much fraud is there, in payments and in money, and is it rising?",
    (
        (
            number("payments", "Payments", FRAUD_OVERVIEW, "total_transaction_count", where=_DAYS),
            number(
                "known_frauds",
                "Known frauds",
                FRAUD_OVERVIEW,
                "total_known_fraud_count",
                where=_DAYS,
            ),
            number("fraud_share", "Share of payments", FRAUD_OVERVIEW, "fraud_share", where=_DAYS),
            number(
                "fraud_amount",
                "Money lost",
                FRAUD_OVERVIEW,
                "total_known_fraud_amount",
                where=_DAYS,
            ),
        ),
        (
            bars_and_lines(
                "frauds_by_day",
                "Known frauds by day, and their share of payments",
                FRAUD_OVERVIEW,
                ("total_known_fraud_count",),
                ("fraud_share",),
                second_axis=True,
                where=_DAYS,
                width=12,
            ),
        ),
        (
            bars_and_lines(
                "expected_by_day",
                "Frauds known so far, and how many to expect once labels have matured",
                FRAUD_DAILY,
                ("total_known_fraud_count",),
                (
                    "total_expected_fraud_count",
                    "total_expected_fraud_count_low",
                    "total_expected_fraud_count_high",
                ),
                note="The interval holds nine of ten; it closes as labels come in.",
                width=12,
            ),
        ),
        (
            over_time(
                "money_by_week",
                "Money lost to known fraud by week and channel",
                FRAUD_OVERVIEW,
                ("total_known_fraud_amount",),
                by=("channel",),
                kind="bar",
                stack=True,
                each="week",
                where=_WEEKS,
            ),
            over_time(
                "value_share_by_week",
                "Known fraud's share of value by week and channel",
                FRAUD_OVERVIEW,
                ("fraud_value_share",),
                by=("channel",),
                each="week",
                where=_WEEKS,
            ),
        ),
        (
            over_time(
                "amount_by_month",
                "Money paid by month and country",
                FRAUD_OVERVIEW,
                ("total_amount",),
                by=("country",),
                kind="bar",
                stack=True,
                each="month",
                where=_MONTHS,
            ),
            over_time(
                "frauds_by_month",
                "Known frauds by month and country",
                FRAUD_OVERVIEW,
                ("total_known_fraud_count",),
                by=("country",),
                kind="bar",
                stack=True,
                each="month",
                where=_MONTHS,
            ),
        ),
        (
            over_time(
                "rolling",
                "Known fraud's share of payments over the last 7 and 30 days",
                FRAUD_ROLLING,
                ("fraud_share",),
                by=("window_days",),
                width=4,
            ),
            along(
                "maturity",
                "Share of known frauds by days after the payment",
                MATURITY,
                "age_days",
                ("known_by_then",),
                kind="line",
                by=("source_system",),
                x_title="Days after the payment",
                dated=False,
                width=4,
            ),
            along(
                "backtest",
                "Expected frauds by age, and final frauds",
                BACKTEST,
                "age_days",
                (
                    "total_known_fraud_count",
                    "total_expected_fraud_count",
                    "total_final_fraud_count",
                ),
                kind="line",
                # The first dates had none before them to tell what to expect.
                where=("expected_fraud_count is not null",),
                x_title="Days after the payment",
                width=4,
            ),
        ),
    ),
    (
        Filter("Dates"),
        Filter("Source", "source_system", FRAUD_OVERVIEW),
        Filter("Currency", "currency", FRAUD_OVERVIEW, single=True),
        Filter("Country", "country", FRAUD_OVERVIEW),
        Filter("Channel", "channel", FRAUD_OVERVIEW),
    ),
)
