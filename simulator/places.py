"""Countries and cities of the world: currency, prices, place, clock."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class City:
    """A city: degrees north and east, hours ahead of UTC, and its weight within the country."""

    name: str
    latitude: float
    longitude: float
    utc_offset_hours: float
    weight: float


@dataclass(frozen=True)
class Country:
    """A country.

    Attributes:
        code: ISO 3166 alpha-2.
        currency: ISO 4217.
        units_per_usd: units of the currency for one US dollar.
        price_level: prices relative to the United States.
        locale: Faker's locale for names and addresses.
        customer_share: share of the customers who live here.
        network: first octet of its IP addresses.
    """

    code: str
    currency: str
    units_per_usd: float
    price_level: float
    locale: str
    customer_share: float
    network: int
    cities: tuple[City, ...]


COUNTRIES: Final = (
    Country(
        *("US", "USD", 1.0, 1.0, "en_US", 0.28, 23),
        (
            City("New York", 40.71, -74.01, -5, 8.3),
            City("Chicago", 41.88, -87.63, -6, 2.7),
            City("Los Angeles", 34.05, -118.24, -8, 3.9),
            City("Houston", 29.76, -95.37, -6, 2.3),
        ),
    ),
    Country(
        *("GB", "GBP", 0.78, 0.95, "en_GB", 0.12, 51),
        (City("London", 51.51, -0.13, 0, 8.9), City("Manchester", 53.48, -2.24, 0, 2.8)),
    ),
    Country(
        *("DE", "EUR", 0.92, 0.9, "de_DE", 0.14, 91),
        (
            City("Berlin", 52.52, 13.41, 1, 3.7),
            City("Hamburg", 53.55, 9.99, 1, 1.9),
            City("München", 48.14, 11.58, 1, 1.5),
        ),
    ),
    Country(
        *("FR", "EUR", 0.92, 0.92, "fr_FR", 0.10, 90),
        (City("Paris", 48.86, 2.35, 1, 7.1), City("Lyon", 45.76, 4.84, 1, 1.7)),
    ),
    Country(
        *("ES", "EUR", 0.92, 0.75, "es_ES", 0.08, 88),
        (City("Madrid", 40.42, -3.70, 1, 3.3), City("Málaga", 36.72, -4.42, 1, 0.6)),
    ),
    Country(
        *("PL", "PLN", 3.95, 0.6, "pl_PL", 0.06, 83),
        (City("Warszawa", 52.23, 21.01, 1, 1.9), City("Kraków", 50.06, 19.94, 1, 0.8)),
    ),
    Country(
        *("CH", "CHF", 0.89, 1.3, "de_CH", 0.03, 85),
        (City("Zürich", 47.38, 8.54, 1, 0.4), City("Genève", 46.20, 6.14, 1, 0.2)),
    ),
    Country(
        *("JP", "JPY", 150.0, 0.75, "ja_JP", 0.08, 126),
        (City("東京", 35.68, 139.69, 9, 14.0), City("大阪", 34.69, 135.50, 9, 2.7)),
    ),
    Country(
        *("IN", "INR", 83.0, 0.35, "en_IN", 0.06, 103),
        (City("Mumbai", 19.08, 72.88, 5.5, 12.4), City("Bengaluru", 12.97, 77.59, 5.5, 8.4)),
    ),
    Country(
        *("BR", "BRL", 5.0, 0.5, "pt_BR", 0.04, 177),
        (City("São Paulo", -23.55, -46.63, -3, 12.3), City("Recife", -8.05, -34.88, -3, 1.6)),
    ),
    Country(
        *("KW", "KWD", 0.307, 0.85, "ar_AA", 0.01, 94),
        (City("Kuwait City", 29.38, 47.99, 3, 3.0),),
    ),
)
