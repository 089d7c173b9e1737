import json
import re
from dataclasses import replace

import numpy as np
import pytest

from simulator.categories import CATEGORIES
from simulator.customers import CARDS
from simulator.days import deliver, payments_of
from simulator.payments import (
    CHANNELS,
    CRYPTO,
    DAY_SECONDS,
    METHODS,
    POS,
    SEPA,
    concatenate,
    honest,
)
from simulator.places import COUNTRIES
from simulator.rows import Feed, identifiers
from simulator.settings import Drift, Settings
from simulator.world import World
from sources.currencies import ISO_4217


def test_the_world_has_many_countries_currencies_and_ways_to_pay(world: World) -> None:
    rows = concatenate([honest(world, day) for day in range(7)])
    assert len({COUNTRIES[number].code for number in np.unique(rows.country)}) >= 8
    currencies = {COUNTRIES[number].currency for number in np.unique(rows.country)}
    assert len(currencies) >= 6
    assert {"JPY", "KWD"} <= currencies <= ISO_4217
    assert set(np.unique(rows.channel)) == set(range(len(CHANNELS)))
    assert set(np.unique(rows.method)) == set(range(len(METHODS)))


def test_a_counter_has_a_place_and_no_device_and_sepa_and_crypto_have_no_card(
    world: World,
) -> None:
    rows = payments_of(world, 3)
    at_counter = rows.channel == POS
    assert (rows.device[at_counter] == -1).all()
    assert (rows.device[~at_counter] >= 0).all()
    assert ((rows.card >= 0) == ((rows.method != SEPA) & (rows.method != CRYPTO))).all()
    own = rows.card >= 0
    assert (rows.card[own] // CARDS == rows.customer[own]).all()


def test_nobody_pays_before_joining_or_after_leaving(world: World) -> None:
    for day in (0, 200, 800):
        rows = honest(world, day)
        assert (world.customers.joined[rows.customer] <= day).all()
        assert (world.customers.left[rows.customer] > day).all()


def test_paydays_and_weekdays_move_the_number_of_payments(world: World) -> None:
    saturday, sunday = 2, 3
    assert world.date(saturday).weekday() == 5
    assert world.activity(saturday).sum() > 1.2 * world.activity(sunday).sum()
    paid = world.customers.payday == 15
    before, on = world.activity(7)[paid].sum(), world.activity(14)[paid].sum()
    assert on > 1.2 * before


def test_shops_take_payments_at_the_counter_within_their_opening_hours(world: World) -> None:
    rows = honest(world, 4)
    rows = rows.take(rows.channel == POS)
    kind = world.merchants.category[rows.counterparty]
    local = (rows.second / 3_600 + world.utc_offset[rows.city]) % 24
    opens = np.array([category.opens for category in CATEGORIES])[kind]
    closes = np.array([category.closes for category in CATEGORIES])[kind]
    one_second = 1 / 3_600
    assert ((local >= opens - one_second) & (local < closes)).mean() > 0.999


def test_some_people_travel_and_come_home(world: World) -> None:
    away = np.array([world.whereabouts(day) != world.customers.city for day in range(60)])
    assert 0.005 < away.mean() < 0.05
    assert away.any(axis=0).mean() > 0.1
    assert not away[-1].any()


def test_popular_merchants_take_most_payments(world: World) -> None:
    rows = concatenate([honest(world, day) for day in range(5)])
    shop = rows.counterparty[rows.counterparty < len(world.merchants)]
    counts = np.sort(np.bincount(shop))[::-1]
    assert counts[: counts.size // 10].sum() > 0.35 * counts.sum()


def test_a_drift_changes_behaviour_from_its_day_on(world: World) -> None:
    drifts = (Drift(10, online_factor=1.5), Drift(20, amount_factor=2.0))
    drifted = replace(world, settings=replace(world.settings, drifts=drifts))
    online = [(honest(drifted, day).channel != POS).mean() for day in (9, 10)]
    assert online[1] > 1.2 * online[0]
    medians = []
    for other in (world, drifted):
        rows = honest(other, 20)
        medians.append(np.median(rows.amount[rows.country == 0]))
    assert medians[1] > 1.5 * medians[0]
    assert drifted.settings.drift(5) == Drift(5)


def test_amounts_have_the_decimals_of_their_currency(world: World, feed: Feed) -> None:
    decimals: dict[str, set[int]] = {}
    for lines in deliver(world, feed, 5, "jsonl").lines:
        for line in lines.to_pylist():
            if '"amount":' in line and '"currency":"' in line:
                amount = line.split('"amount":')[1].split(",")[0]
                currency = line.split('"currency":"')[1][:3]
                decimals.setdefault(currency, set()).add(len(amount.partition(".")[2]))
    assert decimals["EUR"] == {2}
    assert 3 in decimals["KWD"]
    assert 2 not in decimals["JPY"] | decimals["KWD"]


def test_people_have_names_of_their_country_and_cards_of_their_own(world: World) -> None:
    numbers = [number for own in world.customers.cards for number in own]
    assert len(set(numbers)) == len(numbers) == CARDS * len(world.customers)
    assert all(len(number) == 16 for number in numbers)
    japan = [country.code for country in COUNTRIES].index("JP")
    person = int(np.flatnonzero(world.customers.country == japan)[0])
    assert not world.customers.name[person].isascii()


def test_identifiers_are_unique_over_days() -> None:
    ids = [text for day in range(4) for text in identifiers(7, day, 5_000).to_pylist()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("T[0-9a-f]{16}", text) for text in ids)


def test_rows_lie_within_their_day_and_in_its_order(world: World) -> None:
    rows = payments_of(world, 6)
    assert (np.diff(rows.second) >= 0).all()
    assert rows.second.min() >= 0
    assert rows.second.max() < DAY_SECONDS


def test_a_row_says_nothing_of_fraud(world: World, feed: Feed) -> None:
    delivery = deliver(world, feed, 80, "parquet")
    assert delivery.columns is not None
    assert not {"typology", "campaign", "is_fraud"} & set(delivery.columns)
    fraud = {row["transaction_id"] for row in delivery.truth}
    assert fraud <= set(delivery.columns["transaction_id"].to_pylist()) | {
        entry.transaction_id for entry in delivery.ledger
    }


def test_a_column_appears_on_the_day_of_the_schema_drift(world: World, feed: Feed) -> None:
    day = world.settings.dirt.schema_drift_day
    before, after = (deliver(world, feed, number, "jsonl") for number in (day - 1, day))
    assert "authentication" not in json.loads(before.lines[0][0].as_py())
    assert json.loads(after.lines[0][0].as_py())["authentication"] in ("none", "3ds")
    assert [entry.kind for entry in after.ledger if entry.row is None] == ["schema_drift"]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"customers": 10}, "too few for a world"), ({"seed": -1}, "negative")],
)
def test_a_world_that_cannot_be_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**change)  # type: ignore[arg-type]
