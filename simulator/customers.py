"""Customers: who they are, where they live, and how they pay."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from faker import Faker

from simulator.places import COUNTRIES
from simulator.settings import Settings
from simulator.streams import Purpose, stream

CARDS: Final = 2
"""Cards of a customer: one for daily use and one that a relative or a habit uses."""
DEVICES: Final = 3
"""Devices of a customer: the first, a second one, and the one that replaces the first."""
REPLACEMENT_DAYS: Final = 900
"""Each customer replaces the first device on a day between 0 and this one."""
AGE_BANDS: Final = ("18-25", "26-35", "36-50", "51-65", "66+")
NEVER: Final = -1_000_000
"""Day of joining of those who were customers before day 0."""


@dataclass(frozen=True)
class Customers:
    """The customers as arrays of shape (customers,), or (customers, k) where noted.

    Attributes:
        name, address, email: text for the row.
        cards: card numbers, shape (customers, CARDS).
        country, city: positions in the lists of countries and cities.
        home_lat, home_lon: degrees.
        age_band: position in AGE_BANDS.
        spend_level: factor on amounts, from the income.
        payments_per_day: mean number of honest payments on a usual day.
        online_share: share of payments that are made online.
        app_share: share of online payments that are made in the app.
        peak_hour: local hour around which payments lie.
        payday: day of the month.
        joined, left: first day as a customer, and first day no longer one.
        replaced_on: day on which the third device replaces the first.
        friends: positions of the two people and the landlord who are paid, shape (customers, 3).
        home_ip: last three octets of the address at home.
    """

    name: list[str]
    address: list[str]
    email: list[str]
    cards: list[list[str]]
    country: npt.NDArray[np.int64]
    city: npt.NDArray[np.int64]
    home_lat: npt.NDArray[np.float64]
    home_lon: npt.NDArray[np.float64]
    age_band: npt.NDArray[np.int64]
    spend_level: npt.NDArray[np.float64]
    payments_per_day: npt.NDArray[np.float64]
    online_share: npt.NDArray[np.float64]
    app_share: npt.NDArray[np.float64]
    peak_hour: npt.NDArray[np.float64]
    payday: npt.NDArray[np.int64]
    joined: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    replaced_on: npt.NDArray[np.int64]
    friends: npt.NDArray[np.int64]
    home_ip: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.name)

    def active(self, day: int) -> npt.NDArray[np.bool_]:
        """Return who is a customer on a day, shape (customers,)."""
        return (self.joined <= day) & (day < self.left)


def make_customers(settings: Settings, city_country: npt.NDArray[np.int64]) -> Customers:
    """Return the customers of a world.

    Args:
        settings: the world's settings.
        city_country: country of each city, shape (cities,).
    """
    rng = stream(settings.seed, 0, Purpose.CUSTOMERS)
    n = settings.customers
    cities = [city for country in COUNTRIES for city in country.cities]
    share = np.array([country.customer_share for country in COUNTRIES])
    country = rng.choice(len(COUNTRIES), n, p=share / share.sum())
    weight = np.array([city.weight for city in cities])
    city = np.empty(n, np.int64)
    for index in range(len(COUNTRIES)):
        members = np.flatnonzero(country == index)
        local = np.flatnonzero(city_country == index)
        city[members] = rng.choice(local, members.size, p=weight[local] / weight[local].sum())
    age_band = rng.choice(len(AGE_BANDS), n, p=[0.15, 0.25, 0.3, 0.2, 0.1])
    spend_level = np.exp(rng.normal(0, 0.45, n)) * np.array([0.7, 1.0, 1.2, 1.15, 0.8])[age_band]
    joined = np.where(
        rng.random(n) < settings.joined_before_share,
        NEVER,
        rng.integers(0, settings.joining_days, n),
    )
    stay = np.ceil(rng.exponential(settings.mean_stay_days, n)).astype(np.int64)
    names, addresses, emails, cards = _people(settings.seed, country)
    return Customers(
        name=names,
        address=addresses,
        email=emails,
        cards=cards,
        country=country,
        city=city,
        home_lat=np.array([place.latitude for place in cities])[city] + rng.normal(0, 0.08, n),
        home_lon=np.array([place.longitude for place in cities])[city] + rng.normal(0, 0.1, n),
        age_band=age_band,
        spend_level=spend_level,
        payments_per_day=settings.payments_per_day * rng.gamma(2.5, 1 / 2.5, n),
        online_share=rng.beta(2, 4, n) * np.array([1.3, 1.2, 1.0, 0.8, 0.6])[age_band],
        app_share=np.array([0.8, 0.7, 0.5, 0.35, 0.2])[age_band],
        peak_hour=rng.normal(15, 3, n) % 24,
        payday=rng.choice(np.array([1, 15, 25, 28]), n, p=[0.35, 0.15, 0.35, 0.15]),
        joined=joined,
        left=np.maximum(joined, 0) + stay,
        replaced_on=rng.integers(0, REPLACEMENT_DAYS, n),
        friends=_friends(rng, country),
        home_ip=rng.integers(0, 1 << 24, n),
    )


def _friends(rng: np.random.Generator, country: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return two people of the same country and a landlord, who has many tenants."""
    friends = np.empty((country.size, 3), np.int64)
    for index in np.unique(country):
        members = np.flatnonzero(country == index)
        friends[members, :2] = rng.choice(members, (members.size, 2))
        landlords = members[: max(1, members.size // 40)]
        friends[members, 2] = rng.choice(landlords, members.size)
    return friends


def _people(
    seed: int, country: npt.NDArray[np.int64]
) -> tuple[list[str], list[str], list[str], list[list[str]]]:
    """Return names, addresses, e-mail addresses and card numbers, each card number once."""
    fakers = []
    for index, place in enumerate(COUNTRIES):
        faker = Faker(place.locale)
        faker.seed_instance(seed * len(COUNTRIES) + index)
        fakers.append(faker)
    names, addresses, emails, cards = [], [], [], []
    issued: set[str] = set()
    for index in country.tolist():
        faker = fakers[index]
        names.append(faker.name())
        addresses.append(faker.address().replace("\n", ", "))
        emails.append(faker.ascii_safe_email())
        numbers: list[str] = []
        while len(numbers) < CARDS:
            number = faker.credit_card_number("visa16")
            if number not in issued:
                issued.add(number)
                numbers.append(number)
        cards.append(numbers)
    return names, addresses, emails, cards
