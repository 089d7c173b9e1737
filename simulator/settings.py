"""Every rate, day and limit of the simulated world, each declared once.

Days are counted from `start_date`, which is day 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final


@dataclass(frozen=True)
class Drift:
    """A lasting change of behaviour from a declared day.

    Attributes:
        day: first day of the changed behaviour.
        online_factor: factor on the share of honest payments that are made online.
        amount_factor: factor on honest amounts.
        fraud_amount_factor: factor on fraudulent amounts.
        stealth_share: added to the share of fraud campaigns that imitate their victim.
    """

    day: int
    online_factor: float = 1.0
    amount_factor: float = 1.0
    fraud_amount_factor: float = 1.0
    stealth_share: float = 0.0


@dataclass(frozen=True)
class FraudSettings:
    """Campaigns that start on a day for each 1,000 customers, and their common parameters."""

    campaigns: Mapping[str, float] = field(
        default_factory=lambda: {
            "card_testing": 0.75,
            "account_takeover": 0.9,
            "compromised_terminal": 0.1,
            "impossible_travel": 0.7,
            "mule": 0.2,
            "friendly_fraud": 0.9,
        }
    )
    stealth_share: float = 0.2
    """Campaigns that use the victim's habits: small amounts, the home country, a known device."""


@dataclass(frozen=True)
class LabelSettings:
    """When a fraud becomes known, in days after the payment, and how often labels are wrong."""

    within_week_share: float = 0.88
    tail_mean_days: float = 22.0
    longest_days: float = 90.0
    unreported_share: float = 0.04
    """Frauds that nobody reports: they have no label."""
    false_alarm_share: float = 0.0002
    """Honest payments that are reported as fraud by mistake."""


@dataclass(frozen=True)
class DirtSettings:
    """Share of the rows of a day that have each kind of dirt; see `simulator.dirt.KINDS`."""

    rates: Mapping[str, float] = field(
        default_factory=lambda: {
            "malformed_json": 0.0004,
            "missing_field": 0.0006,
            "wrong_type": 0.0006,
            "absurd_amount": 0.0003,
            "unknown_enum": 0.0005,
            "unknown_currency": 0.0004,
            "unknown_country": 0.0004,
            "exact_duplicate": 0.0010,
            "conflicting_duplicate": 0.0003,
            "late": 0.0015,
            "future": 0.0003,
            "out_of_order": 0.0020,
            "nul_byte": 0.0002,
            "lone_surrogate": 0.0002,
            "sentinel_date": 0.0003,
        }
    )
    late_hours: tuple[int, int] = (1, 72)
    """Least and most hours between a late payment and its delivery."""
    schema_drift_day: int = 75
    """First day whose rows have the column `authentication`."""


@dataclass(frozen=True)
class Settings:
    """The world: the same settings give the same bytes."""

    seed: int = 7
    start_date: date = date(2026, 1, 1)
    customers: int = 10_000
    joined_before_share: float = 0.85
    """Customers who exist on day 0; the others join during `joining_days`."""
    joining_days: int = 365
    mean_stay_days: float = 1_500.0
    payments_per_day: float = 2.2
    drifts: tuple[Drift, ...] = (
        Drift(60, online_factor=1.25, amount_factor=1.06),
        Drift(120, fraud_amount_factor=0.8, stealth_share=0.15),
    )
    fraud: FraudSettings = field(default_factory=FraudSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    dirt: DirtSettings = field(default_factory=DirtSettings)

    def __post_init__(self) -> None:
        """Refuse a world that cannot be built.

        Raises:
            ValueError: when a number of people or a seed is out of range.
        """
        if self.customers < MIN_CUSTOMERS:
            raise ValueError(
                f"{self.customers} customers are too few for a world: give {MIN_CUSTOMERS} or more."
            )
        if self.seed < 0:
            raise ValueError(f"The seed {self.seed} is negative: give 0 or more.")

    def drift(self, day: int) -> Drift:
        """Return the product of all changes that are in force on a day."""
        online = amount = fraud_amount = 1.0
        stealth = 0.0
        for drift in self.drifts:
            if drift.day <= day:
                online *= drift.online_factor
                amount *= drift.amount_factor
                fraud_amount *= drift.fraud_amount_factor
                stealth += drift.stealth_share
        return Drift(day, online, amount, fraud_amount, stealth)


MIN_CUSTOMERS: Final = 200
"""Fewer leave countries without people to pay."""
