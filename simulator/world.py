"""The world: customers, merchants, addresses on the network, trips and the calendar."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.customers import DEVICES, Customers, make_customers
from simulator.merchants import Merchants, make_merchants
from simulator.places import COUNTRIES
from simulator.settings import Settings
from simulator.streams import Purpose, stream
from sources.currencies import minor_unit_digits

MOBILE_ADDRESSES: Final = 512
"""Addresses of each country's mobile networks, which its people and visitors share."""
PROXY_ADDRESSES: Final = 1_024
"""Addresses of proxies, which fraudsters and a few honest people use."""
FRAUD_DEVICES: Final = 4_096
FAVOURITES: Final = 6
TRIP_PERIOD_DAYS: Final = 60
TRIP_SHARE: Final = 0.22
"""Customers who travel in a period."""
LONGEST_TRIP_DAYS: Final = 14
_WEEKDAY_FACTORS: Final = (0.92, 0.90, 0.95, 1.0, 1.18, 1.22, 0.83)
"""Monday to Sunday."""
_PAYDAY_FACTORS: Final = (1.35, 1.25, 1.15, 1.08)
"""On payday and the days after it."""


@dataclass(frozen=True)
class World:
    """All that payments are made from. Arrays of cities have shape (cities,).

    Attributes:
        city_country: country of a city.
        utc_offset: hours ahead of UTC of a city.
        units_per_usd, price_level, digits: per country: exchange rate, prices, and decimals of the
            minor unit of its currency.
        favourites_online, favourites_at_counter: merchants that a customer returns to, shape
            (customers, FAVOURITES).
    """

    settings: Settings
    customers: Customers
    merchants: Merchants
    city_country: npt.NDArray[np.int64]
    utc_offset: npt.NDArray[np.float64]
    units_per_usd: npt.NDArray[np.float64]
    price_level: npt.NDArray[np.float64]
    digits: npt.NDArray[np.int64]
    favourites_online: npt.NDArray[np.int64]
    favourites_at_counter: npt.NDArray[np.int64]

    def date(self, day: int) -> date:
        """Return the calendar date of a day."""
        return self.settings.start_date + timedelta(days=day)

    def activity(self, day: int) -> npt.NDArray[np.float64]:
        """Return the mean number of honest payments of each customer, shape (customers,)."""
        today = self.date(day)
        factor = np.full(31, 1.0)
        factor[: len(_PAYDAY_FACTORS)] = _PAYDAY_FACTORS
        since_payday = (today.day - self.customers.payday) % 31
        active = self.customers.active(day)
        calendar = factor[since_payday] * _WEEKDAY_FACTORS[today.weekday()]
        return np.where(active, self.customers.payments_per_day * calendar, 0.0)

    def whereabouts(self, day: int) -> npt.NDArray[np.int64]:
        """Return the city of each customer on a day, shape (customers,): home, or that of a trip.

        A period of 60 days has at most one trip of a customer, which ends within it.
        """
        n = len(self.customers)
        period, today = divmod(day, TRIP_PERIOD_DAYS)
        rng = stream(self.settings.seed, period, Purpose.TRIPS)
        travels = rng.random(n) < TRIP_SHARE
        length = rng.integers(1, LONGEST_TRIP_DAYS + 1, n)
        start = rng.integers(0, TRIP_PERIOD_DAYS - LONGEST_TRIP_DAYS, n)
        destination = rng.integers(0, self.city_country.size, n)
        away = travels & (start <= today) & (today < start + length)
        return np.where(away, destination, self.customers.city)

    def device(
        self, day: int, customer: npt.NDArray[np.int64], second: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int64]:
        """Return the device of each row, shape as `customer`.

        Args:
            day: the day, since the first device is replaced on a day.
            customer: position of the customer.
            second: whether the customer's second device is used.
        """
        replaced = self.customers.replaced_on[customer] <= day
        return customer * DEVICES + np.where(second, 1, np.where(replaced, 2, 0))

    def minor_units(
        self, usd: npt.NDArray[np.float64], country: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return amounts in minor units of the country's currency, at least one.

        Args:
            usd: amounts in US dollars at the price level of the United States.
            country: position of the country whose currency is paid.
        """
        units = usd * self.price_level[country] * self.units_per_usd[country]
        scale = 10.0 ** self.digits[country]
        return np.maximum(np.rint(units * scale), 1).astype(np.int64)

    def addresses(self) -> list[str]:
        """Return every IP address: homes, then mobile networks by country, then proxies."""
        rng = stream(self.settings.seed, 0, Purpose.ADDRESSES)
        network = np.array([country.network for country in COUNTRIES])
        mobile = rng.integers(0, 1 << 24, len(COUNTRIES) * MOBILE_ADDRESSES)
        proxy = rng.integers(0, 1 << 24, PROXY_ADDRESSES)
        first = np.concatenate(
            [
                network[self.customers.country],
                np.repeat(network, MOBILE_ADDRESSES),
                np.full(PROXY_ADDRESSES, 185),
            ]
        )
        rest = np.concatenate([self.customers.home_ip, mobile, proxy])
        return [
            f"{one}.{two >> 16}.{two >> 8 & 255}.{two & 255}"
            for one, two in zip(first.tolist(), rest.tolist(), strict=True)
        ]

    def mobile_address(
        self, rng: np.random.Generator, country: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return positions of addresses in each country's mobile networks, shape as `country`."""
        drawn = rng.integers(0, MOBILE_ADDRESSES, country.size)
        return len(self.customers) + country * MOBILE_ADDRESSES + drawn

    def proxy_address(self, rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
        """Return positions of addresses of proxies, shape (n,)."""
        first = len(self.customers) + len(COUNTRIES) * MOBILE_ADDRESSES
        return first + rng.integers(0, PROXY_ADDRESSES, n)


def make_world(settings: Settings) -> World:
    """Return the world of some settings; Faker makes each person once, about 3,000 a second."""
    city_country = np.repeat(
        np.arange(len(COUNTRIES)), [len(country.cities) for country in COUNTRIES]
    )
    customers = make_customers(settings, city_country)
    merchants = make_merchants(settings, city_country)
    rng = stream(settings.seed, 0, Purpose.FAVOURITES)
    shape = (len(customers), FAVOURITES)
    online = merchants.online(rng, np.repeat(customers.country, FAVOURITES))
    at_counter = merchants.at_counter(rng, np.repeat(customers.city, FAVOURITES))
    return World(
        settings=settings,
        customers=customers,
        merchants=merchants,
        city_country=city_country,
        utc_offset=np.array([c.utc_offset_hours for country in COUNTRIES for c in country.cities]),
        units_per_usd=np.array([country.units_per_usd for country in COUNTRIES]),
        price_level=np.array([country.price_level for country in COUNTRIES]),
        digits=np.array([minor_unit_digits(country.currency) for country in COUNTRIES]),
        favourites_online=online.reshape(shape),
        favourites_at_counter=at_counter.reshape(shape),
    )
