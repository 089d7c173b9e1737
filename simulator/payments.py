"""Payments as arrays, and the honest ones of a day."""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.categories import CATEGORIES, INDEX
from simulator.customers import CARDS
from simulator.places import COUNTRIES
from simulator.streams import Purpose, stream
from simulator.world import FAVOURITES, World

CHANNELS: Final = ("web", "app", "pos")
WEB, APP, POS = range(3)
METHODS: Final = ("card", "sepa", "crypto")
CARD, SEPA, CRYPTO = range(3)
TYPES: Final = ("purchase", "transfer", "cash_out")
PURCHASE, TRANSFER, CASH_OUT = range(3)
HONEST: Final = 0
"""Typology of honest payments; those of fraud are in `simulator.fraud`."""
NONE: Final = -1
DAY_SECONDS: Final = 86_400

_TRANSFER_SHARE: Final = 0.05
_FAVOURITE_SHARE: Final = 0.5
_ABROAD_ONLINE_SHARE: Final = 0.08
_SECOND_CARD_SHARE: Final = 0.06
_RELATIVE_SHARE: Final = 0.002
"""Payments by a relative in another city with the second card: they look like impossible travel."""
_TOP_UP_SHARE: Final = 0.004
"""Customers who buy several small things of one game within an hour: it looks like card testing."""
_SPREE_SHARE: Final = 0.004
"""Payments of an unusual amount, as for a wedding or a new kitchen."""
_SENT: Final = np.array([35.0, 35.0, 620.0])
_SENT_SPREAD: Final = np.array([0.9, 0.9, 0.3])
"""Median in US dollars, and spread of its logarithm, of transfers to two friends and a landlord."""
_EUROPE: Final = np.array([country.currency == "EUR" for country in COUNTRIES])
_OPENS: Final = np.array([category.opens for category in CATEGORIES])
_CLOSES: Final = np.array([category.closes for category in CATEGORIES])
_MEDIAN: Final = np.array([category.median_usd for category in CATEGORIES])
_SPREAD: Final = np.array([category.spread for category in CATEGORIES])


@dataclass(frozen=True)
class Payments:
    """Payments as integer arrays of shape (rows,); -1 stands for none.

    Attributes:
        second: seconds since the begin of a day in UTC.
        customer: position of the payer.
        counterparty: position of the merchant, or number of merchants + position of a customer.
        amount: minor units of the currency.
        country, city: positions of the place that the amount is paid in.
        channel, method, type: positions in CHANNELS, METHODS and TYPES.
        card: position of the card, customer * CARDS + its number.
        device: position of the device.
        ip: position of the address.
        typology: position in `simulator.fraud.TYPOLOGIES`.
        campaign: number of the fraud campaign.
    """

    second: npt.NDArray[np.int64]
    customer: npt.NDArray[np.int64]
    counterparty: npt.NDArray[np.int64]
    amount: npt.NDArray[np.int64]
    country: npt.NDArray[np.int64]
    city: npt.NDArray[np.int64]
    channel: npt.NDArray[np.int64]
    method: npt.NDArray[np.int64]
    type: npt.NDArray[np.int64]
    card: npt.NDArray[np.int64]
    device: npt.NDArray[np.int64]
    ip: npt.NDArray[np.int64]
    typology: npt.NDArray[np.int64]
    campaign: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of payments."""
        return self.second.size

    def take(self, rows: npt.NDArray[Any]) -> "Payments":
        """Return some payments, by position or by mask."""
        return Payments(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def concatenate(parts: list[Payments]) -> Payments:
    """Return the payments of all parts, one after the other."""
    return Payments(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Payments)
        }
    )


def honest(world: World, day: int) -> Payments:
    """Return the honest payments of a day, unordered."""
    rng = stream(world.settings.seed, day, Purpose.HONEST)
    count = rng.poisson(world.activity(day))
    customer = np.repeat(np.arange(len(world.customers)), count)
    return concatenate([_usual(world, day, rng, customer), _top_ups(world, day, rng)])


def late(world: World, origin: int, delivered: int, rows: int) -> Payments:
    """Return honest payments of day `origin` that a later day delivers, about `rows`, unordered."""
    rng = stream(world.settings.seed, delivered, Purpose.LATE, delivered - origin)
    active = np.flatnonzero(world.customers.active(origin))
    return _usual(world, origin, rng, rng.choice(active, rows))


def amounts(
    world: World,
    rng: np.random.Generator,
    customer: npt.NDArray[np.int64],
    merchant: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return usual amounts of customers at merchants in US dollars, shape as `customer`."""
    category = world.merchants.category[merchant]
    noise = np.exp(_SPREAD[category] * rng.standard_normal(customer.size))
    level = world.customers.spend_level[customer] * world.merchants.price_level[merchant]
    return _MEDIAN[category] * noise * level


def hours(
    world: World, rng: np.random.Generator, customer: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return local hours at which customers pay, in [0, 24), shape as `customer`."""
    return (world.customers.peak_hour[customer] + 3.2 * rng.standard_normal(customer.size)) % 24


def seconds(
    world: World, local_hour: npt.NDArray[np.float64], city: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return seconds of the UTC day for local hours in cities, in [0, 86400)."""
    return ((local_hour - world.utc_offset[city]) % 24 * 3_600).astype(np.int64) % DAY_SECONDS


def methods(
    world: World,
    rng: np.random.Generator,
    customer: npt.NDArray[np.int64],
    merchant: npt.NDArray[np.int64],
    channel: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return how purchases are paid: crypto at exchanges, some by SEPA within the euro area."""
    category = world.merchants.category[merchant]
    euro = _EUROPE[world.customers.country[customer]] & _EUROPE[world.merchants.country[merchant]]
    likely = np.where(category == INDEX["utilities"], 0.8, 0.12)
    sepa = euro & (channel != POS) & (rng.random(customer.size) < likely)
    crypto = (category == INDEX["crypto_exchange"]) & (rng.random(customer.size) < 0.7)
    return np.where(crypto, CRYPTO, np.where(sepa, SEPA, CARD))


def _usual(
    world: World, day: int, rng: np.random.Generator, customer: npt.NDArray[np.int64]
) -> Payments:
    """Return one payment for each position in `customer`, with the habits of its day."""
    people, shops, n = world.customers, world.merchants, customer.size
    drift = world.settings.drift(day)
    here = world.whereabouts(day)[customer]
    relative = rng.random(n) < _RELATIVE_SHARE
    here = np.where(relative, rng.integers(0, world.city_country.size, n), here)
    at_home = here == people.city[customer]
    online = (rng.random(n) < people.online_share[customer] * drift.online_factor) & ~relative
    abroad = rng.random(n) < _ABROAD_ONLINE_SHARE
    market = np.where(abroad, rng.integers(0, len(COUNTRIES), n), people.country[customer])
    favourite = (rng.random(n) < _FAVOURITE_SHARE) & ~abroad & (online | at_home)
    merchant = np.where(online, shops.online(rng, market), shops.at_counter(rng, here))
    merchant = np.where(favourite, _favourites(world, rng, customer, online), merchant)
    transfer = (rng.random(n) < _TRANSFER_SHARE) & ~relative
    channel = np.where(
        online | transfer, np.where(rng.random(n) < people.app_share[customer], APP, WEB), POS
    )
    local_hour = hours(world, rng, customer)
    category = shops.category[merchant]
    opens, closes = _OPENS[category], _CLOSES[category]
    shut = (channel == POS) & ((local_hour < opens) | (local_hour >= closes))
    local_hour = np.where(shut, opens + rng.random(n) * (closes - opens), local_hour)
    usd = amounts(world, rng, customer, merchant) * drift.amount_factor
    usd = np.where(rng.random(n) < _SPREE_SHARE, usd * rng.uniform(3, 12, n), usd)
    friend = rng.choice(3, n, p=[0.45, 0.25, 0.3])
    sent = _SENT[friend] * np.exp(_SENT_SPREAD[friend] * rng.standard_normal(n))
    usd = np.where(transfer, sent * people.spend_level[customer], usd)
    country = np.where(transfer, people.country[customer], shops.country[merchant])
    city = np.where(transfer, people.city[customer], shops.city[merchant])
    method = np.where(
        transfer,
        np.where(_EUROPE[people.country[customer]], SEPA, CARD),
        methods(world, rng, customer, merchant, channel),
    )
    second_card = relative | (rng.random(n) < _SECOND_CARD_SHARE)
    moving = ~at_home | (rng.random(n) < 0.3)
    ip = np.where(moving, world.mobile_address(rng, world.city_country[here]), customer)
    ip = np.where(rng.random(n) < 0.01, world.proxy_address(rng, n), ip)
    kind = np.where(category == INDEX["cash_machine"], CASH_OUT, PURCHASE)
    return Payments(
        second=seconds(world, local_hour, here),
        customer=customer,
        counterparty=np.where(transfer, len(shops) + people.friends[customer, friend], merchant),
        amount=world.minor_units(usd, country),
        country=country,
        city=city,
        channel=channel,
        method=method,
        type=np.where(transfer, TRANSFER, kind),
        card=np.where(method == CARD, customer * CARDS + second_card, NONE),
        device=np.where(channel == POS, NONE, world.device(day, customer, rng.random(n) < 0.18)),
        ip=np.where(channel == POS, NONE, ip),
        typology=np.full(n, HONEST),
        campaign=np.full(n, NONE),
    )


def _favourites(
    world: World,
    rng: np.random.Generator,
    customer: npt.NDArray[np.int64],
    online: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """Return a favourite merchant of each customer, the same few in all days."""
    return np.where(
        online,
        world.favourites_online[customer, rng.integers(0, FAVOURITES, customer.size)],
        world.favourites_at_counter[customer, rng.integers(0, FAVOURITES, customer.size)],
    )


def _top_ups(world: World, day: int, rng: np.random.Generator) -> Payments:
    """Return bursts of small online payments of a few customers, each at one game or ticket."""
    buyers = np.flatnonzero(
        world.customers.active(day) & (rng.random(len(world.customers)) < _TOP_UP_SHARE)
    )
    size = rng.integers(3, 8, buyers.size)
    customer = np.repeat(buyers, size)
    n = customer.size
    country = world.customers.country[buyers]
    kinds = (INDEX["games"], INDEX["transit"], INDEX["streaming"])
    merchant = np.repeat(world.merchants.of_category(rng, country, kinds), size)
    start = seconds(world, hours(world, rng, buyers), world.customers.city[buyers])
    gap = np.repeat(rng.exponential(400, buyers.size), size) * rng.random(n)
    place = world.merchants.country[merchant]
    return Payments(
        second=np.minimum(np.repeat(start, size) + gap * 4, DAY_SECONDS - 1).astype(np.int64),
        customer=customer,
        counterparty=merchant,
        amount=world.minor_units(rng.lognormal(1.3, 0.7, n), place),
        country=place,
        city=world.merchants.city[merchant],
        channel=np.where(rng.random(n) < world.customers.app_share[customer], APP, WEB),
        method=np.full(n, CARD),
        type=np.full(n, PURCHASE),
        card=customer * CARDS,
        device=world.device(day, customer, rng.random(n) < 0.1),
        ip=np.where(
            np.repeat(rng.random(buyers.size) < 0.4, size),
            world.mobile_address(rng, world.customers.country[customer]),
            customer,
        ),
        typology=np.full(n, HONEST),
        campaign=np.full(n, NONE),
    )
