"""Kinds of merchants: what they sell for how much, when and where."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Category:
    """A kind of merchant.

    Attributes:
        name: its name.
        code: merchant category code (ISO 18245).
        median_usd: median amount in US dollars at the price level of the United States.
        spread: standard deviation of the logarithm of the amount.
        online_share: share of its payments that are made online.
        merchant_share: relative number of merchants.
        popularity: relative number of payments at a merchant.
        opens, closes: local hours between which it takes payments at the counter.
    """

    name: str
    code: str
    median_usd: float
    spread: float
    online_share: float
    merchant_share: float
    popularity: float
    opens: int
    closes: int


CATEGORIES: Final = (
    Category("groceries", "5411", 28, 0.7, 0.08, 14, 3.0, 7, 22),
    Category("restaurant", "5812", 26, 0.6, 0.10, 16, 1.0, 11, 23),
    Category("fast_food", "5814", 9, 0.4, 0.15, 10, 1.6, 8, 23),
    Category("fuel", "5541", 40, 0.45, 0.0, 6, 1.5, 0, 24),
    Category("clothing", "5651", 55, 0.7, 0.45, 10, 0.7, 9, 20),
    Category("electronics", "5732", 140, 1.0, 0.55, 6, 0.6, 9, 20),
    Category("pharmacy", "5912", 16, 0.6, 0.10, 7, 1.0, 8, 21),
    Category("hotel", "7011", 160, 0.6, 0.60, 5, 0.4, 0, 24),
    Category("airline", "4511", 280, 0.6, 0.95, 2, 0.6, 6, 22),
    Category("transit", "4111", 3.5, 0.4, 0.30, 4, 2.5, 5, 24),
    Category("taxi", "4121", 15, 0.5, 0.70, 4, 1.0, 0, 24),
    Category("streaming", "5815", 10, 0.4, 1.0, 3, 2.0, 0, 24),
    Category("games", "5816", 12, 0.9, 1.0, 3, 1.6, 0, 24),
    Category("utilities", "4900", 75, 0.5, 0.90, 3, 1.4, 9, 18),
    Category("jewellery", "5944", 190, 0.9, 0.30, 3, 0.3, 10, 19),
    Category("gift_cards", "5947", 40, 0.7, 0.60, 4, 0.5, 9, 20),
    Category("crypto_exchange", "6051", 150, 1.1, 1.0, 1, 0.5, 0, 24),
    Category("cash_machine", "6011", 80, 0.6, 0.0, 5, 1.5, 0, 24),
)
INDEX: Final = {category.name: index for index, category in enumerate(CATEGORIES)}
"""Position of a category by its name."""
