"""Merchants: category, place, opening hours, popularity and prices."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from faker import Faker

from simulator.categories import CATEGORIES
from simulator.places import COUNTRIES
from simulator.settings import Settings
from simulator.streams import Purpose, stream

CUSTOMERS_PER_MERCHANT: Final = 6
FEWEST_IN_A_CITY: Final = 2 * len(CATEGORIES)
ZIPF_EXPONENT: Final = 0.9


@dataclass(frozen=True)
class Merchants:
    """The merchants as arrays of shape (merchants,), ordered by country and city.

    Attributes:
        name: text for the row.
        category, country, city: positions in their lists.
        latitude, longitude: degrees.
        price_level: factor on the category's amounts.
        counter_popularity, online_popularity: running sums of popularity at the counter and online,
            shape (merchants + 1,), first value 0.
        city_start: position of the first merchant of each city, shape (cities + 1,).
        country_start: position of the first merchant of each country, shape (countries + 1,).
    """

    name: list[str]
    category: npt.NDArray[np.int64]
    country: npt.NDArray[np.int64]
    city: npt.NDArray[np.int64]
    latitude: npt.NDArray[np.float64]
    longitude: npt.NDArray[np.float64]
    price_level: npt.NDArray[np.float64]
    counter_popularity: npt.NDArray[np.float64]
    online_popularity: npt.NDArray[np.float64]
    city_start: npt.NDArray[np.int64]
    country_start: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of merchants."""
        return len(self.name)

    def at_counter(
        self, rng: np.random.Generator, city: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return a merchant in each city, by popularity at the counter, shape as `city`."""
        return _pick(rng, self.counter_popularity, self.city_start[city], self.city_start[city + 1])

    def online(
        self, rng: np.random.Generator, country: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return a merchant of each country, by popularity online, shape as `country`."""
        start = self.country_start
        return _pick(rng, self.online_popularity, start[country], start[country + 1])

    def of_category(
        self,
        rng: np.random.Generator,
        country: npt.NDArray[np.int64],
        categories: tuple[int, ...],
    ) -> npt.NDArray[np.int64]:
        """Return a merchant of each country whose category is one of some, shape as `country`."""
        chosen = np.empty(country.size, np.int64)
        wanted = np.isin(self.category, categories)
        for index in np.unique(country):
            candidates = np.flatnonzero(wanted & (self.country == index))
            rows = country == index
            chosen[rows] = rng.choice(candidates, int(rows.sum()))
        return chosen


def _pick(
    rng: np.random.Generator,
    running: npt.NDArray[np.float64],
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return a position in each [start, end), in proportion to the steps of a running sum."""
    low, high = running[start], running[end]
    drawn = low + rng.random(start.size) * (high - low)
    return np.clip(np.searchsorted(running, drawn, side="right") - 1, start, end - 1)


def make_merchants(settings: Settings, city_country: npt.NDArray[np.int64]) -> Merchants:
    """Return the merchants of a world.

    Args:
        settings: the world's settings.
        city_country: country of each city, shape (cities,).
    """
    rng = stream(settings.seed, 0, Purpose.MERCHANTS)
    cities = [city for country in COUNTRIES for city in country.cities]
    weight = np.concatenate(
        [
            np.array([city.weight for city in country.cities])
            / sum(city.weight for city in country.cities)
            * country.customer_share
            for country in COUNTRIES
        ]
    )
    wanted = settings.customers / CUSTOMERS_PER_MERCHANT * weight / weight.sum()
    count = np.maximum(np.rint(wanted).astype(np.int64), FEWEST_IN_A_CITY)
    city_start = np.concatenate([[0], np.cumsum(count)])
    n = int(city_start[-1])
    city = np.repeat(np.arange(len(cities)), count)
    share = np.array([category.merchant_share for category in CATEGORIES])
    category = rng.choice(len(CATEGORIES), n, p=share / share.sum())
    rank = np.arange(n) - city_start[city]
    # Each city has each category at least once.
    category = np.where(rank < len(CATEGORIES), rank, category)
    popularity = np.array([kind.popularity for kind in CATEGORIES])[category]
    popularity = popularity / (1.0 + rng.permuted(rank)) ** ZIPF_EXPONENT
    usual = np.array([kind.online_share for kind in CATEGORIES])[category]
    online_share = np.clip(usual * rng.uniform(0.7, 1.3, n), 0, 1)
    online_share = np.where(usual == 1, 1.0, online_share)
    country = city_country[city]
    return Merchants(
        name=_names(settings.seed, country),
        category=category,
        country=country,
        city=city,
        latitude=np.array([place.latitude for place in cities])[city] + rng.normal(0, 0.06, n),
        longitude=np.array([place.longitude for place in cities])[city] + rng.normal(0, 0.08, n),
        price_level=np.exp(rng.normal(0, 0.25, n)),
        counter_popularity=np.concatenate([[0], np.cumsum(popularity * (1 - online_share))]),
        online_popularity=np.concatenate([[0], np.cumsum(popularity * online_share)]),
        city_start=city_start,
        country_start=city_start[np.searchsorted(city_country, np.arange(len(COUNTRIES) + 1))],
    )


def _names(seed: int, country: npt.NDArray[np.int64]) -> list[str]:
    names: list[str] = []
    for index, place in enumerate(COUNTRIES):
        faker = Faker(place.locale)
        faker.seed_instance(seed * len(COUNTRIES) + index + 1_000_003)
        names.extend(faker.company() for _ in range(int((country == index).sum())))
    return names
