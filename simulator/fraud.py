"""Typologies of fraud: one function each, which returns the campaigns that start on a day.

A function takes the world, the day on which its campaigns start and a random stream. It returns
payments whose `second` counts from the begin of that day and may lie in later days, up to the
typology's span.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator import payments as pay
from simulator.categories import INDEX
from simulator.customers import CARDS, DEVICES
from simulator.payments import DAY_SECONDS, NONE, Payments
from simulator.streams import Purpose, stream
from simulator.world import FRAUD_DEVICES, World

Function = Callable[[World, int, np.random.Generator], Payments]
_CAMPAIGNS_PER_DAY: Final = 1_000_000
_RESALE: Final = tuple(
    INDEX[name] for name in ("electronics", "gift_cards", "jewellery", "clothing", "airline")
)
"""Categories whose goods are easily resold."""
_TESTED_AT: Final = tuple(INDEX[name] for name in ("games", "streaming", "transit", "fast_food"))


@dataclass(frozen=True)
class Typology:
    """A typology: its name, its function, its random stream, and the days that a campaign takes."""

    name: str
    make: Function
    purpose: Purpose
    span_days: int


def fraudulent(world: World, day: int) -> Payments:
    """Return the fraudulent payments that lie on a day, unordered, seconds of that day."""
    parts = []
    for number, typology in enumerate(TYPOLOGIES[1:], start=1):
        for start in range(max(0, day - typology.span_days), day + 1):
            rng = stream(world.settings.seed, start, typology.purpose)
            rows = typology.make(world, start, rng)
            rows.typology[:] = number
            rows.campaign[:] += (start * len(TYPOLOGIES) + number) * _CAMPAIGNS_PER_DAY
            rows.second[:] -= (day - start) * DAY_SECONDS
            parts.append(rows.take((rows.second >= 0) & (rows.second < DAY_SECONDS)))
    return pay.concatenate(parts)


def card_testing(world: World, day: int, rng: np.random.Generator) -> Payments:
    """Return stolen card numbers tried with small online payments, then used for a large one."""
    victim, stealthy = _victims(world, day, rng, "card_testing")
    tries = np.where(stealthy, rng.integers(1, 4, victim.size), rng.integers(3, 8, victim.size))
    row = np.repeat(np.arange(victim.size), tries + 1)
    order = np.arange(row.size) - np.repeat(np.cumsum(tries + 1) - (tries + 1), tries + 1)
    used = order == tries[row]
    country = world.customers.country[victim][row]
    merchant = np.where(
        used,
        world.merchants.of_category(rng, country, _RESALE),
        world.merchants.of_category(rng, country, _TESTED_AT),
    )
    gap = np.where(stealthy[row], rng.exponential(9_000, row.size), rng.exponential(500, row.size))
    start = _start(world, rng, victim, stealthy)[row]
    second = start + _running(gap, order) + used * rng.uniform(600, 40_000, row.size)
    small = rng.lognormal(1.2, 0.6, row.size)
    large = pay.amounts(world, rng, victim[row], merchant) * rng.uniform(0.6, 2.5, row.size)
    usd = np.where(used, large, small)
    return _online(world, day, rng, victim, stealthy, row, merchant, second, usd)


def account_takeover(world: World, day: int, rng: np.random.Generator) -> Payments:
    """Return purchases of resaleable goods from an account whose password was stolen."""
    victim, stealthy = _victims(world, day, rng, "account_takeover")
    row, order = _repeated(rng, victim.size, 1, 6)
    country = world.customers.country[victim][row]
    merchant = np.where(
        rng.random(row.size) < 0.55,
        world.merchants.of_category(rng, country, _RESALE),
        world.merchants.online(rng, country),
    )
    gap = np.where(stealthy[row], rng.exponential(30_000, row.size), rng.exponential(5e3, row.size))
    second = _start(world, rng, victim, stealthy)[row] + _running(gap, order)
    factor = np.where(stealthy[row], rng.uniform(0.5, 1.6, row.size), rng.uniform(1.5, 5, row.size))
    usd = pay.amounts(world, rng, victim[row], merchant) * factor
    return _online(world, day, rng, victim, stealthy, row, merchant, second, usd)


def compromised_terminal(world: World, day: int, rng: np.random.Generator) -> Payments:
    """Return payments with copied cards at one terminal over three weeks, at usual amounts."""
    campaigns = rng.poisson(_expected(world, "compromised_terminal"))
    # Small shops: their terminals are the ones that nobody looks at.
    counters = np.flatnonzero(np.diff(world.merchants.counter_popularity) > 0)
    first = np.searchsorted(counters, world.merchants.city_start)
    city = rng.choice(world.customers.city, campaigns)
    terminal = counters[rng.integers(first[city], first[city + 1])]
    row, _ = _repeated(rng, campaigns, 8, 24)
    customer = _inhabitants(world, day, rng, world.merchants.city[terminal])[row]
    # Each payment has another card, of somebody who lives in the terminal's city.
    customer = _inhabitants(world, day, rng, world.customers.city[customer])
    merchant = terminal[row]
    second = rng.uniform(0, 20 * DAY_SECONDS, row.size)
    second = second // DAY_SECONDS * DAY_SECONDS + pay.seconds(
        world, rng.uniform(9, 21, row.size), world.merchants.city[merchant]
    )
    usd = pay.amounts(world, rng, customer, merchant) * rng.uniform(0.9, 2.6, row.size)
    return _at_counter(world, day, rng, customer, row, merchant, second, usd)


def impossible_travel(world: World, day: int, rng: np.random.Generator) -> Payments:
    """Return payments with copied cards at counters of another city, while the owner is at home."""
    victim, stealthy = _victims(world, day, rng, "impossible_travel")
    row, order = _repeated(rng, victim.size, 1, 4)
    elsewhere = rng.integers(0, world.city_country.size, victim.size)
    nearby = world.merchants.city[world.merchants.at_counter(rng, world.customers.city[victim])]
    city = np.where(stealthy, nearby, elsewhere)
    merchant = world.merchants.at_counter(rng, city[row])
    start = pay.seconds(world, rng.uniform(9, 20, victim.size), city)
    second = start[row] + _running(rng.exponential(4_000, row.size), order)
    factor = np.where(stealthy[row], rng.uniform(0.8, 2, row.size), rng.uniform(1.5, 5, row.size))
    usd = pay.amounts(world, rng, victim[row], merchant) * factor
    return _at_counter(world, day, rng, victim[row], row, merchant, second, usd)


def mule(world: World, day: int, rng: np.random.Generator) -> Payments:
    """Return transfers of several victims to a mule, who then takes the money out."""
    account, stealthy = _victims(world, day, rng, "mule")
    row, order = _repeated(rng, account.size, 3, 9)
    victim = _inhabitants(world, day, rng, world.customers.city[account][row])
    usd = rng.lognormal(4.6, 0.8, row.size)
    start = _start(world, rng, account, stealthy)
    second = start[row] + rng.uniform(0, 2 * DAY_SECONDS, row.size)
    received = _online(
        world, day, rng, victim, np.ones(victim.size, bool), np.arange(row.size), None, second, usd
    )
    received.counterparty[:] = len(world.merchants) + account[row]
    received.country[:] = world.customers.country[victim]
    received.city[:] = world.customers.city[victim]
    received.type[:] = pay.TRANSFER
    received.amount[:] = world.minor_units(usd, received.country)
    received.campaign[:] = row

    total = np.bincount(row, usd, account.size)
    out, order = _repeated(rng, account.size, 2, 4)
    at_machine = rng.random(account.size) < 0.6
    kind = (INDEX["cash_machine"],)
    country = world.customers.country[account][out]
    merchant = np.where(
        at_machine[out],
        world.merchants.of_category(rng, country, kind),
        world.merchants.of_category(rng, country, (INDEX["crypto_exchange"],)),
    )
    parts = np.bincount(out, minlength=account.size)
    taken = (total / parts)[out] * rng.uniform(0.75, 1.0, out.size)
    after = start[out] + rng.uniform(1.5, 3.5, account.size)[out] * DAY_SECONDS
    second = after + _running(rng.exponential(3_000, out.size), order)
    machine, online = at_machine[out], ~at_machine[out]
    withdrawn = _at_counter(
        world, day, rng, account[out][machine], out[machine], merchant[machine], second[machine],
        taken[machine],
    )  # fmt: skip
    exchanged = _online(
        world, day, rng, account, np.ones(account.size, bool), out[online], merchant[online],
        second[online], taken[online],
    )  # fmt: skip
    return pay.concatenate([received, withdrawn, exchanged])


def friendly_fraud(world: World, day: int, rng: np.random.Generator) -> Payments:
    """Return usual online purchases that their own customer disputes later."""
    victim, _ = _victims(world, day, rng, "friendly_fraud")
    row = np.arange(victim.size)
    merchant = world.merchants.online(rng, world.customers.country[victim])
    usd = pay.amounts(world, rng, victim, merchant) * rng.uniform(1, 2.2, row.size)
    second = _start(world, rng, victim, np.ones(victim.size, bool))
    own = np.ones(victim.size, bool)
    return _online(world, day, rng, victim, own, row, merchant, second, usd)


TYPOLOGIES: Final = (
    Typology("honest", lambda world, day, rng: pay.honest(world, day), Purpose.HONEST, 0),
    Typology("card_testing", card_testing, Purpose.CARD_TESTING, 2),
    Typology("account_takeover", account_takeover, Purpose.ACCOUNT_TAKEOVER, 3),
    Typology("compromised_terminal", compromised_terminal, Purpose.COMPROMISED_TERMINAL, 21),
    Typology("impossible_travel", impossible_travel, Purpose.IMPOSSIBLE_TRAVEL, 2),
    Typology("mule", mule, Purpose.MULE, 6),
    Typology("friendly_fraud", friendly_fraud, Purpose.FRIENDLY_FRAUD, 1),
)
"""Typologies by number; the first is that of honest payments."""


def _expected(world: World, name: str) -> float:
    """Return the mean number of campaigns that start on a day."""
    return world.settings.fraud.campaigns[name] * len(world.customers) / 1_000


def _victims(
    world: World, day: int, rng: np.random.Generator, name: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return a customer for each campaign, and whether the campaign imitates the customer."""
    active = np.flatnonzero(world.customers.active(day))
    victim = rng.choice(active, rng.poisson(_expected(world, name)))
    share = world.settings.fraud.stealth_share + world.settings.drift(day).stealth_share
    return victim, rng.random(victim.size) < share


def _inhabitants(
    world: World, day: int, rng: np.random.Generator, city: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return a customer of each city, or of any where a city has none, shape as `city`."""
    active = np.flatnonzero(world.customers.active(day))
    chosen = rng.choice(active, city.size)
    home = world.customers.city[active]
    for index in np.unique(city):
        members = active[home == index]
        if members.size:
            rows = city == index
            chosen[rows] = rng.choice(members, int(rows.sum()))
    return chosen


def _repeated(
    rng: np.random.Generator, campaigns: int, least: int, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the campaign of each payment, and the payment's number within it."""
    size = rng.integers(least, most + 1, campaigns)
    row = np.repeat(np.arange(campaigns), size)
    return row, np.arange(row.size) - np.repeat(np.cumsum(size) - size, size)


def _running(gap: npt.NDArray[np.float64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return seconds since the first payment of each campaign, from the gaps between payments."""
    total = np.cumsum(gap)
    first = np.flatnonzero(order == 0)
    sizes = np.diff(np.append(first, order.size))
    return total - np.repeat(total[first], sizes)


def _start(
    world: World,
    rng: np.random.Generator,
    victim: npt.NDArray[np.int64],
    stealthy: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Return when each campaign starts: at the victim's hours if stealthy, else often at night."""
    usual = pay.hours(world, rng, victim)
    night = rng.normal(2.5, 5, victim.size) % 24
    local_hour = np.where(stealthy, usual, night)
    return pay.seconds(world, local_hour, world.customers.city[victim]).astype(np.float64)


def _online(
    world: World,
    day: int,
    rng: np.random.Generator,
    victim: npt.NDArray[np.int64],
    stealthy: npt.NDArray[np.bool_],
    row: npt.NDArray[np.int64],
    merchant: npt.NDArray[np.int64] | None,
    second: npt.NDArray[np.float64],
    usd: npt.NDArray[np.float64],
) -> Payments:
    """Return online payments: of a stealthy campaign from the victim's device and network.

    `victim` and `stealthy` have shape (campaigns,); `row`, the campaign of each payment, and the
    others have shape (rows,). Without merchants the caller fills the place.
    """
    n, customer = row.size, victim[row]
    place = np.zeros(n, np.int64) if merchant is None else merchant
    country = world.merchants.country[place]
    own_device = stealthy | (rng.random(victim.size) < 0.15)
    device = len(world.customers) * DEVICES + rng.integers(0, FRAUD_DEVICES, victim.size)
    near = world.mobile_address(rng, world.customers.country[victim])
    ip = np.where(rng.random(victim.size) < 0.5, near, world.proxy_address(rng, victim.size))
    ip = np.where(stealthy, np.where(rng.random(victim.size) < 0.6, victim, near), ip)
    channel = np.where(rng.random(n) < world.customers.app_share[customer], pay.APP, pay.WEB)
    method = pay.methods(world, rng, customer, place, channel)
    factor = world.settings.drift(day).fraud_amount_factor
    return Payments(
        second=second.astype(np.int64),
        customer=customer,
        counterparty=place,
        amount=world.minor_units(usd * factor, country),
        country=country,
        city=world.merchants.city[place],
        channel=channel,
        method=method,
        type=np.full(n, pay.PURCHASE),
        card=np.where(method == pay.CARD, customer * CARDS, NONE),
        device=np.where(
            own_device[row], world.device(day, customer, np.zeros(n, bool)), device[row]
        ),
        ip=ip[row],
        typology=np.zeros(n, np.int64),
        campaign=row.astype(np.int64),
    )


def _at_counter(
    world: World,
    day: int,
    rng: np.random.Generator,
    customer: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    merchant: npt.NDArray[np.int64],
    second: npt.NDArray[np.float64],
    usd: npt.NDArray[np.float64],
) -> Payments:
    """Return payments with copies of the first card at counters; each array has shape (rows,)."""
    n = row.size
    country = world.merchants.country[merchant]
    machine = world.merchants.category[merchant] == INDEX["cash_machine"]
    factor = world.settings.drift(day).fraud_amount_factor
    return Payments(
        second=second.astype(np.int64),
        customer=customer,
        counterparty=merchant,
        amount=world.minor_units(usd * factor, country),
        country=country,
        city=world.merchants.city[merchant],
        channel=np.full(n, pay.POS),
        method=np.full(n, pay.CARD),
        type=np.where(machine, pay.CASH_OUT, pay.PURCHASE),
        card=customer * CARDS,
        device=np.full(n, NONE),
        ip=np.full(n, NONE),
        typology=np.zeros(n, np.int64),
        campaign=row.astype(np.int64),
    )
