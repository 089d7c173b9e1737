from dataclasses import replace

import numpy as np
import pytest

from simulator import fraud
from simulator.customers import DEVICES
from simulator.days import payments_of
from simulator.payments import (
    CASH_OUT,
    CRYPTO,
    HONEST,
    POS,
    TRANSFER,
    Payments,
    concatenate,
)
from simulator.settings import FraudSettings
from simulator.streams import stream
from simulator.world import World

_DAY = 10


def _campaigns(world: World, name: str, stealth: float = 0.0, rate: float = 20) -> Payments:
    """Return many campaigns of one typology that start on one day."""
    settings = replace(
        world.settings, fraud=FraudSettings(campaigns={name: rate}, stealth_share=stealth)
    )
    (typology,) = (known for known in fraud.TYPOLOGIES if known.name == name)
    return typology.make(replace(world, settings=settings), _DAY, stream(7, _DAY, typology.purpose))


def _usd(world: World, rows: Payments) -> np.ndarray:
    scale = 10.0 ** world.digits[rows.country] * world.units_per_usd[rows.country]
    return rows.amount / scale / world.price_level[rows.country]


def test_card_testing_is_small_payments_and_then_a_large_one(world: World) -> None:
    rows = _campaigns(world, "card_testing")
    usd = _usd(world, rows)
    for campaign in np.unique(rows.campaign):
        own = rows.campaign == campaign
        assert 4 <= own.sum() <= 8
        last = np.argmax(rows.second[own])
        assert np.median(np.delete(usd[own], last)) < 15
    assert (rows.channel != POS).all()


def test_account_takeover_comes_from_strange_devices_unless_it_is_stealthy(world: World) -> None:
    strange = [
        (_campaigns(world, "account_takeover", stealth).device >= len(world.customers) * DEVICES)
        for stealth in (0.0, 1.0)
    ]
    assert strange[0].mean() > 0.7
    assert not strange[1].any()


def test_a_compromised_terminal_sees_many_cards_for_weeks(world: World) -> None:
    rows = _campaigns(world, "compromised_terminal", rate=5)
    for campaign in np.unique(rows.campaign):
        own = rows.campaign == campaign
        assert np.unique(rows.counterparty[own]).size == 1
        assert np.unique(rows.customer[own]).size > 3
    assert rows.second.max() > 14 * 86_400
    assert (rows.channel == POS).all()


def test_impossible_travel_is_far_from_home_and_honest_people_travel_too(world: World) -> None:
    rows = _campaigns(world, "impossible_travel")
    assert (rows.city != world.customers.city[rows.customer]).mean() > 0.8
    honest = payments_of(world, _DAY)
    honest = honest.take((honest.typology == HONEST) & (honest.channel == POS))
    assert (honest.city != world.customers.city[honest.customer]).mean() > 0.005


def test_a_mule_receives_from_several_and_takes_the_money_out(world: World) -> None:
    rows = _campaigns(world, "mule", rate=5)
    received = rows.type == TRANSFER
    out = rows.take(~received)
    assert set(np.unique(out.type)) <= {CASH_OUT, 0}
    assert ((out.type == CASH_OUT) | (out.method == CRYPTO)).mean() > 0.7
    usd = _usd(world, rows)
    for campaign in np.unique(rows.campaign):
        own = rows.campaign == campaign
        account = rows.counterparty[own & received][0] - len(world.merchants)
        assert (rows.counterparty[own & received] == account + len(world.merchants)).all()
        assert (rows.customer[own & ~received] == account).all()
        assert rows.second[own & ~received].min() > rows.second[own & received].min()
        assert usd[own & ~received].sum() < 1.05 * usd[own & received].sum()


def test_friendly_fraud_uses_the_own_device(world: World) -> None:
    rows = _campaigns(world, "friendly_fraud")
    assert (rows.device // DEVICES == rows.customer).all()


@pytest.mark.parametrize("name", [typology.name for typology in fraud.TYPOLOGIES[1:]])
def test_every_typology_happens_and_its_campaigns_end_within_its_span(
    world: World, name: str
) -> None:
    (typology,) = (known for known in fraud.TYPOLOGIES if known.name == name)
    rows = _campaigns(world, name)
    assert len(rows) > 20
    assert (rows.second >= 0).all()
    assert (rows.second < (typology.span_days + 1) * 86_400).mean() > 0.97


def test_a_campaign_goes_on_over_days_as_it_started(world: World) -> None:
    rows = concatenate([fraud.fraudulent(world, day) for day in range(8)])
    taken = [np.unique(rows.campaign[rows.typology == number]) for number in range(1, 7)]
    assert all(campaigns.size for campaigns in taken)
    assert np.unique(np.concatenate(taken)).size == sum(campaigns.size for campaigns in taken)
